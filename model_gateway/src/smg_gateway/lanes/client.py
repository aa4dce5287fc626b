"""The client's side of an exchange, whatever server it came through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]


class Client(Protocol):
    """Where a response goes. Calls are synchronous and come from the event loop."""

    @property
    def takes_raw(self) -> bool:
        """Whether body bytes may be given with the worker's own framing (length or chunks)."""
        ...

    def begin_raw(
        self, status: int, reason: bytes, headers: Headers, first: bytes, *, chunked: bool
    ) -> Callable[[bytes], object]:
        """Send the head and the first raw body bytes; returns what takes the following ones.

        `headers` hold no framing header but, without `chunked`, a content-length.
        """
        ...

    def begin(self, status: int, headers: Headers, first: bytes) -> None:
        """Send the head and the first body bytes, to be framed by the server."""
        ...

    def write(self, data: bytes) -> None:
        """Send body bytes after `begin`; nothing for an empty piece."""
        ...

    def insert(self, data: bytes) -> None:
        """Send body bytes of the gateway's own between two chunks of a begun response."""
        ...

    def end(self) -> None:
        """The response is complete."""
        ...

    def break_off(self, last: bytes) -> None:
        """Insert `last`, then close the connection so that the response is visibly incomplete."""
        ...

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response."""
        ...


class Job(Protocol):
    """A request being handled; what the server tells it."""

    def client_left(self) -> None:
        """The client has disconnected; nothing more may be sent."""
        ...

    def pause(self) -> None:
        """The client cannot take more for now."""
        ...

    def resume(self) -> None:
        """The client takes data again."""
        ...
