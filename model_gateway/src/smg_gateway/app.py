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
from random import Random

from smg_policies import create_policy
from starlette.routing import BaseRoute

from .admin import (
    BODY_PATHS,
    Readiness,
    cancel_route,
    decision_routes,
    information_routes,
    probe_routes,
    unserved_routes,
)
from .admission import DataPlaneKeys, RequestIds
from .dialects import RELAY_ROUTES, RelayRoute
from .edge import AsgiCycle, EdgeConnection
from .errors import BODY_TOO_LARGE, Envelope, ErrorRecord, render
from .front import AsgiApp, Front, Receive, Scope, Send, starlette_app
from .intake import BodyReader, RelayEndpoint
from .lanes import Client, InboundRequest, Job, RelayConfig, RelayLane
from .lanes.exchange import Exchange
from .observability.access import AccessLog
from .observability.logs import get_logger
from .observability.telemetry import Telemetry
from .selection import Selector
from .settings import Settings
from .upstream import Pool, PoolLimits, parse_origin
from .wiring import (
    breaker_config,
    health_config,
    policy_config,
    registration_config,
    retry_policy,
    worker_tls,
)
from .workers import (
    BreakerState,
    CircuitBreaker,
    HealthMonitor,
    Registrar,
    Registry,
    Snapshot,
    Worker,
)

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
        self._ids = _request_ids(settings)
        self._pools: set[Pool] = set()
        self._tls = worker_tls(settings) if _needs_tls(settings) else None
        self.telemetry = Telemetry(settings.prometheus_duration_buckets)
        self.registry = Registry()
        self.registry.on_change(self._registry_changed)
        self.telemetry.watch(self.registry, lambda: self.active_requests)
        self.readiness = Readiness(self.registry)
        aliases = dict(settings.model_alias)
        self.lane = self._relay_lane(aliases)
        routes: list[BaseRoute] = [
            *probe_routes(self.readiness),
            *information_routes(self.registry, aliases),
            cancel_route(self.registry, self._keys),
            *decision_routes(self.lane.decisions, self._keys),
            *unserved_routes(self._keys, settings.max_payload_size),
        ]
        post_only = {route.path for route in RELAY_ROUTES.values()}
        self._front: AsgiApp = Front(
            starlette_app(routes, post_only), self.telemetry, self._access, clock
        )
        self._reader = BodyReader(settings.max_payload_size, clock)
        self._endpoint = RelayEndpoint(self._relay, self._reader)

    def _relay_lane(self, aliases: dict[str, str]) -> RelayLane:
        settings = self.settings
        config = policy_config(settings)
        return RelayLane(
            config=RelayConfig(
                request_timeout_s=settings.request_timeout_secs,
                keepalive_s=settings.sse_keepalive_secs,
                aliases=aliases,
                routing_key_headers=tuple(
                    name.lower().encode()
                    for name in settings.routing_key_headers or ("x-smg-routing-key",)
                ),
            ),
            registry=self.registry,
            selector=Selector(
                lambda: create_policy(settings.policy, self._new_rng(), config, self._clock),
                clock=self._clock,
            ),
            retry=retry_policy(settings),
            telemetry=self.telemetry,
            clock=self._clock,
            rng=self._rng,
            on_finished=self._exchange_finished,
            on_refused=self._request_refused,
        )

    def _new_rng(self) -> Random:
        return Random(self._rng.random())

    @property
    def active_requests(self) -> int:
        """Requests being handled."""
        return len(self.lane.active) + len(self.lane.readers) + len(self._cycles)

    # --- lifetime ------------------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Register workers and watch them until left; then close every connection."""
        jobs = [
            self.lane.run(),
            self._health_monitor().run(),
            self._registrar().run(self.settings.worker_urls),
        ]
        background = [asyncio.get_running_loop().create_task(self._guard(job)) for job in jobs]
        try:
            yield
        finally:
            for task in (*background, *self._cycles):
                task.cancel()
            await asyncio.gather(*background, *self._cycles, return_exceptions=True)
            await self.lane.readers.close()
            for exchange in list(self.lane.active):
                exchange.client_left()
            for pool in list(self._pools):
                await pool.aclose()

    async def _guard(self, job: Coroutine[object, object, None]) -> None:
        """A background job that dies must not die unseen."""
        try:
            await job
        except Exception as error:  # the boundary of a background job
            self._log.error("background job failed", exc_info=error)
            raise

    def _health_monitor(self) -> HealthMonitor:
        return HealthMonitor(
            self.registry,
            health_config(self.settings),
            on_probe=lambda worker, healthy: self.telemetry.probed(healthy),
            on_status=self._status_changed,
        )

    def _registrar(self) -> Registrar:
        return Registrar(
            self.registry,
            config=registration_config(self.settings),
            health=health_config(self.settings),
            create=self._create_worker,
            create_pool=self._create_pool,
            api_key=self.settings.api_key,
            on_registered=lambda worker: self._log.info(
                "worker registered", worker=worker.url, models=worker.models or "any"
            ),
            on_failed=lambda url, reason: self._log.error(
                "worker given up", worker=url, reason=reason
            ),
            clock=self._clock,
        )

    def _create_pool(self, url: str) -> Pool:
        limits = PoolLimits(idle_timeout_s=self.settings.upstream_pool_idle_timeout_secs)
        pool = Pool(parse_origin(url), limits=limits, clock=self._clock, tls=self._tls)
        self._pools.add(pool)
        return pool

    def _create_worker(self, url: str, pool: Pool, models: tuple[str, ...]) -> Worker:
        def breaker_moved(old: BreakerState, new: BreakerState) -> None:
            self.telemetry.breaker_moved(url, old, new)
            self._log.warning(
                "circuit breaker moved",
                worker=url,
                old=old.name.lower(),
                new=new.name.lower(),
            )

        return Worker(
            id=url,
            url=url,
            models=models,
            pool=pool,
            breaker=CircuitBreaker(breaker_config(self.settings), breaker_moved),
            api_key=self.settings.api_key,
        )

    def _registry_changed(self, old: Snapshot, new: Snapshot) -> None:
        for worker in set(old.workers) - set(new.workers):
            self.telemetry.worker_removed(worker)
            self.lane.selector.worker_removed(worker)

    def _status_changed(self, worker: Worker) -> None:
        self._log.warning("worker status changed", worker=worker.url, status=worker.status.value)

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
        return self.lane.start(request, client, route)

    def _request_refused(
        self, request: InboundRequest, route: RelayRoute, error: ErrorRecord
    ) -> None:
        if self._access.enabled():
            self._access.write(
                method="POST",
                path=route.path,
                status=error.status,
                duration_s=self._clock() - request.started,
                request_id=request.id,
                error_code=error.code or "",
            )

    def _exchange_finished(self, exchange: Exchange, status: int, error_code: str) -> None:
        if not self._access.enabled():
            return
        worker = exchange.worker
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


def _needs_tls(settings: Settings) -> bool:
    return any(url.startswith("https://") for url in settings.worker_urls)
