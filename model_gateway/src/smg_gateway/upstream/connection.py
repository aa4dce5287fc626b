"""One keep-alive connection to a worker.

The connection knows HTTP framing and nothing else. The response head is parsed; body bytes are
checked by the parser but handed on raw, chunk framing included, so that relaying costs one parse
in C and one write per read from the socket, with no Python call per chunk.
"""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from .errors import UpstreamError, UpstreamFault

if TYPE_CHECKING:
    from .pool import Pool

MAX_HEAD_BYTES = 256 * 1024
"""Response heads beyond this are refused; nginx and hyper stop at 8 KiB to 400 KiB."""

TAIL_BYTES = 64
"""Enough to see whether an event ends with the latest chunk, and where a short chunk begins."""

DRAIN_S = 2.0
"""How long an unwanted answer may take to end before its connection is given up."""

_CHUNK_HEAD = re.compile(rb"(?=((?:^|\r\n)([0-9a-fA-F]{1,8})[^\r\n]*\r\n))")
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
_HEAD_END = b"\r\n\r\n"
_FRAMING_HEADERS = (b"content-length", b"transfer-encoding")


class Framing(enum.Enum):
    """How the end of a response body is found."""

    NONE = enum.auto()
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    CLOSE = enum.auto()


class Receiver(Protocol):
    """Whoever asked for a connection and gets the response; all calls come from the event loop."""

    def connected(self, connection: UpstreamConnection) -> None:
        """The connection is yours: call `send`, or `release` it."""
        ...

    def connect_failed(self, error: UpstreamError) -> None:
        """No connection could be had."""
        ...

    def head_received(self, connection: UpstreamConnection, rest: bytes) -> None:
        """Status and headers are there; `rest` are the raw body bytes that came along.

        Set `connection.sink` to receive the raw bytes that follow. `connection.complete` tells
        whether `rest` already holds the whole body.
        """
        ...

    def completed(self) -> None:
        """The response has ended cleanly; the connection goes back to its pool after this call."""
        ...

    def failed(self, error: UpstreamError) -> None:
        """The exchange is over without a clean end; the connection is closed."""
        ...


def ends_event(raw: bytes) -> bool:
    """Whether the raw end of a chunked event stream is the end of an event.

    `raw` are the latest bytes, at a chunk border. The line end of a chunk's size must not be taken
    for one of the event, so a short last chunk is looked at by itself; it may err towards False.
    """
    data = raw[:-2]
    if not data.endswith(_EVENT_ENDS):
        return False
    for found in _CHUNK_HEAD.finditer(data):
        start = found.start() + len(found[1])
        if int(found[2], 16) == len(data) - start:
            return data[start:].endswith(_EVENT_ENDS)
    return True


def _ignore(data: bytes) -> None:
    """A sink for bytes that nobody wants."""


