"""What the relay lane needs to know about a request's body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class RequestView(Protocol):
    """The routing view of a body; `smg_protocols.Intake` is one."""

    @property
    def model(self) -> str | None:
        """The model asked for; None when the request names none."""
        ...

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        ...

    @property
    def token_ids(self) -> Sequence[int] | None:
        """The prompt as token ids, when it was sent so."""
        ...

    @property
    def request(self) -> object:
        """The decoded request, for what is particular to its API."""
        ...

    def routing_text(self) -> str:
        """The text by which prefixes are compared."""
        ...
