"""Everything that can go wrong with engines goes wrong at once, under streaming load.

The law: a request whose response has not begun either succeeds or gets a documented error within
its deadline; one whose response has begun ends, well or visibly broken. Afterwards nothing is left
over: no permit, load, connection, task or table entry. `SMG_CHAOS_TEST_SECONDS` (15) sets the
duration and `SMG_CHAOS_TEST_SEED` (1) the order of events.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest
from smg_mock_worker import (
    AddLatency,
    AnswerStatus,
    EngineTiming,
    Fault,
    FlapHealth,
    Hang,
    MockWorker,
    ResetConnection,
    ResetMidStream,
)

from e2e_test.conftest import StartGateway
from e2e_test.processes import POLL_S, GatewayProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

DURATION_S = float(os.environ.get("SMG_CHAOS_TEST_SECONDS", "15"))
SEED = int(os.environ.get("SMG_CHAOS_TEST_SEED", "1"))
ENGINES = 8
CLIENTS = 200
DEADLINE_S = 6
SLACK_S = 4.0
"""What a busy machine may add to a deadline."""

DOCUMENTED = {
    (500, "call_upstream_connection_failed"),
    (500, "call_upstream_request_error"),
    (500, "call_upstream_body_error"),
    (502, "upstream_response_too_large"),
    (503, "no_available_workers"),
    (504, "call_upstream_timeout"),
}
"""Answers of the gateway itself when engines fail; an engine's own error answer may pass too."""

FLAGS = (
    *("--request-timeout-secs", str(DEADLINE_S)),
    *("--max-concurrent-requests", "400", "--queue-size", "100"),
    *("--health-check-interval-secs", "1", "--load-monitor-interval", "1"),
    *("--health-failure-threshold", "1", "--health-success-threshold", "1"),
    *("--cb-timeout-duration-secs", "1", "--cb-success-threshold", "1"),
    *("--log-level", "warn"),
)


class Clients:
    """Two hundred streams at a time, and how they ended."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._url = gateway.api + "/chat/completions"
        self.endings: Counter[str] = Counter()
        self.unlawful: list[str] = []

    async def run(self, number: int, stop: asyncio.Event) -> None:
        """Ask one question after the other until told to stop."""
        rng = random.Random(SEED * 1000 + number)
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            while not stop.is_set():
                await self._ask(session, rng)

    async def _ask(self, session: aiohttp.ClientSession, rng: random.Random) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        question = {
            "model": "mock-model",
            "stream": True,
            "max_tokens": rng.randint(1, 20),
            "messages": [{"role": "user", "content": f"Describe {rng.random()}"}],
        }
        try:
            async with session.post(self._url, json=question) as answer:
                head_s = loop.time() - began_s
                if answer.status != 200:
                    self._refused(answer.status, await answer.read(), head_s)
                    return
                try:
                    body = await answer.read()
                except aiohttp.ClientError:
                    self.endings["broken in the middle"] += 1
                    return
        except aiohttp.ClientError as error:
            self.unlawful.append(f"no answer: {error!r}")
            return
        if body.endswith(b"data: [DONE]\n\n"):
            self.endings["completed"] += 1
        elif b'"error"' in body:
            self.endings["broken in the middle"] += 1
        else:
            self.unlawful.append(f"ended without a word: {body[-80:]!r}")

    def _refused(self, status: int, body: bytes, after_s: float) -> None:
        try:
            error = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            error = json.loads(body)
        code = error.get("code")
        injected = "Injected fault" in str(error.get("message"))
        self.endings[f"{status} {'of the engine' if injected else code}"] += 1
        if not injected and (status, code) not in DOCUMENTED:
            self.unlawful.append(f"undocumented: {status} {body[:200]!r}")
        if after_s > DEADLINE_S + SLACK_S:
            self.unlawful.append(f"too late: {status} after {after_s:.1f} s")


class Chaos:
    """One misfortune after the other, each undone after a while."""

    def __init__(self, gateway: GatewayProcess, engines: list[MockWorker]) -> None:
        self._gateway = gateway
        self._engines = engines
        self._rng = random.Random(SEED)
        self._down: set[MockWorker] = set()
        self.events: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Strike until told to stop; everything is in order again afterwards."""
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                group.create_task(self._strike())
                await asyncio.sleep(self._rng.uniform(0.1, 0.6))

    async def _strike(self) -> None:
        engine = self._rng.choice(self._engines)
        kinds: dict[str, Callable[[MockWorker], Awaitable[None]]] = {
            "kill": self._kill,
            "leave and return": self._reregister,
        }
        faults: dict[str, Fault] = {
            "hang": Hang(count=2),
            "slow": AddLatency(seconds=1.0, count=20),
            "500": AnswerStatus(code=500, count=10),
            "503": AnswerStatus(code=503, count=10),
            "reset": ResetConnection(count=10),
            "reset in the middle": ResetMidStream(after_chunks=3, count=5),
            "flap": FlapHealth(count=6),
        }
        name = self._rng.choice([*kinds, *faults])
        self.events[name] += 1
        if name in faults:
            engine.faults.add(faults[name])
        else:
            await kinds[name](engine)

    async def _kill(self, engine: MockWorker) -> None:
        if len(self._down) > 2 or engine in self._down:
            return
        self._down.add(engine)
        try:
            await engine.stop_abruptly()
            await asyncio.sleep(1.5)
            await engine.start()
        finally:
            self._down.discard(engine)

    async def _reregister(self, engine: MockWorker) -> None:
        if len(self._down) > 2 or engine in self._down:
            return
        self._down.add(engine)
        workers = self._gateway.url + "/workers"
        try:
            async with aiohttp.ClientSession() as session:
                async with session.get(workers) as answer:
                    listed = (await answer.json())["workers"]
                for worker in listed:
                    if worker["url"] == engine.url:
                        await (await session.delete(f"{workers}/{worker['id']}")).read()
                await asyncio.sleep(0.5)
                await (await session.post(workers, json={"url": engine.url})).read()
        finally:
            self._down.discard(engine)


