"""The client's side under any ASGI server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .client import Headers, Job

HIGH_WATER_BYTES = 256 * 1024
LOW_WATER_BYTES = 64 * 1024

Message = MutableMapping[str, Any]


class ResponseBroken(Exception):
    """The worker failed in mid-response. Raising it out of the application makes any ASGI server
    close the connection without a proper end, which the client can see."""


class AsgiClient:
    """Turns the synchronous calls of an exchange into awaited `send` calls."""

    takes_raw = False

    def __init__(self) -> None:
        self._outbox: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._bytes = 0
        self._paused = False
        self._done = False
        self._broken = False
        self.job: Job | None = None

    def begin_raw(
        self, status: int, reason: bytes, headers: Headers, first: bytes, *, chunked: bool
    ) -> Callable[[bytes], object]:
        raise AssertionError("an ASGI server frames bodies itself")

    def begin(self, status: int, headers: Headers, first: bytes) -> None:
        self._put({"type": "http.response.start", "status": status, "headers": list(headers)})
        self.write(first)

    def write(self, data: bytes) -> None:
        if not data:
            return
        self._bytes += len(data)
        self._put({"type": "http.response.body", "body": data, "more_body": True})
        if self._bytes > HIGH_WATER_BYTES and not self._paused and self.job is not None:
            self._paused = True
            self.job.pause()

    def insert(self, data: bytes) -> None:
        self.write(data)

    def end(self) -> None:
        self._done = True
        self._put({"type": "http.response.body", "body": b"", "more_body": False})

    def break_off(self, last: bytes) -> None:
        self.write(last)
        self._broken = self._done = True
        self._wake.set()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        length = (b"content-length", str(len(body)).encode())
        self._put({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        self._done = True
        self._put({"type": "http.response.body", "body": body, "more_body": False})

    def abandon(self) -> None:
        """The client has left: whatever waits to be sent is dropped and `pump` ends."""
        self._outbox.clear()
        self._done = True
        self._wake.set()

    async def pump(self, send: Callable[[Message], Awaitable[None]]) -> bool:
        """Send until the response has ended; False when it was broken off."""
        while True:
            while self._outbox:
                message = self._outbox.popleft()
                await send(message)
                self._bytes -= len(message.get("body", b""))
                if self._paused and self._bytes < LOW_WATER_BYTES and self.job is not None:
                    self._paused = False
                    self.job.resume()
            if self._done:
                break
            self._wake.clear()
            await self._wake.wait()
        return not self._broken

    def _put(self, message: Message) -> None:
        self._outbox.append(message)
        self._wake.set()
