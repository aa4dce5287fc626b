"""The relay lane: everything its exchanges share, and the clock that watches them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging import DEBUG
from random import Random

import msgspec
from smg_output_parser import HeaderInvalid, read_engine
from smg_protocols import RequestInvalid, check_anthropic_version

from ..dialects import RelayRoute, RequestView, SessionKeys, UnreadView
from ..errors import (
    INTERNAL_ERROR,
    MISSING_MODEL,
    Envelope,
    ErrorRecord,
    model_not_found,
    parser_header_invalid,
    refused,
    render,
)
from ..observability.decisions import Choice, DecisionLog
from ..observability.logs import get_logger
from ..observability.process import ProcessMetrics
from ..observability.recording import TraceRecorder
from ..observability.telemetry import Telemetry
from ..selection import RetryPolicy, Selection, Selector
from ..upstream import UpstreamError
from ..workers import Registry, Worker
from .client import Client, Job
from .exchange import CLIENT_CLOSED_REQUEST, Exchange
from .pair import PairExchange
from .pair_plane import PairPlane
from .reading import INLINE_BYTES, BodyReaders, Read, read_body
from .request import InboundRequest
from .routing import Routable, RoutingReader

TICK_S = 0.25
"""Precision of deadlines, which are whole seconds; one pass costs well under a microsecond per
exchange, where a timer per request costs several."""

_RESPONSE_ID = re.compile(rb'"id"\s*:\s*"(resp_[\w-]{1,128})"')

POLICY_SWEEP_S = 1.0

SILENT_HEAD_HOLD_S = 15.0
"""A head without a body goes out after this long even where keep-alive frames are off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """Times in seconds; `keepalive_s` 0 sends no keep-alive frames."""

    request_timeout_s: float = 1800.0
    keepalive_s: float = 15.0
    aliases: Mapping[str, str]
    routing_key_headers: tuple[bytes, ...] = (b"x-smg-routing-key",)
    sessions: SessionKeys | None = None
    requires_model: bool = False
    """Whether a request that names no model is refused instead of going to any worker."""