async def test_no_request_is_lost_and_nothing_is_left_over(launch: StartGateway) -> None:
    timing = EngineTiming(prefill_tokens_per_s=5000, inter_token_latency_s=0.1)
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(MockWorker(timing=timing, seed=number))
            for number in range(ENGINES)
        ]
        gateway = await stack.enter_async_context(
            launch([engine.url for engine in engines], *FLAGS, policy="power_of_two")
        )
        before = await gateway.metrics()
        clients, chaos = Clients(gateway), Chaos(gateway, engines)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(clients.run(number, stop))
            striking = group.create_task(chaos.run(stop))
            await asyncio.sleep(DURATION_S)
            stop.set()
        assert striking.done()
        for engine in engines:
            engine.faults.clear()
        print(f"chaos: {dict(chaos.events)}; requests: {dict(clients.endings)}")
        assert clients.unlawful == []
        assert clients.endings["completed"] > clients.endings.total() / 2
        await _at_rest(gateway, engines)
        after = await gateway.metrics()
        assert after.total("smg_tokio_alive_tasks") <= before.total("smg_tokio_alive_tasks") + 4


async def _at_rest(gateway: GatewayProcess, engines: list[MockWorker]) -> None:
    """Until permits, loads and requests are back to zero and all engines serve again."""
    names = (
        "smg_admission_inflight",
        "smg_admission_queue_depth",
        "smg_worker_requests_active",
        "smg_http_connections_active",
    )
    left: dict[str, float] = {}
    try:
        async with asyncio.timeout(30):
            while True:
                metrics = await gateway.metrics()
                left = {name: metrics.total(name) for name in names}
                busy = sum(engine.active_requests for engine in engines)
                healthy = [
                    value for value in metrics.by_worker("smg_worker_health").values() if value > 0
                ]
                if not any(left.values()) and not busy and len(healthy) == len(engines):
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pytest.fail(f"not at rest: {left}, {[e.active_requests for e in engines]}")
