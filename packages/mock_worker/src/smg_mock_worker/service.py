"""The handling of requests: record, fault, route, answer."""

import asyncio
import time
from dataclasses import replace

from aiohttp import web

from smg_mock_worker.admin import ADMIN_PREFIX, admin_routes
from smg_mock_worker.delivery import (
    EVENT_STREAM,
    ExchangeRun,
    FrameBuffer,
    FrameOutlet,
    Reply,
    break_connection,
    reset_transport,
    send_reply,
)
from smg_mock_worker.errors import Flavour, RequestRefused, Surface, encode_refusal
from smg_mock_worker.exchange import Call, Exchange, encode_json
from smg_mock_worker.faults import (
    AnswerGarbage,
    AnswerStatus,
    Fault,
    Hang,
    LengthFault,
    ResetConnection,
    StreamFault,
)
from smg_mock_worker.handover import (
    HANDOVER_PATH,
    Meeting,
    first_token_only,
    read_meeting,
    told,
)
from smg_mock_worker.pacer import EnginePacer
from smg_mock_worker.records import Outcome, RecordedRequest
from smg_mock_worker.routes import InferenceRoute, PlainRoute, Route, find_route, route_table
from smg_mock_worker.state import WorkerState

__all__ = ("Service",)


class Service:
    """Answers the requests of one running worker."""

    def __init__(self, state: WorkerState) -> None:
        self._state = state
        self._flavour = state.facts.served.flavour
        self._routes = route_table(self._flavour)
        self._admin = admin_routes()
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_stopping = False

    async def stop(self) -> None:
        """Cancel what is under way and wait for its end; counts as `Outcome.STOPPED`."""
        self._is_stopping = True
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; cancelled by the server when the client goes away."""
        if request.transport is not None and "100-continue" in request.headers.get("Expect", ""):
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        call = Call(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=await request.read(),
            received_at=time.time(),
        )
        if call.path == HANDOVER_PATH:
            return await send_reply(request, await self._hand_over(call))
        if call.path.startswith(ADMIN_PREFIX):
            return await send_reply(request, self._control(call))
        record = RecordedRequest(
            method=call.method,
            path=call.path,
            query=request.rel_url.raw_query_string,
            headers=[(_latin(name), _latin(value)) for name, value in request.raw_headers],
            body=call.body,
            received_at=call.received_at,
        )
        state, task = self._state, asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        state.requests.add(record)
        state.active_requests += 1
        outcome = Outcome.FAILED
        try:
            response, outcome = await self._answer(request, call, record)
            return response
        except asyncio.CancelledError:
            outcome = Outcome.STOPPED if self._is_stopping else Outcome.DISCONNECTED
            raise
        except ConnectionError:
            outcome = Outcome.DISCONNECTED
            raise
        finally:
            state.active_requests -= 1
            state.requests.settle(record, outcome)

    def _control(self, call: Call) -> Reply:
        answer = self._admin.get((call.method, call.path))
        try:
            if answer is None:
                raise RequestRefused(404, f"no such control route: {call.method} {call.path}")
            return answer(self._state, call)
        except RequestRefused as refusal:
            body = encode_refusal(refusal, Flavour.SGLANG, Surface.NATIVE)
            return Reply(status=refusal.status, body=body)

    async def _hand_over(self, call: Call) -> Reply:
        prompt = await self._state.handovers.take(call.query.get("key", ""))
        if prompt is None:
            return Reply(status=404, body=b"null")
        return Reply(body=encode_json(list(prompt)))

    async def _answer(
        self, request: web.BaseRequest, call: Call, record: RecordedRequest
    ) -> tuple[web.StreamResponse, Outcome]:
        """Faults first, then the route; returns what was sent and how it counts."""
        methods = find_route(self._routes, call.path)
        route = None if methods is None else methods.get(call.method)
        drawn = self._state.faults.draw(call.method, call.path)
        if drawn.delay_s:
            await asyncio.sleep(drawn.delay_s)
        match drawn.fault:
            case AnswerStatus() as fault:
                record.status = fault.code
                reply = self._status_reply(fault, route)
                return await send_reply(request, reply), Outcome.FAULTED
            case Hang():
                await asyncio.Event().wait()
            case ResetConnection():
                reset_transport(request.transport)
                return web.Response(), Outcome.FAULTED
            case AnswerGarbage() as fault:
                if request.transport is not None:
                    request.transport.write(fault.text.encode("latin-1", "replace"))
                    request.transport.close()
                return web.Response(), Outcome.FAULTED
        if isinstance(route, InferenceRoute):
            return await self._infer(request, call, record, route, drawn.fault)
        if route is None:
            reply = _no_route_reply(list(methods or ()))
        else:
            reply = self._plain_reply(route, call)
        return await self._send(request, record, reply, drawn.fault)

    def _plain_reply(self, route: PlainRoute, call: Call) -> Reply:
        try:
            return route.answer(self._state, call)
        except RequestRefused as refusal:
            return self._refusal_reply(refusal, route.surface)

    async def _infer(
        self,
        request: web.BaseRequest,
        call: Call,
        record: RecordedRequest,
        route: InferenceRoute,
        fault: Fault | None,
    ) -> tuple[web.StreamResponse, Outcome]:
        try:
            exchange = route.parse(call, self._state.facts.served)
            pacer = self._state.pick_rank(call.headers.get("X-Data-Parallel-Rank"))
            meeting = self._meeting(call)
            if meeting is not None and self._state.role == "prefill":
                reply = await self._prefill(exchange, pacer, meeting)
                return await self._send(request, record, reply, fault)
            if meeting is not None:
                for prompt in await self._state.handovers.fetch(meeting):
                    pacer.engine.cache.insert(prompt)
            # A wrong length can only be announced for an answer that is known as a whole.
            if exchange.stream and not isinstance(fault, LengthFault):
                return await self._stream(request, record, exchange, pacer, fault)
            reply = await self._compute(exchange, pacer)
        except RequestRefused as refusal:
            reply = self._refusal_reply(refusal, route.surface)
        return await self._send(request, record, reply, fault)

    def _meeting(self, call: Call) -> Meeting | None:
        """How the request changes hands; None on a worker that does all of it."""
        facts = self._state.facts
        if self._state.role is None:
            return None
        return read_meeting(call.body, f"http://{facts.host}:{facts.port}")

    async def _prefill(self, exchange: Exchange, pacer: EnginePacer, meeting: Meeting) -> Reply:
        """Compute the prompts and one token each, and have the caches fetched."""
        exchange.choices = first_token_only(exchange.choices)
        reply = await self._compute(exchange, pacer)
        state = self._state
        state.handovers.offer(meeting, exchange.choices)
        if meeting.is_told and not exchange.stream:
            reply = replace(reply, body=told(reply.body, meeting, f"engine-{state.facts.port}"))
        return reply

    async def _send(
        self,
        request: web.BaseRequest,
        record: RecordedRequest,
        reply: Reply,
        fault: Fault | None,
    ) -> tuple[web.StreamResponse, Outcome]:
        record.status = reply.status
        response = await send_reply(request, reply, fault)
        return response, Outcome.COMPLETED if fault is None else Outcome.FAULTED

    async def _compute(self, exchange: Exchange, pacer: EnginePacer) -> Reply:
        frames = FrameBuffer() if exchange.stream else None
        run = ExchangeRun(exchange, pacer, frames)
        with self._state.running(run):
            await run.done.wait()
        if frames is not None:
            return Reply(body=b"".join(frames.frames), content_type=EVENT_STREAM)
        if run.was_aborted:
            raise RequestRefused(400, "The request was aborted.")
        return Reply(body=exchange.whole(run.usage()))

    async def _stream(
        self,
        request: web.BaseRequest,
        record: RecordedRequest,
        exchange: Exchange,
        pacer: EnginePacer,
        fault: Fault | None,
    ) -> tuple[web.StreamResponse, Outcome]:
        cut = fault if isinstance(fault, StreamFault) else None
        outlet = FrameOutlet(request, cut)
        run = ExchangeRun(exchange, pacer, outlet)
        headers = {"Content-Type": EVENT_STREAM, "Cache-Control": "no-cache"}
        response = web.StreamResponse(headers=headers)
        try:
            with self._state.running(run):
                record.status = response.status
                # The engine speaks from later turns of the loop on, so the head goes out first.
                await response.prepare(request)
                if not outlet.is_broken:
                    await run.done.wait()
        finally:
            record.chunks_sent = outlet.chunks_sent
        if cut is not None and outlet.is_broken:
            await break_connection(request, cut)
            return response, Outcome.FAULTED
        return response, Outcome.COMPLETED

    def _status_reply(self, fault: AnswerStatus, route: Route | None) -> Reply:
        headers = tuple(fault.headers.items())
        if fault.body is None:
            refusal = RequestRefused(fault.code, f"Injected fault: status {fault.code}.")
            surface = Surface.OPENAI if route is None else route.surface
            body = encode_refusal(refusal, self._flavour, surface)
        else:
            body = fault.body.encode()
        has_type = any(name.lower() == "content-type" for name, _ in headers)
        kind = None if has_type else "application/json"
        return Reply(status=fault.code, body=body, content_type=kind, headers=headers)

    def _refusal_reply(self, refusal: RequestRefused, surface: Surface) -> Reply:
        body = encode_refusal(refusal, self._flavour, surface)
        return Reply(status=refusal.status, body=body)


def _no_route_reply(methods: list[str]) -> Reply:
    """As FastAPI answers unknown paths and methods."""
    if not methods:
        return Reply(status=404, body=encode_json({"detail": "Not Found"}))
    return Reply(
        status=405,
        body=encode_json({"detail": "Method Not Allowed"}),
        headers=(("Allow", ", ".join(methods)),),
    )


def _latin(value: bytes) -> str:
    return value.decode("latin-1")
