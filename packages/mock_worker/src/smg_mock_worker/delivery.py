"""Gets answers onto the wire: whole, streamed, or broken on purpose."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from smg_mock_worker.engine import EngineEvent, EngineRequest, QueueFull, TokenProduced
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Exchange, Usage
from smg_mock_worker.faults import (
    CloseMidStream,
    Fault,
    OverstateLength,
    ResetMidStream,
    StallMidStream,
    StreamFault,
    UnderstateLength,
)
from smg_mock_worker.pacer import EnginePacer

__all__ = (
    "EVENT_STREAM",
    "ExchangeRun",
    "FrameBuffer",
    "FrameOutlet",
    "Reply",
    "break_connection",
    "reset_transport",
    "send_reply",
)

EVENT_STREAM = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is known as a whole."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = "application/json"
    headers: Sequence[tuple[str, str]] = ()


class FrameBuffer:
    """Collects the frames of a stream."""

    is_broken = False

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        """Keep one frame."""
        self.frames.append(frame)


class FrameOutlet:
    """Writes each frame of a stream as one chunk, as soon as it is there.

    The kernel gets every frame by a write of its own; no task wakes for it. A client that reads
    slowly makes the transport's buffer grow, at most by what `max_model_len` tokens take. With a
    `fault` the outlet is broken after that many chunks and drops all later ones.
    """

    def __init__(self, request: web.BaseRequest, fault: StreamFault | None) -> None:
        self.chunks_sent = 0
        self.is_broken = fault is not None and fault.after_chunks == 0
        self._transport = request.transport
        # HTTP/1.0 knows no chunks; there the close ends the answer.
        self._chunked = request.version >= (1, 1)
        self._limit = None if fault is None else fault.after_chunks

    def send(self, frame: bytes) -> None:
        """Write one frame, unless the outlet is broken or the client gone."""
        transport = self._transport
        if self.is_broken or transport is None or transport.is_closing():
            return
        transport.write(b"%x\r\n%b\r\n" % (len(frame), frame) if self._chunked else frame)
        self.chunks_sent += 1
        self.is_broken = self.chunks_sent == self._limit


class ExchangeRun:
    """One exchange on an engine; streamed frames go to `outlet`, if there is one.

    `done` is set when all choices are finished or the outlet has broken.
    """

    def __init__(
        self, exchange: Exchange, pacer: EnginePacer, outlet: FrameBuffer | FrameOutlet | None
    ) -> None:
        self.done = asyncio.Event()
        self.was_aborted = False
        self.rid = exchange.rid
        self._exchange = exchange
        self._pacer = pacer
        self.outlet = outlet
        self._requests: list[EngineRequest] = []
        self._unfinished = len(exchange.choices)
        self._begun = False

    def start(self) -> None:
        """Submit every choice; raises `RequestRefused` (503) when the queue is full."""
        try:
            for number, choice in enumerate(self._exchange.choices):
                request = self._pacer.submit(
                    choice.prompt,
                    choice.answer.ids,
                    partial(self._on_event, number),
                    per_token=self.outlet is not None,
                )
                self._requests.append(request)
        except QueueFull:
            self.cancel()
            raise RequestRefused(503, "The request queue is full.") from None

    def cancel(self) -> None:
        """Stop what is still under way."""
        for request in self._requests:
            self._pacer.cancel(request)

    def abort(self) -> None:
        """End early on the operator's wish: a stream gets its end mark, `done` is set."""
        self.cancel()
        self.was_aborted = True
        if self.outlet is not None:
            produced = sum(request.produced_tokens for request in self._requests)
            self._send(self.outlet, self._exchange.end(self.usage(produced)))
        self.done.set()

    def usage(self, completion_tokens: int | None = None) -> Usage:
        """The token counts and the time taken, as known now."""
        cached = [request.cached_tokens for request in self._requests]
        ends = [at for request in self._requests if (at := request.finished_at) is not None]
        elapsed_s = max(ends) - self._requests[0].submitted_at if ends else 0.0
        return self._exchange.usage(cached, completion_tokens, elapsed_s)

    def _on_event(self, number: int, event: EngineEvent) -> None:
        outlet = self.outlet
        if outlet is not None:
            self._word(outlet, number, event)
        if not isinstance(event, TokenProduced):
            self._unfinished -= 1
            if not self._unfinished:
                if outlet is not None:
                    self._send(outlet, self._exchange.end(self.usage()))
                self.done.set()
        if outlet is not None and outlet.is_broken:
            self.cancel()
            self.done.set()

    def _word(self, outlet: FrameBuffer | FrameOutlet, number: int, event: EngineEvent) -> None:
        exchange = self._exchange
        if not self._begun:
            self._begun = True
            self._send(outlet, exchange.begin(self.usage(0)))
        if isinstance(event, TokenProduced):
            if not event.number:
                self._open(outlet, number, event)
            self._send(outlet, exchange.token(number, event.number))
            return
        if not event.request.output:
            self._open(outlet, number, event)
        self._send(outlet, exchange.close_choice(number))

    def _open(self, outlet: FrameBuffer | FrameOutlet, number: int, event: EngineEvent) -> None:
        self._send(outlet, self._exchange.open_choice(number, event.request.cached_tokens))

    def _send(self, outlet: FrameBuffer | FrameOutlet, frame: bytes) -> None:
        if frame:
            outlet.send(frame)


def reset_transport(transport: asyncio.Transport | None) -> None:
    """Close at once with a TCP reset; nothing happens if the connection is gone already."""
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Lingering for zero seconds turns the close into a reset.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def break_connection(request: web.BaseRequest, fault: StreamFault) -> None:
    """End a half-sent answer in the fault's way; a stall lasts until the client goes."""
    match fault:
        case ResetMidStream():
            reset_transport(request.transport)
        case CloseMidStream():
            if request.transport is not None:
                request.transport.close()
        case StallMidStream():
            await asyncio.Event().wait()


async def send_reply(
    request: web.BaseRequest, reply: Reply, fault: Fault | None = None
) -> web.StreamResponse:
    """Write a whole answer, with a wrong length or half of the body if the fault says so."""
    headers = list(reply.headers)
    if reply.content_type is not None:
        headers.append(("Content-Type", reply.content_type))
    body = reply.body
    match fault:
        case OverstateLength():
            announced = len(body) + fault.by_bytes
        case UnderstateLength():
            announced = max(0, len(body) - fault.by_bytes)
        case StreamFault():
            announced, body = len(body), body[: len(body) // 2]
        case _:
            return web.Response(status=reply.status, body=body, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = announced
    await response.prepare(request)
    transport = request.transport
    if transport is not None:
        # Past aiohttp's writer, which would cut the body at the announced length.
        transport.write(body)
        if isinstance(fault, OverstateLength):
            transport.close()
    if isinstance(fault, StreamFault):
        await break_connection(request, fault)
    return response
