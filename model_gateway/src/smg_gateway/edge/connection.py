"""One client connection: HTTP/1.1 in, responses out.

The connection is itself the `Client` of the request being handled, one at a time; requests that
arrive early (pipelining) wait. There is no task, queue or timer per request here.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from ..admission import BodyBudget
from ..admission.bodies import BODIES_EXHAUSTED
from ..errors import BODY_TIMEOUT, BODY_TOO_LARGE, ErrorRecord
from ..lanes.client import Headers, Job
from ..lanes.request import InboundRequest
from .status import STATUS_LINES, status_line

if TYPE_CHECKING:
    from .server import Listener

MAX_TARGET_BYTES = 32 * 1024
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200
CRUMB_BYTES = 1024
MAX_CRUMBS = 256
SCREENED_BYTES = 64 * 1024
"""Requests with a longer body are screened before the body is read."""
MAX_PIPELINED_BYTES = 64 * 1024
"""Bytes read ahead while a request is being handled; beyond, the socket is not read."""
LINGER_S = 2.0
"""After an early refusal the rest of the request is read and dropped for this long, because
closing at once would reset the connection and could destroy the answer on its way."""

FLUSH_S = 30.0
"""How long a closing connection may take to send what has been written."""

_CHUNKED_END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """Bounds towards clients; times in seconds, 0 switches a timeout off."""

    max_body_bytes: int = 536_870_912
    header_read_timeout_s: float = 30.0
    idle_timeout_s: float = 90.0
    body_timeout_s: float = 1800.0
    body_stall_timeout_s: float = 300.0


class Handler(Protocol):
    """What requests are handed to; `bodies` counts the bodies that are held for them."""

    @property
    def bodies(self) -> BodyBudget: ...

    def handle(self, request: InboundRequest, connection: EdgeConnection) -> Job | None:
        """Handle a whole request; None when it has been answered already."""
        ...

    def screen(self, request: InboundRequest) -> ErrorRecord | None:
        """Why a request can be refused before its body is read, if it can."""
        ...

    def refuse(
        self, request: InboundRequest | None, error: ErrorRecord
    ) -> tuple[Sequence[tuple[bytes, bytes]], bytes]:
        """Account for a request that the server refuses by itself; headers and body to answer."""
        ...

    def connection_timed_out(self, reason: str) -> None:
        """A connection was closed for slowness: `header_read` or `idle`."""
        ...


class EdgeConnection(asyncio.Protocol):
    """Parses requests, sends responses, watches its own deadlines when asked to."""

    def __init__(self, listener: Listener, handler: Handler, limits: EdgeLimits) -> None:
        self._listener = listener
        self._handler = handler
        self._bodies = handler.bodies
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._job: Job | None = None
        self._peer: tuple[str, int] | None = None
        # The request being read.
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._request: InboundRequest | None = None
        self._body: list[bytes] = []
        self._crumbs: list[bytes] = []
        self._body_bytes = 0
        self._counted_bytes = 0
        self._last = False
        self._reading_since = listener.clock()
        self._body_since = 0.0
        self._idle = True
        self._idle_bytes = 0
        self._expects = False
        self._upgrading: InboundRequest | None = None
        # The request being answered.
        self._current: InboundRequest | None = None
        self._answering = False
        self._choked = False
        self._turn = 0
        self._waiting: deque[tuple[InboundRequest, bool, bool]] = deque()
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._keep_alive = True
        self._http_1_1 = True
        self._head_only = False
        self._chunking = False
        self._raw = False
        self._closing = False
        self._linger_until = 0.0
        self._taking = False
        self._until_close = False
        self._refusal: bytes | None = None

    def __repr__(self) -> str:
        state = "answering" if self._answering else "idle" if self._idle else "reading"
        return f"<EdgeConnection {self._peer} {state}>"

    @property
    def busy(self) -> bool:
        """Whether a request is being handled or waits to be."""
        return self._answering or bool(self._waiting) or self._request is not None

    # --- asyncio.Protocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._peer = (str(peer[0]), int(peer[1]))
        self._listener.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._closing or self._last or self._refusal is not None:
            return
        if self._answering or self._choked:
            self._read_early(data)
            return
        self._feed(data)

    def eof_received(self) -> None:
        # A client that has closed its sending side is treated as gone, as nginx and uvicorn do.
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._listener.connection_lost(self)
        self._closing = True
        self._uncount()
        for request, *_ in self._waiting:
            request.drop_body()
        self._waiting.clear()
        self._early.clear()
        job, self._job = self._job, None
        if job is not None:
            job.client_left()
        self._drop_current()

    def pause_writing(self) -> None:
        self._choked = True
        if self._job is not None:
            self._job.pause()

    def resume_writing(self) -> None:
        self._choked = False
        if self._job is not None:
            self._job.resume()
        elif not self._answering and not self._closing:
            self._take_next()

    # --- parser callbacks ----------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._head_bytes = 0
        self._body = []
        self._crumbs.clear()
        self._body_bytes = 0
        self._request = None
        self._idle_bytes = 0
        if self._idle:
            self._idle = False
            self._reading_since = self._listener.clock()

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head_bytes += len(url)
        if len(self._target) > MAX_TARGET_BYTES:
            raise _Refused(_bad_request(414, "uri_too_long", "The request target is too long"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._request is not None:
            return  # A trailer: nothing here reads trailers.
        self._headers.append((name.lower(), value))
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES or len(self._headers) > MAX_HEADERS:
            raise _Refused(_HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        parser = self._parser
        request = self._request = InboundRequest(
            parser.get_method(), self._target, self._headers, self._listener.clock(), self._peer
        )
        fields = request.fields
        self._body_since = request.started
        if parser.get_http_version() not in ("1.1", "1.0"):
            raise _Refused(_bad_request(505, "http_version", "Only HTTP/1.1 and 1.0 are spoken"))
        length = fields.get(b"content-length")
        if length is not None and int(length) > self._limits.max_body_bytes:
            raise _Refused(BODY_TOO_LARGE)
        if length is not None:
            unfit = self._bodies.refusal(int(length))
            if unfit is not None:
                raise _Refused(unfit)
        coding = fields.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            raise _Refused(
                _bad_request(501, "transfer_encoding", "Only chunked transfer coding is taken")
            )
        self._idle_bytes = 0
        self._expects = fields.get(b"expect", b"").lower() == b"100-continue"
        if self._expects or coding is not None or int(length or 0) > SCREENED_BYTES:
            refusal = self._handler.screen(request)
            if refusal is not None:
                raise _Refused(refusal)
        if self._expects and not self._answering:
            self._go_ahead()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._idle_bytes = 0
        if self._body_bytes > self._limits.max_body_bytes:
            raise _Refused(BODY_TOO_LARGE)
        if not self._bodies.grow(len(body)):
            self._uncount()
            raise _Refused(self._bodies.refusal(self._body_bytes) or BODIES_EXHAUSTED)
        self._counted_bytes += len(body)
        if len(body) < CRUMB_BYTES:
            self._crumbs.append(body)
            if len(self._crumbs) >= MAX_CRUMBS:
                self._sweep_crumbs()
        else:
            self._sweep_crumbs()
            self._body.append(body)
        self._body_since = (
            self._listener.clock() if len(self._body) + len(self._crumbs) > 1 else self._body_since
        )

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        self._idle_bytes = 0
        if request is None or self._closing:
            return
        if self._parser.should_upgrade():
            # The parser stops here, before the body; `_feed` declines the offer.
            self._upgrading = request
            return
        self._sweep_crumbs()
        body = self._body
        request.body = body[0] if len(body) == 1 else b"".join(body)
        request.budget = self._bodies
        request.held_bytes, self._counted_bytes = self._counted_bytes, 0
        self._body = []
        self._idle = True
        keep_alive = self._parser.should_keep_alive()
        self._last = not keep_alive
        http_1_1 = self._parser.get_http_version() == "1.1"
        if self._answering or self._choked:
            self._waiting.append((request, keep_alive, http_1_1))
        else:
            self._begin_answer(request, keep_alive, http_1_1)

    # --- Client --------------------------------------------------------------------------

    @property
    def takes_raw(self) -> bool:
        return self._http_1_1

    def begin_raw(
        self, status: int, reason: bytes, headers: Headers, first: bytes, *, chunked: bool
    ) -> Callable[[bytes], object]:
        lines = [STATUS_LINES.get(status) or status_line(status, reason)]
        for name, value in headers:
            lines.append(b"%b: %b\r\n" % (name, value))
        if chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n" if self._keep_alive else b"connection: close\r\n\r\n")
        lines.append(first)
        self._raw = True
        self._until_close = False
        self._chunking = chunked
        transport = self._transport
        if transport is None:
            return _drop
        transport.write(b"".join(lines))
        return transport.write

    def begin(self, status: int, headers: Headers, first: bytes) -> None:
        lines = [STATUS_LINES.get(status) or status_line(status, b"")]
        length_known = False
        for name, value in headers:
            length_known = length_known or name == b"content-length"
            lines.append(b"%b: %b\r\n" % (name, value))
        bodiless = self._head_only or status in (204, 304) or status < 200
        self._chunking = not length_known and self._http_1_1 and not bodiless
        if self._chunking:
            lines.append(b"transfer-encoding: chunked\r\n")
        self._until_close = not self._chunking and not length_known and not bodiless
        if self._until_close:
            self._keep_alive = False
        lines.append(b"\r\n" if self._keep_alive else b"connection: close\r\n\r\n")
        self._raw = False
        self._write(b"".join(lines) + self._framed(first))

    def write(self, data: bytes) -> None:
        if data:
            self._write(self._framed(data))

    def insert(self, data: bytes) -> None:
        if data:
            self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunking else data)

    def end(self) -> None:
        if self._chunking and not self._raw and not self._head_only:
            self._write(_CHUNKED_END)
        self._next()

    def break_off(self, last: bytes) -> None:
        self._job = None
        if self._until_close:
            # To this client a proper close means success; only a reset does not.
            self._reset()
            return
        self.insert(last)
        self._close()

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        lines = [STATUS_LINES.get(status) or status_line(status, b"")]
        for name, value in headers:
            lines.append(b"%b: %b\r\n" % (name, value))
        lines.append(b"date: %b\r\ncontent-length: %d\r\n" % (self._listener.date, len(body)))
        lines.append(b"\r\n" if self._keep_alive else b"connection: close\r\n\r\n")
        if not self._head_only:
            lines.append(body)
        self._chunking = False
        self._raw = False
        self._write(b"".join(lines))
        self._next()

    # --- what the listener asks ----------------------------------------------------------

    def check_deadlines(self, now: float) -> None:
        """Close what has been too slow; called about once per second."""
        limits = self._limits
        if self._linger_until:
            if now >= self._linger_until:
                self._abort()
        elif self._answering or self._closing:
            return
        elif self._idle:
            if limits.idle_timeout_s and now - self._reading_since >= limits.idle_timeout_s:
                self._handler.connection_timed_out("idle")
                self._close()
        elif self._request is None:
            timeout_s = limits.header_read_timeout_s
            if timeout_s and now - self._reading_since >= timeout_s:
                self._handler.connection_timed_out("header_read")
                self._close()
        elif self._body_too_slow(now):
            self._refuse(BODY_TIMEOUT)

    def reconfigure(self, limits: EdgeLimits) -> None:
        """Other bounds from now on."""
        self._limits = limits

    def stop(self) -> None:
        """Close when idle; after the current response otherwise."""
        self._keep_alive = False
        if not self.busy:
            self._close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._abort()

    # --- internals -----------------------------------------------------------------------

    def _uncount(self) -> None:
        """The body being read goes nowhere."""
        self._bodies.shrink(self._counted_bytes)
        self._counted_bytes = 0

    def _drop_current(self) -> None:
        request, self._current = self._current, None
        if request is not None:
            request.drop_body()

    def _sweep_crumbs(self) -> None:
        """Join small pieces: a list entry costs more memory than a byte that came in a chunk."""
        if self._crumbs:
            self._body.append(b"".join(self._crumbs))
            self._crumbs.clear()

    def _feed(self, data: bytes) -> None:
        self._idle_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._decline_upgrade(data[error.args[0] :])
        except httptools.HttpParserCallbackError as error:
            refused = error.__context__
            if not isinstance(refused, _Refused):
                raise
            self._refuse(refused.record)
        except httptools.HttpParserError as error:
            self._refuse(_bad_request(400, "bad_request", f"Malformed HTTP request: {error}"))
        else:
            # The parser holds back an unfinished header or trailer, however long it grows.
            if self._idle_bytes > MAX_HEAD_BYTES and not self._idle:
                self._refuse(_HEAD_TOO_LARGE)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Answer as if no other protocol had been offered (RFC 9110, 7.8).

        The request is parsed once more without the offer, and as the last one: what follows it
        may be another protocol.
        """
        request, self._upgrading = self._upgrading, None
        assert request is not None
        version = self._parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (request.method, request.target, version)]
        lines += [b"%b: %b\r\n" % pair for pair in request.headers if pair[0] not in _OFFER]
        lines.append(b"connection: close\r\n\r\n")
        self._parser = httptools.HttpRequestParser(self)
        if request.method == b"CONNECT":
            self._refuse(_bad_request(405, "method_not_allowed", "CONNECT is not served here"))
        else:
            self._feed(b"".join(lines) + rest)

    def _read_early(self, data: bytes) -> None:
        self._early.append(data)
        self._early_bytes += len(data)
        if self._early_bytes > MAX_PIPELINED_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def _begin_answer(self, request: InboundRequest, keep_alive: bool, http_1_1: bool) -> None:
        self._current = request
        self._answering = True
        self._turn += 1
        turn = self._turn
        self._http_1_1 = http_1_1
        self._keep_alive = keep_alive and http_1_1 and not self._listener.stopping
        self._head_only = request.method == b"HEAD"
        self._chunking = False
        job = self._handler.handle(request, self)
        # A job that ended at once may have made way for the next one already.
        if self._answering and self._turn == turn:
            self._job = job
            if self._choked and job is not None:
                job.pause()

    def _next(self) -> None:
        """The response is out: go on with what has been read early, or wait, or close."""
        self._job = None
        self._drop_current()
        if not self._keep_alive:
            self._close()
            return
        self._answering = False
        self._reading_since = self._listener.clock()
        # A client that does not read its answers gets no further ones prepared.
        if not self._choked:
            self._take_next()

    def _take_next(self) -> None:
        """Handle what waits, one after the other; a loop, since many may be answered at once."""
        if self._taking:
            return
        self._taking = True
        try:
            while not (self._answering or self._choked or self._closing):
                if self._waiting:
                    self._begin_answer(*self._waiting.popleft())
                elif self._refusal is not None:
                    self._send_refusal(self._refusal)
                elif self._early:
                    self._feed(self._take_early())
                else:
                    break
        finally:
            self._taking = False
        if self._expects and self._request is not None and not self._answering:
            self._go_ahead()

    def _take_early(self) -> bytes:
        early, self._early = b"".join(self._early), []
        if self._early_bytes > MAX_PIPELINED_BYTES and self._transport is not None:
            self._transport.resume_reading()
        self._early_bytes = 0
        return early

    def _go_ahead(self) -> None:
        self._expects = False
        if not self._closing:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _body_too_slow(self, now: float) -> bool:
        request, limits = self._request, self._limits
        assert request is not None
        stalled = limits.body_stall_timeout_s and (
            now - self._body_since >= limits.body_stall_timeout_s
        )
        late = limits.body_timeout_s and now - request.started >= limits.body_timeout_s
        return bool(stalled or late)

    def _refuse(self, error: ErrorRecord) -> None:
        """Answer with an error and close: what follows on this connection cannot be trusted.

        Requests that came before are answered first.
        """
        if self._closing or self._last or self._refusal is not None:
            return  # What follows the last request is nobody's.
        request, self._request = self._request, None
        self._uncount()
        self._body.clear()
        self._crumbs.clear()
        headers, body = self._handler.refuse(request, error)
        answer = b"%b%bdate: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
            STATUS_LINES.get(error.status) or status_line(error.status, b""),
            b"".join(b"%b: %b\r\n" % pair for pair in headers),
            self._listener.date,
            len(body),
            body,
        )
        if self._answering or self._waiting:
            self._refusal = answer
            self._early.clear()
        else:
            self._send_refusal(answer)

    def _send_refusal(self, answer: bytes) -> None:
        self._write(answer)
        self._linger()

    def _linger(self) -> None:
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        if transport.can_write_eof():
            transport.write_eof()
            self._linger_until = self._listener.clock() + LINGER_S
        else:
            transport.close()

    def _framed(self, data: bytes) -> bytes:
        if not data or self._head_only:
            return b""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunking else data

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        self._closing = True
        if self._transport is not None:
            # What is still to be written goes out first, but not for ever.
            self._linger_until = self._listener.clock() + FLUSH_S
            self._transport.close()

    def _reset(self) -> None:
        transport = self._transport
        sock = transport.get_extra_info("socket") if transport is not None else None
        if sock is not None:
            # Lingering for zero seconds turns the close into a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._abort()

    def _abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()


class _Refused(Exception):
    """Raised inside a parser callback to stop parsing."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.code)
        self.record = record


def _bad_request(status: int, code: str, message: str) -> ErrorRecord:
    return ErrorRecord(status=status, code=code, message=message)


_HEAD_TOO_LARGE = _bad_request(431, "request_header_fields_too_large", "The headers are too large")
_OFFER = frozenset({b"connection", b"upgrade", b"http2-settings", b"expect"})


def _drop(data: bytes) -> None:
    """Takes what can no longer be sent."""
