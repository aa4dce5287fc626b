"""The process that `smg launch` runs: listeners, signals, graceful shutdown."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager

from .admission import BodyBudget
from .app import Gateway, create_app
from .edge import EdgeConnection, EdgeLimits, Listener
from .errors import ErrorRecord
from .lanes.client import Job
from .lanes.request import InboundRequest
from .observability.logs import get_logger
from .observability.metrics import CONTENT_TYPE
from .observability.process_log import ProcessLog
from .reconfiguration import Reconfigurer
from .settings import FileWatch, Settings
from .wiring import edge_limits, server_tls

DRAIN_NOTICE_S = 5.0
"""After SIGTERM the listener goes on for up to this long (half the grace period at most), so that
load balancers can see the readiness probe fail before connections are refused."""
GC_THRESHOLD = 50_000
"""Garbage comes from reference cycles, which the request path does not make; the default of 700
allocations costs several percent of CPU."""
PROBE_LIMITS = EdgeLimits(max_body_bytes=64 * 1024)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_PLAIN = (b"content-type", b"text/plain; charset=utf-8")


class StartupError(RuntimeError):
    """The gateway cannot start; the message says why."""


class PageHandler:
    """Serves a few GET pages: the metrics and the probe listener."""

    def __init__(self, gateway: Gateway, *, metrics: bool) -> None:
        self._gateway = gateway
        self._metrics = metrics
        self.bodies = BodyBudget()

    def handle(self, request: InboundRequest, connection: EdgeConnection) -> Job | None:
        """Answer at once."""
        status, content_type, body = self._page(request.path)
        if status == 200 and request.method not in (b"GET", b"HEAD"):
            connection.respond(405, [(b"allow", b"GET")], b"")
        else:
            connection.respond(status, [content_type], body)
        return None

    def screen(self, request: InboundRequest) -> ErrorRecord | None:
        """Small bodies are all that is taken; there is nothing to screen."""
        return None

    def refuse(
        self, request: InboundRequest | None, error: ErrorRecord
    ) -> tuple[Sequence[tuple[bytes, bytes]], bytes]:
        """A bare status; nothing is counted here."""
        return [_PLAIN], b""

    def connection_timed_out(self, reason: str) -> None:
        """Count a connection closed for slowness."""
        self._gateway.connection_timed_out(reason)

    def _page(self, path: bytes) -> tuple[int, tuple[bytes, bytes], bytes]:
        gateway = self._gateway
        if self._metrics and path == b"/metrics":
            page = gateway.telemetry.exposition.render()
            return 200, (b"content-type", CONTENT_TYPE), page
        if not self._metrics and path in (b"/liveness", b"/health"):
            return 200, _PLAIN, b"OK"
        if not self._metrics and path == b"/readiness":
            status, body = gateway.readiness.answer()
            return status, (b"content-type", b"application/json"), body
        return 404, _PLAIN, b""


class Server:
    """All listeners of one gateway."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gateway = create_app(settings)
        self.stopped = asyncio.Event()
        self._hurry = asyncio.Event()
        self._log = get_logger("smg_gateway.server")
        clock = time.monotonic
        self.main = Listener(
            self.gateway,
            host=settings.bind_host,
            port=settings.port,
            limits=edge_limits(settings),
            clock=clock,
            tls=server_tls(settings),
        )
        self.pages = [
            Listener(
                PageHandler(self.gateway, metrics=True),
                host=settings.metrics_bind_host,
                port=settings.prometheus_port,
                limits=PROBE_LIMITS,
                clock=clock,
            )
        ]
        if settings.health_check_port is not None:
            self.pages.append(
                Listener(
                    PageHandler(self.gateway, metrics=False),
                    host=settings.bind_host,
                    port=settings.health_check_port,
                    limits=PROBE_LIMITS,
                    clock=clock,
                )
            )

    async def reconfigure(self, settings: Settings) -> None:
        """Put other settings into force; raises as `Gateway.reconfigure` does."""
        self.gateway.reconfigure(settings)
        self.settings = settings
        self.main.reconfigure(edge_limits(settings))
        await self.gateway.follow_workers()

    def stop(self) -> None:
        """Begin to shut down; the second call does not wait for requests any more."""
        if self.stopped.is_set():
            self._hurry.set()
        self.stopped.set()

    async def run(self) -> None:
        """Serve until `stop`; raises StartupError when an address is taken."""
        async with self.gateway.lifespan():
            try:
                for listener in self.pages:
                    await _bind(listener, "metrics server")
                await _bind(self.main, "server")
                self._log.info(
                    "gateway listening",
                    host=self.settings.host,
                    port=self.main.port,
                    policy=self.settings.policy,
                    workers=len(self.settings.worker_urls),
                )
                gc.freeze()
                await self.stopped.wait()
                await self._drain()
            finally:
                for listener in (self.main, *self.pages):
                    await listener.close()
        self._log.info("gateway stopped")

    async def _drain(self) -> None:
        grace_s = float(self.settings.shutdown_grace_period_secs)
        notice_s = min(grace_s / 2, DRAIN_NOTICE_S)
        self.gateway.readiness.draining = True
        self._log.info("draining", grace_s=grace_s, active=self.gateway.active_requests)
        await self._unless_hurried(asyncio.sleep(notice_s), notice_s + 1)
        self.main.stop_accepting()
        await self._unless_hurried(self.main.drained(), grace_s - notice_s)
        if self.gateway.active_requests:
            self._log.warning("requests cut off", active=self.gateway.active_requests)

    async def _unless_hurried(
        self, wait: Coroutine[object, object, None], timeout_s: float
    ) -> None:
        """Wait for `wait`, at most `timeout_s`, and no longer once a second signal has come."""
        loop = asyncio.get_running_loop()
        waiting = {loop.create_task(wait), loop.create_task(self._hurried())}
        _, pending = await asyncio.wait(
            waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _hurried(self) -> None:
        await self._hurry.wait()


async def _bind(listener: Listener, what: str) -> None:
    try:
        await listener.start()
    except OSError as error:
        reason = f"{os.strerror(error.errno)} (os error {error.errno})" if error.errno else error
        address = f"{listener.host}:{listener.wanted_port}"
        raise StartupError(f"failed to bind {what} on {address}: {reason}") from error


Reread = Callable[[], Settings]


def _reconfigurer(server: Server, logs: ProcessLog, reread: Reread) -> Reconfigurer:
    settings = server.settings
    reloads = server.gateway.telemetry.exposition.counter(
        "smg_config_reloads_total", "Looks at changed settings.", ("result",)
    )

    async def apply(changed: Settings) -> None:
        await server.reconfigure(changed)
        logs.reconfigure(changed)

    return Reconfigurer(
        settings,
        reread=reread,
        apply=apply,
        outcome=lambda result: reloads.of(result).inc(),
        watch=FileWatch(settings.config) if settings.config is not None else None,
    )


async def _serve(
    settings: Settings, warnings: Sequence[str], logs: ProcessLog, reread: Reread | None
) -> None:
    server = Server(settings)
    logs.watch(server.gateway.telemetry.exposition)
    log = get_logger("smg_gateway.server")
    for warning in warnings:
        log.warning(warning)
    if reread is None:
        with _signals(server.stop, None):
            await server.run()
        return
    reconfigurer = _reconfigurer(server, logs, reread)
    with _signals(server.stop, reconfigurer.ask):
        watch = asyncio.get_running_loop().create_task(reconfigurer.run())
        try:
            await server.run()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


@contextmanager
def _signals(stop: Callable[[], None], reload: Callable[[], None] | None) -> Iterator[None]:
    """Call `stop` for SIGTERM and SIGINT, `reload` for SIGHUP."""
    loop = asyncio.get_running_loop()
    actions = dict.fromkeys(STOP_SIGNALS, stop)
    if reload is not None:
        actions[signal.SIGHUP] = reload

    def heard(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(actions[signal.Signals(number)])

    # Not `loop.add_signal_handler`: closing the loop would restore the default action, and a signal
    # that comes while the process is already on its way out would kill it.
    for number in actions:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number in actions:
            signal.signal(number, signal.SIG_IGN)


def run(settings: Settings, warnings: Sequence[str], reread: Reread | None = None) -> int:
    """Run a gateway in this process until a signal stops it; the exit code.

    `reread` gives the settings anew on SIGHUP and when their file has changed. Raises ConfigError
    for settings that this installation cannot honour.
    """
    logs = ProcessLog(settings)
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, warnings, logs, reread))
    except StartupError as error:
        logs.close()
        print(f"RuntimeError: {error}", file=sys.stderr)
        return 1
    finally:
        logs.close()
    return 0


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
