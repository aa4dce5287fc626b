"""Gateways and engines for all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from smg_mock_worker import EngineTiming, MockWorker

from e2e_test.processes import GatewayProcess, running_gateway

StartGateway = Callable[..., AbstractAsyncContextManager[GatewayProcess]]


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Engines in the test's own process are asyncio programs."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def launch(tmp_path: Path) -> StartGateway:
    """Starts a gateway: `async with launch([worker urls], "--flag", "value") as gateway`."""
    return partial(running_gateway, tmp_path / "gateway.log")


@pytest.fixture
async def engine(anyio_backend: object) -> AsyncIterator[MockWorker]:
    """A simulated engine that takes a while: 50 tokens per second."""
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=0.02)) as worker:
        yield worker


@pytest.fixture
async def gateway(launch: StartGateway, engine: MockWorker) -> AsyncIterator[GatewayProcess]:
    """A gateway in front of `engine`."""
    async with launch([engine.url]) as running:
        yield running
