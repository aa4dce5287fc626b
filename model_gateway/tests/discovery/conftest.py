"""A source of workers that says what it is told, and a look at what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from smg_gateway.app import Gateway
from smg_gateway.discovery import DiscoveredWorker, Discovery, DiscoveryTelemetry, Provider
from smg_gateway.discovery.provider import Snapshot
from smg_gateway.workers import Worker


class ScriptedSource:
    """A provider whose snapshots tests publish."""

    source = "file"

    def __init__(self) -> None:
        self._published: asyncio.Queue[Snapshot] = asyncio.Queue()

    def publish(self, *workers: DiscoveredWorker | str) -> None:
        """Want exactly these; a URL stands for a regular worker."""
        wanted = [
            DiscoveredWorker(id=each, url=each) if isinstance(each, str) else each
            for each in workers
        ]
        self._published.put_nowait({each.id: each for each in wanted})

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """What is published."""
        while True:
            yield await self._published.get()


class Heard:
    """A `SnapshotWatcher` that remembers what it is told."""

    def __init__(self) -> None:
        self.failures: list[tuple[str, str]] = []
        self.read: list[int] = []
        self.complaints: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def snapshot_failed(self, reason: str, detail: str) -> None:
        """Remember a failure."""
        self.failures.append((reason, detail))
        self._news.set()

    def snapshot_read(self, workers: int) -> None:
        """Remember a success."""
        self.read.append(workers)
        self._news.set()

    def complain(self, place: str, detail: str) -> None:
        """Remember an oddity."""
        self.complaints.append((place, detail))
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for news that make `holds` true."""
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()


class Fleetwatch:
    """What a gateway's fleet looks like from outside."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._news = asyncio.Event()
        gateway.registry.on_change(lambda old, new: self._news.set())

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The registered workers."""
        return self.gateway.registry.snapshot.workers

    @property
    def urls(self) -> set[str]:
        """URLs of the registered workers."""
        return {worker.url for worker in self.workers}

    def at(self, url: str) -> Worker:
        """The worker at a URL."""
        found = self.gateway.registry.find(url)
        assert found is not None, url
        return found

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for a change of the registry that makes `holds` true."""
        async with asyncio.timeout(10):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def until_urls(self, *urls: str) -> None:
        """Wait until exactly these are registered."""
        await self.until(lambda: self.urls == set(urls))

    async def until_metric(self, line_start: str, value: float) -> None:
        """Wait until a series has a value."""
        async with asyncio.timeout(10):
            while self.metric(line_start) != value:
                await asyncio.sleep(0.01)

    def metric(self, line_start: str) -> float | None:
        """The value of the series whose exposition line starts so."""
        for line in self.gateway.telemetry.exposition.render().decode().splitlines():
            if line.startswith(line_start):
                return float(line.rsplit(" ", 1)[1])
        return None


Follow = Callable[..., AbstractAsyncContextManager[Fleetwatch]]


@asynccontextmanager
async def follow_source(
    gateway: Gateway, provider: Provider, *, resync_s: float = 60.0, drain_settle_s: float = 0.0
) -> AsyncIterator[Fleetwatch]:
    """Let discovery follow a source beside a running gateway."""
    config = gateway.fleet.config
    health = replace(config.health, drain_settle_s=drain_settle_s)
    gateway.fleet.reconfigure(replace(config, health=health))
    bounds = gateway.telemetry.duration_bounds_s
    telemetry = DiscoveryTelemetry(gateway.telemetry.exposition, provider.source, bounds)
    discovery = Discovery(gateway.fleet, provider, telemetry, resync_s=resync_s)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(discovery.run())
        try:
            yield Fleetwatch(gateway)
        finally:
            task.cancel()


@pytest.fixture
def source(anyio_backend: object) -> ScriptedSource:
    """A source that says what it is told."""
    return ScriptedSource()


@pytest.fixture
def heard(anyio_backend: object) -> Heard:
    """Remembers how reading a source went."""
    return Heard()


@pytest.fixture
def follow() -> Follow:
    """Lets discovery follow a source: `async with follow(running.gateway, source) as fleet`."""
    return follow_source


@pytest.fixture
def watch_fleet() -> Callable[[Gateway], Fleetwatch]:
    """Looks at the fleet of a gateway."""
    return Fleetwatch


@pytest.fixture
def ask(http: aiohttp.ClientSession) -> Callable[..., Any]:
    """Sends a chat request: `await ask(running, model=...)` gives status, body and worker."""

    async def send(running: Any, model: str | None = "mock-model", **fields: Any) -> Any:
        body: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], **fields}
        if model is not None:
            body["model"] = model
        url = running.url + "/v1/chat/completions"
        async with http.post(url, json=body) as answer:
            worker = answer.headers.get("x-smg-routed-worker-id")
            return answer.status, await answer.json(), worker

    return send
