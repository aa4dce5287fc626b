"""What the simulator foretells is what a live gateway does: the same trace both ways."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import AsyncExitStack
from itertools import combinations
from pathlib import Path

import aiohttp
import pytest
from smg_mock_worker import EngineTiming, MockWorker
from smg_simulator import Trace, TraceBuilder, TraceRequest, parse_trace, simulate
from smg_simulator.prompts import PromptStandIn

from e2e_test.conftest import StartGateway
from e2e_test.processes import GatewayProcess

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

ENGINES = 8
REQUESTS = 500
SHRINKAGE = 32
"""Tokens of the trace for one token here: the engines of the test share one processor."""

BLOCK_TOKENS = 512 // SHRINKAGE
CHARACTERS_PER_TOKEN = 16
"""A run of so many characters is one token to the simulated engines."""

SPEEDUP = 25
TIMING = EngineTiming(
    prefill_tokens_per_s=8_000 * SPEEDUP / SHRINKAGE,
    inter_token_latency_s=0.02 / SPEEDUP * SHRINKAGE,
    max_running_requests=256,
)
POLICIES = ("round_robin", "consistent_hashing", "cache_aware")
TOLERANCE = 0.03
POLL_INTERVAL_S = 1
FLAGS = ("--disable-worker-overload-protection", f"--load-monitor-interval={POLL_INTERVAL_S}")
"""The simulation has no vetoes: engines that queue stay candidates."""

HEAD = Path(__file__).parent.parent / "packages/simulator/tests/data"


@pytest.fixture(scope="module")
def trace() -> Trace:
    """The beginning of the Mooncake conversation trace, shrunk and sped up."""
    with gzip.open(HEAD / "mooncake_conversation_head.jsonl.gz") as lines:
        whole = parse_trace(lines).head(REQUESTS)
    builder = TraceBuilder("short", block_size=BLOCK_TOKENS)
    for request in whole.requests:
        tokens = max(1, request.prompt_tokens // SHRINKAGE)
        blocks = request.blocks[: -(-tokens // BLOCK_TOKENS)]
        answer = max(1, request.output_tokens // SHRINKAGE)
        builder.add(request.at_s, tokens, answer, blocks, routing_key=str(blocks[1:2]))
    return builder.build().at_rate(SPEEDUP)


async def replay(gateway: GatewayProcess, trace: Trace) -> float:
    """Send the trace at its pace; the share of prompt tokens that engines had cached."""
    prompts = PromptStandIn(trace, CHARACTERS_PER_TOKEN)
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    cached = total = 0

    async def ask(client: aiohttp.ClientSession, request: TraceRequest) -> None:
        nonlocal cached, total
        question = {
            "model": "mock-model",
            "prompt": prompts.text(request),
            "max_tokens": request.output_tokens,
        }
        await asyncio.sleep(start_s + request.at_s - loop.time())
        headers = {"x-smg-routing-key": request.routing_key or ""}
        async with client.post(
            gateway.api + "/completions", json=question, headers=headers
        ) as answer:
            assert answer.status == 200, await answer.text()
            usage = (await answer.json())["usage"]
        total += usage["prompt_tokens"]
        cached += usage["prompt_tokens_details"]["cached_tokens"]

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client, asyncio.TaskGroup() as group:
        for request in trace.requests:
            group.create_task(ask(client, request))
    return cached / total


async def test_hit_rates_and_their_order_are_those_of_the_simulation(
    trace: Trace, launch: StartGateway
) -> None:
    foretold = {
        policy: simulate(
            trace,
            policy,
            ENGINES,
            timing=TIMING,
            token_ids=False,
            characters_per_token=CHARACTERS_PER_TOKEN,
            report_interval_s=POLL_INTERVAL_S,
        ).hit_rate
        for policy in POLICIES
    }
    seen: dict[str, float] = {}
    for policy in POLICIES:
        async with AsyncExitStack() as stack:
            fresh = [MockWorker(timing=TIMING) for _ in range(ENGINES)]
            urls = [(await stack.enter_async_context(engine)).url for engine in fresh]
            gateway = await stack.enter_async_context(launch(urls, *FLAGS, policy=policy))
            seen[policy] = await replay(gateway, trace)
    for policy in POLICIES:
        assert abs(seen[policy] - foretold[policy]) <= TOLERANCE, (policy, seen, foretold)
    for one, other in combinations(POLICIES, 2):
        if abs(foretold[one] - foretold[other]) > TOLERANCE:
            assert (seen[one] > seen[other]) == (foretold[one] > foretold[other]), (seen, foretold)
