"""A gateway on a free port in front of simulated engines, all in the test's event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from smg_gateway.app import Gateway
from smg_gateway.edge import Listener
from smg_gateway.settings import Settings
from smg_gateway.wiring import edge_limits
from smg_mock_worker import MockWorker, RecordedRequest

QUICK: dict[str, Any] = {
    "policy": "round_robin",
    "retry_initial_backoff_ms": 1,
    "retry_max_backoff_ms": 5,
    "worker_startup_timeout_secs": 5,
}


@dataclass
class Running:
    """A gateway that listens."""

    gateway: Gateway
    listener: Listener

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.listener.port}"

    async def settled(self) -> None:
        """Wait until nothing is under way any more; fails after five seconds."""
        async with asyncio.timeout(5):
            while self.gateway.active_requests or any(
                worker.load for worker in self.gateway.registry.snapshot.workers
            ):
                await asyncio.sleep(0.005)

    async def raw(self, sent: bytes, *, eof: bool = False) -> bytes:
        """Everything the gateway answers to these bytes until it closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        try:
            writer.write(sent)
            if eof:
                writer.write_eof()
            async with asyncio.timeout(5):
                return await reader.read()
        finally:
            writer.close()

    def metric(self, line_start: str) -> float:
        """The value of the first series whose exposition line starts so; 0 when there is none."""
        for line in self.gateway.telemetry.exposition.render().decode().splitlines():
            if line.startswith(line_start):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


def last_posted(worker: MockWorker) -> RecordedRequest:
    """The latest inference request of an engine; polls of its load come in between."""
    return [record for record in worker.requests if record.method == "POST"][-1]


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """As in production."""
    return "asyncio", {"use_uvloop": True}


@asynccontextmanager
async def start_gateway(*workers: MockWorker | str, **settings: Any) -> AsyncIterator[Running]:
    """A running gateway; registered workers are awaited."""
    urls = tuple(w if isinstance(w, str) else w.url for w in workers)
    given = Settings(**{"host": "127.0.0.1", "worker_urls": urls, **QUICK, **settings})
    gateway = Gateway(given)
    async with gateway.lifespan():
        listener = Listener(
            gateway, host="127.0.0.1", port=0, limits=edge_limits(given), clock=time.monotonic
        )
        await listener.start()
        try:
            async with asyncio.timeout(10):
                while len(gateway.registry.snapshot.workers) < len(urls):
                    await asyncio.sleep(0.005)
            yield Running(gateway, listener)
        finally:
            await listener.close()


@pytest.fixture
def start() -> Start:
    """Starts gateways: `async with start(worker, ..., setting=value) as running`."""
    return start_gateway


@pytest.fixture
async def worker(anyio_backend: object) -> AsyncIterator[MockWorker]:
    """One simulated engine."""
    async with MockWorker() as running:
        yield running


@pytest.fixture
async def other(anyio_backend: object) -> AsyncIterator[MockWorker]:
    """Another simulated engine."""
    async with MockWorker() as running:
        yield running


@pytest.fixture
async def http(anyio_backend: object) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def chat() -> Callable[..., dict[str, Any]]:
    """Makes chat request bodies."""

    def make(content: str = "hello", **fields: Any) -> dict[str, Any]:
        return {
            "model": "mock-model",
            "messages": [{"role": "user", "content": content}],
            **fields,
        }

    return make
