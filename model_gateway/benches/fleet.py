"""What a large fleet costs the gateway itself.

    python model_gateway/benches/fleet.py [--workers 1000] [--interval 10] [--seconds 20]

Prints the share of a core that probing takes, the time of a registry swap, and that of one
round_robin decision, with all workers there. The probed server runs in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop
from smg_gateway.app import Gateway
from smg_gateway.observability.logs import LogFilter, configure_logging
from smg_gateway.settings import Settings
from smg_gateway.upstream import Pool, PoolLimits, parse_origin
from smg_gateway.workers import (
    BreakerConfig,
    CircuitBreaker,
    HealthConfig,
    ModelCard,
    Registry,
    Worker,
    WorkerSpec,
)
from smg_gateway.workers.metadata import Metadata
from smg_policies import RoutingRequest

MODEL = "m"

_SERVER = """
import asyncio, sys
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n"
class Health(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(ANSWER * data.count(b"\\r\\n\\r\\n"))
async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Health, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()
import uvloop
uvloop.run(main())
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; times in seconds."""

    probe_share: float
    probes: int
    swap_s: float
    decision_s: float

    def __str__(self) -> str:
        return (
            f"probing: {self.probe_share:.1%} of a core ({self.probes} probes)\n"
            f"registry swap: {self.swap_s * 1e3:.2f} ms\n"
            f"round_robin decision: {self.decision_s * 1e6:.1f} us"
        )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_worker(url: str) -> Worker:
    """A worker that nobody speaks to."""
    pool = Pool(parse_origin(url), limits=PoolLimits(), clock=time.monotonic)
    breaker = CircuitBreaker(BreakerConfig(), lambda old, new: None)
    return Worker(url=url, models=(MODEL,), pool=pool, breaker=breaker)


def swap_s(count: int, repeat: int = 20) -> float:
    """Median time to add one worker to `count`, or to take it away again."""
    registry = Registry()
    registry.add(*(make_worker(f"http://10.0.0.1:{port + 1}") for port in range(count)))
    times = []
    for _ in range(repeat):
        extra = make_worker("http://10.0.0.2:1")
        for change in (registry.add, registry.remove):
            began = time.perf_counter()
            change(extra)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def decision_s(gateway: Gateway, repeat: int = 2000) -> float:
    """Median time of one choice, candidates and all."""
    selector = gateway.lane.selector
    request = RoutingRequest(model=MODEL)
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        selection = selector.select(request, gateway.registry.snapshot.serving(MODEL))
        times.append(time.perf_counter() - began)
        assert selection is not None
    return statistics.median(times)


async def probing(count: int, interval_s: int, seconds: float, port: int) -> Figures:
    """Probe `count` workers, all of them one server, and choose among them."""
    settings = Settings(
        policy="round_robin", log_level="error", health_check_interval_secs=interval_s
    )
    gateway = Gateway(settings)
    gateway.fleet.config = type(gateway.fleet.config)(
        health=HealthConfig(interval_s=interval_s), monitors_load=False
    )
    found = Metadata(cards=(ModelCard(id=MODEL),))
    specs = [WorkerSpec(url=f"http://127.0.0.1:{port}/{number}") for number in range(count)]
    for spec in specs:
        gateway.fleet.admit(spec, gateway.fleet.open_pool(spec), found, replaces=False)
    chosen_s = decision_s(gateway)
    before = probes_of(gateway)
    async with gateway.lifespan():
        began, spent = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        share = (time.process_time() - spent) / (time.perf_counter() - began)
    return Figures(share, int(probes_of(gateway) - before), swap_s(count), chosen_s)


def probes_of(gateway: Gateway) -> float:
    """Successful probes so far."""
    page = gateway.telemetry.exposition.render().decode()
    name = 'smg_worker_health_checks_total{result="success"'
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


def measure(count: int, interval_s: int, seconds: float) -> Figures:
    """All figures for one size of fleet."""
    configure_logging(LogFilter.parse("", "error"), as_json=False)
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", _SERVER, str(port)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        return uvloop.run(probing(count, interval_s, seconds, port))
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="What a large fleet costs.")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args(words)
    print(measure(given.workers, given.interval, given.seconds))


if __name__ == "__main__":
    main()