class UpstreamConnection(asyncio.Protocol):
    """An HTTP/1.1 connection to one worker, used for one exchange at a time."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.sink: Callable[[bytes], object] = _ignore
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.framing = Framing.NONE
        self.complete = False
        self.at_chunk_boundary = False
        self.reads = 0
        """Reads of body bytes so far: a silence detector compares two samples of it."""
        self.tail = b""
        """The latest raw body bytes: their end shows whether a stream is between two events."""
        self.idle_since = 0.0
        self.uses = 0
        self.seen = (0, 0)
        """Uses and reads at the latest look of whoever watches for silence."""
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._head = b""
        self._head_done = False
        self._heads_skipped = 0
        self._reusable = True
        self._violation = ""
        self._paused = False

    def __repr__(self) -> str:
        state = "closed" if self.closed else "busy" if self._receiver else "idle"
        return f"<UpstreamConnection {self.pool.origin.host}:{self.pool.origin.port} {state}>"

    @property
    def closed(self) -> bool:
        """Whether the connection can no longer be used."""
        return self._transport is None or self._transport.is_closing()

    @property
    def streaming(self) -> bool:
        """Whether a response has begun and not ended."""
        return self._head_done and not self.complete and self._receiver is not None

    @property
    def reused(self) -> bool:
        """Whether an earlier exchange went over this connection."""
        return self.uses > 1

    # --- what receivers call -------------------------------------------------------------

    def send(self, receiver: Receiver, request: list[bytes]) -> None:
        """Write a request; `receiver` gets the response."""
        assert self._transport is not None
        self._receiver = receiver
        self.sink = _ignore
        self.headers = []
        self.reason = b""
        self.complete = False
        self._head = b""
        self._head_done = False
        self._heads_skipped = 0
        self.uses += 1
        self._transport.writelines(request)

    def abort(self) -> None:
        """Close at once, without telling the receiver."""
        self._receiver = None
        self.sink = _ignore
        if self._transport is not None:
            self._transport.abort()

    def drain(self, max_bytes: int) -> None:
        """Forget the receiver, read the response to its end and become idle again.

        A response that is longer than `max_bytes` closes the connection instead.
        """
        self.resume_reading()
        _Drain(self, max_bytes)

    def pause_reading(self) -> None:
        """Stop reading until `resume_reading`: the client cannot take more."""
        if not self._paused and not self.closed:
            self._paused = True
            cast(asyncio.Transport, self._transport).pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._paused and not self.closed:
            self._paused = False
            cast(asyncio.Transport, self._transport).resume_reading()

    def attach(self, receiver: Receiver) -> None:
        """Let another receiver have the rest of the response."""
        self._receiver = receiver

    def release(self) -> None:
        """Give back a connection that `connected` offered and nobody needs any more."""
        self.pool.release(self, reusable=True)

    # --- asyncio.Protocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._receiver is None:
            # A worker that talks unasked (a late 408, a goodbye) cannot be trusted with a request.
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(UpstreamError(UpstreamFault.PROTOCOL, f"malformed response: {error}"))
            return
        if self._violation:
            self._fail(UpstreamError(UpstreamFault.PROTOCOL, self._violation))
            return
        if not self._head_done:
            self._accumulate_head(data)
            return
        if not self.reads:
            self._finish_head(data)
            return
        self.reads += 1
        self.tail = data if len(data) >= TAIL_BYTES else (self.tail + data)[-TAIL_BYTES:]
        self.sink(data)
        if self.complete and self._receiver is not None:
            self._finish()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        receiver, self._receiver = self._receiver, None
        self.pool.connection_closed(self)
        if receiver is None:
            return
        if self._head_done and self.framing is Framing.CLOSE and exc is None:
            self.complete = True
            receiver.completed()
        elif self._head_done or self._head:
            receiver.failed(
                UpstreamError(UpstreamFault.BROKEN, "worker closed the connection in mid-response")
            )
        else:
            receiver.failed(
                UpstreamError(
                    UpstreamFault.DROPPED, "worker closed the connection without a response"
                )
            )

    # --- parser callbacks ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self._violation = "bytes after the end of a response"

    def on_status(self, status: bytes) -> None:
        self.reason = status

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_done:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if any(name in _FRAMING_HEADERS and value != b"0" for name, value in self.headers):
                self._violation = "an interim response with a body"
            self.headers.clear()
            self._heads_skipped += 1
            return
        self.status = status
        self._head_done = True
        self.reads = 0
        self._reusable = self._parser.should_keep_alive()
        self.framing = self._framing_of(status)
        self.at_chunk_boundary = True

    def on_chunk_header(self) -> None:
        self.at_chunk_boundary = False

    def on_chunk_complete(self) -> None:
        self.at_chunk_boundary = True

    def on_message_complete(self) -> None:
        if self._head_done:
            self.complete = True

    # --- internals -----------------------------------------------------------------------

    def _framing_of(self, status: int) -> Framing:
        if status in (204, 304):
            return Framing.NONE
        framing = Framing.CLOSE
        for name, value in self.headers:
            if name == b"content-length":
                return Framing.NONE if value == b"0" else Framing.LENGTH
            if name == b"transfer-encoding":
                if value.strip().lower() != b"chunked":
                    # The client would be told of chunks alone and could not undo the rest.
                    self._violation = "a transfer coding other than chunked"
                framing = Framing.CHUNKED
        return framing

    def _accumulate_head(self, data: bytes) -> None:
        self._head += data
        if len(self._head) > MAX_HEAD_BYTES:
            self._fail(UpstreamError(UpstreamFault.PROTOCOL, "response head too large"))

    def _finish_head(self, data: bytes) -> None:
        head = self._head + data if self._head else data
        self._head = b""
        start = 0
        for _ in range(self._heads_skipped + 1):
            # The parser skips empty lines before a head.
            while head[start] in b"\r\n":
                start += 1
            start = head.index(_HEAD_END, start) + len(_HEAD_END)
        self.reads = 1
        self.tail = head[start:]
        receiver = cast(Receiver, self._receiver)
        receiver.head_received(self, self.tail)
        if self.complete and self._receiver is not None:
            self._finish()

    def _finish(self) -> None:
        receiver, self._receiver = cast(Receiver, self._receiver), None
        self.sink = _ignore
        # The last bytes may have filled the client's buffer; the next exchange is somebody else's.
        self.resume_reading()
        try:
            # Before the release: the next exchange overwrites what this one may still look at.
            receiver.completed()
        finally:
            self.pool.release(self, reusable=self._reusable and self._is_flushed())

    def _is_flushed(self) -> bool:
        """Whether the whole request has been written; a worker may answer before that."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        return transport.get_write_buffer_size() == 0

    def _fail(self, error: UpstreamError) -> None:
        receiver, self._receiver = self._receiver, None
        self.abort()
        if receiver is not None:
            receiver.failed(error)


class _Drain:
    """Reads an unwanted response to its end."""

    def __init__(self, connection: UpstreamConnection, max_bytes: int) -> None:
        self._connection = connection
        self._left_bytes = max_bytes
        connection.attach(self)
        connection.sink = self._count
        self._timer = asyncio.get_running_loop().call_later(DRAIN_S, self._give_up)

    def _give_up(self) -> None:
        self._connection.abort()

    def _count(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self._timer.cancel()
            self._connection.abort()

    def connected(self, connection: UpstreamConnection) -> None:
        raise AssertionError("a drain never asks for a connection")

    def connect_failed(self, error: UpstreamError) -> None:
        raise AssertionError("a drain never asks for a connection")

    def head_received(self, connection: UpstreamConnection, rest: bytes) -> None:
        raise AssertionError("a drain begins after the head")

    def completed(self) -> None:
        """The connection is idle again."""
        self._timer.cancel()

    def failed(self, error: UpstreamError) -> None:
        """The connection is gone; its loss was nobody's."""
        self._timer.cancel()
