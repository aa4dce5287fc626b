"""Whole responses for those who can wait: probes, discovery, fan-out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import httptools

from .connection import UpstreamConnection
from .errors import UpstreamError, UpstreamFault
from .pool import Pool

MAX_BODY_BYTES = 16 * 1024 * 1024


class Response(NamedTuple):
    """A whole response; header names are lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class BodyDecoder:
    """Takes the framing off a response: raw bytes in, body bytes out."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self.tail = b""
        """The latest body bytes."""

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def start(self, connection: UpstreamConnection, rest: bytes) -> bytes:
        """Begin with a received head and the raw bytes that came with it."""
        head = [b"HTTP/1.1 %d x\r\n" % connection.status]
        head += [
            name + b": " + value + b"\r\n"
            for name, value in connection.headers
            if name in (b"content-length", b"transfer-encoding")
        ]
        self._parser.feed_data(b"".join(head) + b"\r\n")
        return self.feed(rest)

    def feed(self, raw: bytes) -> bytes:
        """The body bytes inside `raw`, which the connection's parser has found well-formed."""
        if not raw:
            return b""
        self._parser.feed_data(raw)
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if body:
            self.tail = body
        return body


class _Fetch:
    """The receiver behind `fetch`."""

    def __init__(self, request: list[bytes], max_body_bytes: int) -> None:
        self.future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.connection: UpstreamConnection | None = None
        self._request = request
        self._left_bytes = max_body_bytes
        self._decoder = BodyDecoder()
        self._body: list[bytes] = []

    def connected(self, connection: UpstreamConnection) -> None:
        if self.future.done():
            connection.release()
            return
        self.connection = connection
        connection.send(self, self._request)

    def connect_failed(self, error: UpstreamError) -> None:
        self.failed(error)

    def head_received(self, connection: UpstreamConnection, rest: bytes) -> None:
        connection.sink = self._take
        self._keep(self._decoder.start(connection, rest))

    def completed(self) -> None:
        assert self.connection is not None
        if not self.future.done():
            self.future.set_result(
                Response(self.connection.status, self.connection.headers, b"".join(self._body))
            )

    def failed(self, error: UpstreamError) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def _take(self, raw: bytes) -> None:
        self._keep(self._decoder.feed(raw))

    def _keep(self, body: bytes) -> None:
        self._left_bytes -= len(body)
        if self._left_bytes < 0 and self.connection is not None:
            self.connection.abort()
            self.failed(UpstreamError(UpstreamFault.TOO_LARGE, "response body too large"))
        elif body:
            self._body.append(body)


async def fetch(
    pool: Pool,
    method: bytes,
    target: bytes,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    timeout_s: float,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> Response:
    """One request to a worker and its whole response; raises `UpstreamError`."""
    origin = pool.origin
    head = [
        method + b" " + origin.prefix + target + b" HTTP/1.1\r\nhost: " + origin.host_header,
        *(name + b": " + value for name, value in headers),
    ]
    if body or method in (b"POST", b"PUT", b"PATCH"):
        head.append(b"content-length: %d" % len(body))
    receiver = _Fetch([b"\r\n".join(head) + b"\r\n\r\n" + body], max_body_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            # A connection that the worker closed while it was idle shows only now: once more.
            pool.acquire(receiver)
            try:
                return await receiver.future
            except UpstreamError as error:
                connection = receiver.connection
                stale = connection is not None and connection.reused
                if error.fault is not UpstreamFault.DROPPED or not stale:
                    raise
            receiver = _Fetch([b"\r\n".join(head) + b"\r\n\r\n" + body], max_body_bytes)
            pool.acquire(receiver, fresh=True)
            return await receiver.future
    except TimeoutError:
        raise UpstreamError(UpstreamFault.TIMEOUT, f"no answer within {timeout_s:g} s") from None
    finally:
        pool.forget(receiver)
        if not receiver.future.done():
            receiver.future.cancel()
        # A response still on its way belongs to nobody now; closing is the only clean end.
        if receiver.connection is not None and receiver.future.cancelled():
            receiver.connection.abort()
