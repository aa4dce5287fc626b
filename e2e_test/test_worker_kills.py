"""Engines are killed and restarted at random under load; clients must hardly notice.

The law: a request fails only if its response had begun, and then visibly. Before the first byte the
gateway tries other engines. `SMG_KILL_TEST_SECONDS` (60) sets the duration and
`SMG_KILL_TEST_SEED` (1) the order of events.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from dataclasses import dataclass, field

import aiohttp
import pytest

from e2e_test.conftest import StartGateway
from e2e_test.processes import POLL_S, EngineProcess, GatewayProcess, running_engines

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

DURATION_S = float(os.environ.get("SMG_KILL_TEST_SECONDS", "60"))
SEED = int(os.environ.get("SMG_KILL_TEST_SEED", "1"))
CLIENTS = 16
ENGINE_FLAGS = ("--inter-token-latency-ms", "20")
OPERATOR_FLAGS = (
    *("--health-check-interval-secs", "1"),
    *("--health-failure-threshold", "1", "--health-success-threshold", "1"),
    *("--cb-timeout-duration-secs", "1", "--cb-success-threshold", "1"),
)
PATIENCE_S = 30.0
"""A request that takes longer hangs."""


@dataclass(slots=True)
class Tally:
    """How the requests ended."""

    completed: int = 0
    broken: int = 0
    """Visibly, after the first byte."""
    kills: int = 0
    failures: list[str] = field(default_factory=list)


class Client:
    """Asks one question after the other, whole or streamed."""

    def __init__(self, gateway: GatewayProcess, rng: random.Random, tally: Tally) -> None:
        self._url = gateway.url + "/v1/chat/completions"
        self._rng = rng
        self._tally = tally

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until told to stop; the question under way is finished."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while not stop.is_set():
                await self._ask(session)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        tokens = self._rng.randint(1, 40)
        stream = self._rng.random() < 0.5
        question = {
            "model": "mock-model",
            "stream": stream,
            "max_tokens": tokens,
            "messages": [{"role": "user", "content": f"Describe {self._rng.random()}"}],
        }
        tally = self._tally
        try:
            answer = await session.post(self._url, json=question)
        except (aiohttp.ClientError, TimeoutError) as error:
            tally.failures.append(f"no answer: {error!r}")
            return
        async with answer:
            try:
                body = await answer.read()
            except TimeoutError:
                tally.failures.append("hangs in mid-answer")
                return
            except aiohttp.ClientError:
                tally.broken += 1
                return
        if answer.status != 200:
            tally.failures.append(f"{answer.status}: {body!r}")
        elif tokens_in(body, stream=stream) == tokens:
            tally.completed += 1
        else:
            tally.failures.append(f"ended as if complete, but is not: {body!r}")


def tokens_in(body: bytes, *, stream: bool) -> int | None:
    """How many tokens a complete answer has; None for one that is not complete."""
    if not stream:
        count: int = json.loads(body)["usage"]["completion_tokens"]
        return count
    if not body.endswith(b"data: [DONE]\n\n"):
        return None
    events = [json.loads(line[6:]) for line in body.split(b"\n\n")[:-2]]
    return sum(bool(event["choices"][0]["delta"].get("content")) for event in events)


class Chaos:
    """Kills and restarts engines, never the last one that the gateway can use."""

    def __init__(
        self,
        gateway: GatewayProcess,
        engines: list[EngineProcess],
        rng: random.Random,
        tally: Tally,
    ) -> None:
        self._gateway = gateway
        self._engines = engines
        self._rng = rng
        self._tally = tally

    async def run(self) -> None:
        """Act at random moments for ever; cancel to stop."""
        while True:
            await asyncio.sleep(self._rng.uniform(0.02, 0.5))
            engine = self._rng.choice(self._engines)
            if not engine.alive:
                await engine.start()
            elif await self._spares(engine):
                engine.kill()
                self._tally.kills += 1

    async def _spares(self, engine: EngineProcess) -> bool:
        """Whether another engine lives and the gateway has noticed that it does."""
        now = await self._gateway.metrics()
        healthy = now.by_worker("smg_worker_health")
        circuit = now.by_worker("smg_worker_cb_state")
        return any(
            other.alive and healthy[other.url] == 1 and circuit[other.url] != 1
            for other in self._engines
            if other is not engine
        )


async def test_killed_engines_fail_no_request_that_had_not_begun_to_be_answered(
    launch: StartGateway,
) -> None:
    rng = random.Random(SEED)
    tally = Tally()
    async with (
        running_engines(3, *ENGINE_FLAGS) as engines,
        launch([engine.url for engine in engines], *OPERATOR_FLAGS) as gateway,
    ):
        sockets_before = gateway.open_files()
        await under_load(gateway, engines, rng, tally)

        print(f"seed {SEED}: {tally.completed=} {tally.broken=} {tally.kills=}")
        assert tally.failures == []
        assert tally.completed > DURATION_S
        assert tally.kills > DURATION_S / 10
        await gateway.until_drained()
        load = (await gateway.metrics()).by_worker("smg_worker_requests_active")
        assert load == {engine.url: 0 for engine in engines}
        await until_files_closed(gateway, sockets_before)


async def under_load(
    gateway: GatewayProcess, engines: list[EngineProcess], rng: random.Random, tally: Tally
) -> None:
    """Clients and chaos for the duration; returns when every client has its last answer."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        chaos = group.create_task(Chaos(gateway, engines, rng, tally).run())
        for _ in range(CLIENTS):
            client = Client(gateway, random.Random(rng.random()), tally)
            group.create_task(client.run(stop))
        await asyncio.sleep(DURATION_S)
        chaos.cancel()
        stop.set()


async def until_files_closed(gateway: GatewayProcess, count: int) -> None:
    """Wait until the gateway has no more files and sockets open than before the load."""
    async with asyncio.timeout(PATIENCE_S):
        while gateway.open_files() > count:
            await asyncio.sleep(POLL_S)