class RelayLane:
    """Starts exchanges and keeps the set of those under way."""

    def __init__(
        self,
        *,
        config: RelayConfig,
        registry: Registry,
        selector: Selector,
        retry: RetryPolicy,
        telemetry: Telemetry,
        clock: Callable[[], float],
        rng: Random,
        on_finished: Callable[[Exchange, int, str], None],
        on_refused: Callable[[InboundRequest, RelayRoute, int, str], None],
        recorder: TraceRecorder | None = None,
        pairs: PairPlane | None = None,
    ) -> None:
        self._registry = registry
        self._on_finished = on_finished
        self._on_refused = on_refused
        self._log = get_logger("smg_gateway.lanes.relay")
        self.selector = selector
        self.telemetry = telemetry
        self.recorder = recorder
        self._pairs = pairs
        self._process = ProcessMetrics(
            telemetry.exposition,
            lambda: [clock() - exchange.request.started for exchange in self.active],
        )
        self.clock = clock
        self.rng = rng
        self.active: set[Exchange] = set()
        self._logs_choices = False
        self.readers = BodyReaders()
        self.decisions = DecisionLog()
        self.reconfigure(config, retry)

    def reconfigure(self, config: RelayConfig, retry: RetryPolicy) -> None:
        """Other values from now on; attempts under way keep their deadlines."""
        self._config = config
        self._routing = RoutingReader(config.routing_key_headers, config.sessions)
        self.follows_responses = self._routing.follows_responses
        self.retry = retry
        self.timeout_s = config.request_timeout_s
        self.keepalive_s = config.keepalive_s
        self.hold_s = config.keepalive_s or SILENT_HEAD_HOLD_S

    def start(self, request: InboundRequest, client: Client, route: RelayRoute) -> Job | None:
        """Handle a request; None when it has been answered at once."""
        engine = request.fields.get(b"x-smg-parser")
        if engine is not None:
            try:
                read_engine(engine.decode("latin-1"))
            except HeaderInvalid as invalid:
                self.answer(request, client, route, parser_header_invalid(str(invalid)))
                return None
        if self._goes_unread(route):
            return self._begin(request, client, route, Read(UnreadView(), None, request.body))
        if route.envelope is Envelope.ANTHROPIC:
            version = request.fields.get(b"anthropic-version")
            try:
                if version is not None:
                    check_anthropic_version(version)
            except RequestInvalid as invalid:
                self.answer(request, client, route, refused(invalid))
                return None
        if len(request.body) > INLINE_BYTES:
            return self.readers.start(
                lambda: read_body(request, route, self.canonical),
                lambda read: self._begin(request, client, route, read),
                lambda invalid: self.answer(request, client, route, refused(invalid)),
                lambda error: self._crash(request, client, route, error),
                lambda: self.abandoned(request, route),
            )
        try:
            read = read_body(request, route, self.canonical)
        except RequestInvalid as invalid:
            self.answer(request, client, route, refused(invalid))
            return None
        return self._begin(request, client, route, read)

    def _crash(
        self, request: InboundRequest, client: Client, route: RelayRoute, error: Exception
    ) -> None:
        self._log.error("reading a body failed", request_id=request.id, exc_info=error)
        self.answer(request, client, route, INTERNAL_ERROR)

    def _goes_unread(self, route: RelayRoute) -> bool:
        """Whether nothing depends on what the body says, so that the worker alone judges it."""
        return (
            route.may_go_unread
            and self.recorder is None
            and self._config.sessions is None
            and self.retry.max_attempts == 1
            and not self.selector.needs_text
            and not self._config.requires_model
            and self._registry.snapshot.is_uniform
        )

    def canonical(self, model: str) -> str:
        """The model that an alias stands for."""
        given = self._config.aliases.get(model)
        if given is not None:
            return given
        return self._registry.snapshot.aliases.get(model, model)

    def timeout_of(self, worker: Worker) -> float:
        """Seconds that an attempt may take at a worker."""
        return worker.timeout_s or self.timeout_s

    def _begin(
        self, request: InboundRequest, client: Client, route: RelayRoute, read: Read
    ) -> Job | None:
        view, model, body = read
        plane = self.pairs_for(model)
        workers = self.serving(model) if plane is None else plane.candidates(model)[0]
        label = self.telemetry.model_label(model, bool(workers))
        backend = Exchange.backend if plane is None else PairExchange.backend
        series = self.telemetry.router_series(label, route.endpoint, view.stream, backend)
        series.requests.value += 1
        unread = isinstance(view, UnreadView)
        (self.telemetry.body_unread if unread else self.telemetry.body_read).value += 1
        if model is None and self._config.requires_model:
            self.telemetry.request_failed(label, route.endpoint, MISSING_MODEL.status)
            self.answer(request, client, route, MISSING_MODEL)
            return None
        if plane is not None and route.pair_refusal is not None:
            refusal = route.pair_refusal
            self.telemetry.request_failed(label, route.endpoint, refusal.status, backend)
            self.answer(request, client, route, refusal)
            return None
        if not workers and model is not None and plane is None:
            self.telemetry.request_failed(label, route.endpoint, 404)
            self.telemetry.upstream_responded(404, "model_not_found")
            self.answer(request, client, route, model_not_found(model))
            return None
        routing, key_source = self.routable(request, view, model, workers, plane)
        if key_source:
            self.telemetry.session_key_found(key_source)
        if plane is None or route.prefill_alone:
            exchange = Exchange(self, request, client, route, view, routing, label, body)
        else:
            exchange = PairExchange(self, plane, request, client, route, view, routing, label, body)
        if self.recorder is not None:
            text = routing.text or view.routing_text()
            exchange.recording = self.recorder.begin(
                model, text, routing.tokens, routing.routing_key
            )
        exchange.start()
        return exchange

    def answer(
        self, request: InboundRequest, client: Client, route: RelayRoute, error: ErrorRecord
    ) -> None:
        """Answer with an error before any worker is involved."""
        headers, body = render(error, route.envelope, request.id)
        headers.append((b"x-request-id", request.id.encode()))
        series = self.telemetry.path_series("POST", route.path)
        series.duration_s.observe(self.clock() - request.started)
        self.telemetry.responded(route.path, error.status, error.code or "")
        self._on_refused(request, route, error.status, error.code or "")
        client.respond(error.status, headers, body)

    def abandoned(self, request: InboundRequest, route: RelayRoute) -> None:
        """The client has left before any worker was involved."""
        self.telemetry.responded(route.path, CLIENT_CLOSED_REQUEST, "client_closed_request")
        self._on_refused(request, route, CLIENT_CLOSED_REQUEST, "client_closed_request")

    def pairs_for(self, model: str | None) -> PairPlane | None:
        """Who takes a request for `model`, where that is a pair of workers."""
        plane = self._pairs
        return plane if plane is not None and plane.takes(model) else None

    def worker_removed(self, worker: Worker) -> None:
        """Let all policies forget a worker that has left."""
        self.selector.worker_removed(worker)
        if self._pairs is not None:
            self._pairs.worker_removed(worker)

    async def run(self) -> None:
        """Watch deadlines and silence for ever; cancel to stop."""
        swept = self.clock()
        while True:
            self._logs_choices = bool(self._log.is_enabled_for(DEBUG))
            slept = self.clock()
            await asyncio.sleep(TICK_S)
            now = self.clock()
            self._process.loop_was_late(now - slept - TICK_S)
            if now - swept >= POLICY_SWEEP_S:
                swept = now
                self.selector.sweep(now)
                if self._pairs is not None:
                    self._pairs.sweep(now)
            if self._pairs is not None:
                self._pairs.tick(now)
            for exchange in list(self.active):
                self._tick(exchange, now)
            for worker in self._registry.snapshot.workers:
                worker.pool.sweep()

    def _tick(self, exchange: Exchange, now: float) -> None:
        try:
            exchange.tick(now)
        except Exception as error:  # noqa: BLE001 - one exchange's defect must not stop the clock of all others
            self._log.error("exchange failed", request_id=exchange.request.id, exc_info=error)
            exchange.crash()

    def serving(self, model: str | None) -> Sequence[Worker]:
        """The workers of a model as of now: those of the prefill leg where it has no others."""
        workers = self._registry.snapshot.serving(model)
        if workers or self._pairs is None:
            return workers
        return self._pairs.candidates(model)[0]

    def call_later(self, delay_s: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Run `action` on the event loop after a pause."""
        return asyncio.get_running_loop().call_later(delay_s, action)

    def routable(
        self,
        request: InboundRequest,
        view: RequestView,
        model: str | None,
        workers: Sequence[Worker],
        plane: PairPlane | None,
    ) -> Routable:
        """What the policies get to see of a request; `plane` has them if it goes to a pair."""
        selector = self.selector if plane is None else plane.selector
        return self._routing.read(request, view, model, workers, needs_text=selector.needs_text)

    def response_seen(self, exchange: Exchange, start: bytes) -> None:
        """A Responses answer begins: requests that name it later are to go to the same worker."""
        named = _RESPONSE_ID.search(start)
        if named is not None and exchange.worker is not None:
            key = named[1].decode("latin-1")
            self.selector.remember(exchange.routing.model, key, exchange.worker)

    # --- what exchanges tell -------------------------------------------------------------

    def selected(self, exchange: Exchange, selection: Selection, leg: str | None = None) -> None:
        """A worker was chosen: metrics, decision log and debug log say so.

        `leg` is its part of a request that two workers share.
        """
        decision = selection.decision
        self.telemetry.selected(exchange.model_label, decision, leg or Exchange.backend)
        if selection.veto:
            self.telemetry.veto_overruled(selection.veto)
        choice = Choice(
            exchange.request.id,
            exchange.routing.model,
            exchange.attempts,
            decision,
            selection.considered,
            selection.took_s,
            time.time(),
            leg,
        )
        self.decisions.add(choice)
        if self._logs_choices:
            self._log.debug("worker chosen", **msgspec.to_builtins(choice.record()))

    def judge(self, worker: Worker, success: bool) -> None:
        """An attempt's outcome goes to the worker's breaker."""
        if success:
            worker.breaker.record_success()
        else:
            worker.breaker.record_failure(self.clock())
        self.telemetry.breaker_outcome(worker, success)

    def judge_status(self, worker: Worker, status: int | None) -> None:
        """The same by status: None is a transport failure, 0 says nothing about the worker."""
        if status is None:
            worker.faults += 1
        elif status:
            worker.contacts += 1
        if status == 0 or status in worker.neutral_statuses:
            return
        self.judge(worker, status is not None and status not in worker.failure_statuses)

    def note_failure(self, exchange: Exchange, error: UpstreamError) -> None:
        """Log a failed attempt."""
        worker = exchange.worker
        self._log.warning(
            "attempt failed",
            request_id=exchange.request.id,
            worker=worker.url if worker else None,
            attempt=exchange.attempts,
            fault=error.fault.value,
            detail=error.detail,
        )

    def head_sent(self, exchange: Exchange, now: float) -> None:
        """A response head goes out: the moment that durations are measured to."""
        elapsed_s = now - exchange.request.started
        route = exchange.route
        self.telemetry.path_series("POST", route.path).duration_s.observe(elapsed_s)
        self.telemetry.router_series(
            exchange.model_label, route.endpoint, exchange.intake.stream, exchange.backend
        ).duration_s.observe(elapsed_s)

    def finished(self, exchange: Exchange, status: int, error_code: str) -> None:
        """An exchange is over."""
        self.active.discard(exchange)
        if self.recorder is not None and exchange.recording is not None and status < 400:
            self.recorder.end(exchange.recording)
        if status >= 400:
            self.telemetry.request_failed(
                exchange.model_label, exchange.route.endpoint, status, exchange.backend
            )
        self.telemetry.responded(exchange.route.path, status, error_code)
        self._on_finished(exchange, status, error_code)
