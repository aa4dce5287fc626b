"""The composition root: from settings to a running gateway.

Everything is constructed here and passed on; there is no module state. `Gateway` is an ASGI
application for any server, and the `Handler` of the gateway's own server, which takes the relayed
routes past ASGI.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from starlette.routing import BaseRoute

from .admin import (
    BODY_PATHS,
    Readiness,
    cancel_route,
    control_routes,
    decision_routes,
    explain_route,
    information_routes,
    probe_routes,
    takes_control_body,
    tokenizer_routes,
    unserved_routes,
)
from .admission import BodyBudget, ControlPlaneKeys, DataPlaneKeys, Gate, RequestIds
from .dialects import RELAY_ROUTES, RelayRoute
from .discovery import Discovery, open_discovery
from .edge import AsgiCycle, EdgeConnection
from .errors import BODY_TOO_LARGE, Envelope, ErrorRecord, render
from .front import Admitted, AsgiApp, Front, Receive, Scope, Send, starlette_app
from .intake import BodyReader, RelayEndpoint
from .lanes import Client, InboundRequest, Job, RelayLane
from .lanes.exchange import Exchange
from .lanes.pair_plane import PairPlane
from .lanes.pairing import compatible
from .observability.access import AccessLog
from .observability.admission import AdmissionMetrics
from .observability.fleet import FleetTelemetry
from .observability.logs import get_logger
from .observability.policies import PolicyMetrics
from .observability.recording import TraceRecorder
from .observability.telemetry import Telemetry
from .observability.tokenizers import TokenizerMetrics
from .observability.tracing import Tracing, open_tracing
from .selection import PairSelector, PolicyMaker, Selector
from .settings import Settings
from .tokenizers import Catalogue
from .wiring import (
    catalogue_config,
    discovery_config,
    fleet_config,
    limits,
    pair_config,
    policy_config,
    policy_settings,
    relay_config,
    retry_policy,
    shed_retry_after_s,
    static_workers,
    worker_tls,
)
from .workers import Fleet, Registry, Snapshot

_POST = b"POST"


class Gateway:
    """One gateway. Enter `lifespan()` before the first request; leave it to stop."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: Random | None = None,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._rng = rng or Random()
        self._log = get_logger("smg_gateway.app")
        self._cycles: set[asyncio.Task[None]] = set()
        self._access = AccessLog()
        self._keys = DataPlaneKeys(settings.api_key)
        self._control_keys = ControlPlaneKeys(
            self._keys, only_tenants=settings.api_key is None and bool(settings.tenant_api_key)
        )
        self.bodies = BodyBudget(settings.body_memory_bytes)
        self._ids = _request_ids(settings)
        self.telemetry = Telemetry(settings.prometheus_duration_buckets)
        self.gate = Gate(limits(settings), clock, AdmissionMetrics(self.telemetry.exposition))
        self.registry = Registry()
        self.registry.on_change(self._registry_changed)
        self.telemetry.watch(self.registry, lambda: self.active_requests)
        self.fleet = Fleet(
            fleet_config(settings),
            registry=self.registry,
            events=FleetTelemetry(self.telemetry, self.registry),
            tls=lambda: worker_tls(settings),
            clock=clock,
        )
        self._discovery = self._open_discovery()
        self.tokenizers = Catalogue(catalogue_config(settings))
        TokenizerMetrics(self.telemetry.exposition, self.tokenizers.registry.list)
        self.readiness = Readiness(self.registry, paired=settings.pd_disaggregation)
        self._recorder = TraceRecorder(Path(path)) if (path := settings.record_trace) else None
        self._tracing: Tracing | None = None
        self._legs: list[Selector] = []
        self.lane = self._relay_lane()
        routes: list[BaseRoute] = [
            *probe_routes(self.readiness),
            *information_routes(self.registry, self.lane.canonical),
            cancel_route(self.registry, self._keys),
            *decision_routes(self.lane.decisions, self._keys),
            explain_route(self.lane, self._keys, settings.max_payload_size),
            *control_routes(self.fleet, self._control_keys, settings.max_payload_size),
            *tokenizer_routes(
                self.tokenizers, self._keys, self._control_keys, settings.max_payload_size
            ),
            *unserved_routes(self._keys, settings.max_payload_size),
        ]
        post_only = {route.path for route in RELAY_ROUTES.values()}
        self._front: AsgiApp = Front(
            Admitted(starlette_app(routes, post_only), self.gate, self._keys),
            self.telemetry,
            self._access,
            clock,
        )
        self._reader = BodyReader(settings.max_payload_size, self.bodies, clock)
        self._endpoint = RelayEndpoint(self._relay, self._reader)

    def _relay_lane(self) -> RelayLane:
        settings = self.settings
        selector = Selector(
            self._policy_maker(settings).create, clock=self._clock, label_of=self._policy_label
        )
        selector.shed_retry_after_s = shed_retry_after_s(settings)
        PolicyMetrics(
            self.telemetry.exposition,
            lambda: [pair for each in (selector, *self._legs) for pair in each.by_model.items()],
            lambda model: self.telemetry.model_label(model, served=True),
        )
        return RelayLane(
            config=relay_config(settings),
            registry=self.registry,
            selector=selector,
            retry=retry_policy(settings),
            telemetry=self.telemetry,
            clock=self._clock,
            rng=self._rng,
            on_finished=self._exchange_finished,
            on_refused=self._request_refused,
            recorder=self._recorder,
            pairs=self._pair_plane(settings),
        )

    def _pair_plane(self, settings: Settings) -> PairPlane:
        cap = settings.prefill_max_inflight_requests_per_worker
        return PairPlane(
            pair_config(settings),
            registry=self.registry,
            selector=PairSelector(
                self._leg_selector(settings, settings.prefill_policy),
                self._leg_selector(settings, settings.decode_policy),
                partners=compatible,
                max_prefills=cap if cap > 0 else None,
            ),
            telemetry=self.telemetry,
            clock=self._clock,
        )

    def _leg_selector(self, settings: Settings, policy: str | None) -> Selector:
        selector = Selector(self._policy_maker(settings, policy).create, clock=self._clock)
        selector.shed_retry_after_s = shed_retry_after_s(settings)
        self._legs.append(selector)
        return selector

    def _renew_policies(self, settings: Settings) -> None:
        """Choose by other policies; raises what making one raises, and nothing has changed then."""
        names = (None, settings.prefill_policy, settings.decode_policy)
        makers = [self._policy_maker(settings, name) for name in names]
        for maker in makers:
            maker.create()
        for selector, maker in zip((self.lane.selector, *self._legs), makers, strict=True):
            selector.renew(maker.create)

    def _policy_maker(self, settings: Settings, policy: str | None = None) -> PolicyMaker:
        return PolicyMaker(
            policy or settings.policy,
            policy_config(settings),
            sticky=settings.routing_key_override,
            by_rank=settings.dp_aware and settings.dp_minimum_tokens_scheduler,
            rng=self._rng,
            clock=self._clock,
        )

    def reconfigure(self, settings: Settings) -> None:
        """Put other settings into force, in one step; `follow_workers` is to be called next.

        Settings that cannot change live are the caller's to refuse. Raises what
        making a policy raises; nothing has changed then.
        """
        old, fleet, lane = self.settings, fleet_config(settings), relay_config(settings)
        if policy_settings(settings) != policy_settings(old):
            self._renew_policies(settings)
        self.settings = settings
        for selector in (self.lane.selector, *self._legs):
            selector.shed_retry_after_s = shed_retry_after_s(settings)
        self.lane.reconfigure(lane, retry_policy(settings))
        self.fleet.reconfigure(fleet)
        self.gate.reconfigure(limits(settings))
        self.bodies.limit_bytes = settings.body_memory_bytes
        self._keys.replace(settings.api_key)
        self._ids = _request_ids(settings)
        self._reader.max_body_bytes = settings.max_payload_size
        if self._tracing is not None:
            self._tracing.requests.ratio = settings.trace_sample_ratio

    async def follow_workers(self) -> None:
        """Register workers that the settings name now, and drain those they no longer name."""
        await self.fleet.follow(static_workers(self.settings))

    @property
    def active_requests(self) -> int:
        """Requests being handled."""
        lane = self.lane
        return len(lane.active) + len(lane.readers) + len(self._cycles) + len(self.gate)

    # --- lifetime ------------------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Register workers and watch them until left; then close every connection."""
        jobs = [
            self.lane.run(),
            self.fleet.run(static_workers(self.settings)),
            self.tokenizers.run(),
        ]
        if self._discovery is not None:
            jobs.append(self._discovery.run())
        if self._recorder is not None:
            jobs.append(self._recorder.run())
        if self.settings.enable_trace:
            self._tracing = self._open_tracing()
        background = [asyncio.get_running_loop().create_task(self._guard(job)) for job in jobs]
        try:
            yield
        finally:
            for task in (*background, *self._cycles):
                task.cancel()
            await asyncio.gather(*background, *self._cycles, return_exceptions=True)
            self.gate.close()
            await self.lane.readers.close()
            for exchange in list(self.lane.active):
                exchange.client_left()
            await self.fleet.close()
            if self._tracing is not None:
                await self._tracing.close()

    def _open_discovery(self) -> Discovery | None:
        config = discovery_config(self.settings)
        if config is None:
            return None
        return open_discovery(
            config,
            self.fleet,
            self.telemetry.exposition,
            self.telemetry.duration_bounds_s,
            start_delay_s=self.settings.worker_startup_delay,
            clock=self._clock,
        )

    def _open_tracing(self) -> Tracing:
        settings = self.settings
        return open_tracing(
            settings.otlp_traces_endpoint,
            settings.otlp_traces_protocol,
            settings.trace_sample_ratio,
            Random(self._rng.random()),
        )

    async def _guard(self, job: Coroutine[object, object, None]) -> None:
        """A background job that dies must not die unseen."""
        try:
            await job
        except Exception as error:  # the boundary of a background job
            self._log.error("background job failed", exc_info=error)
            raise

    def _registry_changed(self, old: Snapshot, new: Snapshot) -> None:
        there = {worker.id for worker in new.workers}
        for worker in old.workers:
            if worker.id not in there:
                self.lane.worker_removed(worker)
        self.lane.selector.models_changed(new.by_model.keys())

    def _policy_label(self, model: str | None) -> str | None:
        """The policy that the first worker of a model asks for."""
        workers = self.registry.snapshot.serving(model)
        return workers[0].labels.get("policy") if workers else None

    # --- ASGI ----------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry for foreign servers and mounts."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        request = self._reader.head(scope)
        route = self._identify(request)
        if route is not None:
            await self._endpoint.serve(request, route, receive, send)
            return
        state = {**scope.get("state", {}), "request": request}
        await self._front({**scope, "state": state}, receive, send)

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    # --- Handler of the gateway's own server ---------------------------------------------

    def handle(self, request: InboundRequest, connection: EdgeConnection) -> Job | None:
        """Handle a request of the gateway's own server."""
        route = self._identify(request)
        if route is not None:
            return self._relay(request, connection, route)
        cycle = AsgiCycle(
            self._front,
            request,
            connection,
            lambda error: self._log.error("request failed", exc_info=error),
        )
        task = asyncio.get_running_loop().create_task(cycle.run())
        self._cycles.add(task)
        task.add_done_callback(self._cycles.discard)
        return cycle

    def screen(self, request: InboundRequest) -> ErrorRecord | None:
        """Refuse a request by its head alone: the key is wrong, or nothing takes such a body."""
        if request.method == _POST and (request.path in RELAY_ROUTES or request.path in BODY_PATHS):
            return self._keys.check(request.fields)
        if takes_control_body(request):
            return self._control_keys.check(request.fields)
        return BODY_TOO_LARGE

    def refuse(
        self, request: InboundRequest | None, error: ErrorRecord
    ) -> tuple[Sequence[tuple[bytes, bytes]], bytes]:
        """Account for a request that the server refused by itself; headers and body to answer."""
        fields = request.fields if request is not None else {}
        route = RELAY_ROUTES.get(request.path) if request is not None else None
        self.telemetry.responded(
            route.path if route is not None else "other", error.status, error.code or ""
        )
        request_id = self._ids.choose(fields, route.id_prefix if route is not None else "req-")
        envelope = route.envelope if route is not None else Envelope.OPENAI
        headers, body = render(error, envelope, request_id)
        headers.append((b"x-request-id", request_id.encode()))
        return headers, body

    def connection_timed_out(self, reason: str) -> None:
        """Count a connection closed for slowness."""
        self.telemetry.connection_timed_out(reason)

    # --- internals -----------------------------------------------------------------------

    def _identify(self, request: InboundRequest) -> RelayRoute | None:
        """Give the request its id; the route if it is a relayed one."""
        route = RELAY_ROUTES.get(request.path) if request.method == _POST else None
        request.id = self._ids.choose(
            request.fields, route.id_prefix if route is not None else "req-"
        )
        return route

    def _relay(self, request: InboundRequest, client: Client, route: RelayRoute) -> Job | None:
        self.telemetry.path_series("POST", route.path).requests.value += 1
        refusal = self._keys.check(request.fields)
        if refusal is not None:
            self.lane.answer(request, client, route, refusal)
            return None
        if self._tracing is not None:
            self._trace(self._tracing, request, route)
        if self.gate.take():
            return self._begin(request, client, route)
        return self.gate.wait(
            lambda: self._begin(request, client, route),
            lambda error: self.lane.answer(request, client, route, error),
            lambda: self.lane.abandoned(request, route),
        )

    def _begin(self, request: InboundRequest, client: Client, route: RelayRoute) -> Job | None:
        """Start an admitted request; its permit is held until the request has ended."""
        request.permit = True
        try:
            return self.lane.start(request, client, route)
        except BaseException:
            self._settle(request)
            raise

    def _trace(self, tracing: Tracing, request: InboundRequest, route: RelayRoute) -> None:
        age_s = self._clock() - request.started
        request.trace = tracing.requests.begin(request.fields, route.path, request.id, age_s)
        if request.trace is not None:
            # Workers belong to the span of the attempt, not to that of the client.
            request.headers = [pair for pair in request.headers if pair[0] != b"traceparent"]

    def _settle(self, request: InboundRequest) -> None:
        """A request has ended, whichever way; a second call changes nothing."""
        if request.permit:
            request.permit = False
            self.gate.release()

    def _request_refused(
        self, request: InboundRequest, route: RelayRoute, status: int, error_code: str
    ) -> None:
        self._settle(request)
        if request.trace is not None:
            request.trace.end(status, error_code)
        if self._access.enabled():
            self._access.write(
                method="POST",
                path=route.path,
                status=status,
                duration_s=self._clock() - request.started,
                request_id=request.id,
                error_code=error_code,
            )

    def _exchange_finished(self, exchange: Exchange, status: int, error_code: str) -> None:
        self._settle(exchange.request)
        worker = exchange.worker
        if exchange.request.trace is not None:
            exchange.request.trace.end(
                status,
                error_code,
                worker_url=worker.url if worker is not None else None,
                model=exchange.model_label,
                attempts=exchange.attempts,
                stream=exchange.intake.stream,
            )
        if not self._access.enabled():
            return
        self._access.write(
            method="POST",
            path=exchange.route.path,
            status=status,
            duration_s=self._clock() - exchange.request.started,
            request_id=exchange.request.id,
            error_code=error_code,
            worker=worker.url if worker is not None else None,
            model=exchange.model_label,
            attempts=exchange.attempts,
            stream=exchange.intake.stream,
        )


def create_app(settings: Settings) -> Gateway:
    """A gateway as an ASGI application.

    Run it under any ASGI server that speaks the lifespan protocol, or mount it in another
    application and enter `gateway.lifespan()` yourself.
    """
    return Gateway(settings)


def _request_ids(settings: Settings) -> RequestIds:
    def random_id() -> str:
        return secrets.token_hex(12)

    if settings.request_id_headers:
        return RequestIds(
            random_id, [name.lower().encode() for name in settings.request_id_headers]
        )
    return RequestIds(random_id)
