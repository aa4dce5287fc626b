import asyncio
from typing import Any

import aiohttp
import pytest
from smg_mock_worker.engine import EngineTiming
from smg_mock_worker.faults import AnswerStatus, FlapHealth
from smg_mock_worker.records import Outcome
from smg_mock_worker.server import MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}


async def test_requests_are_recorded_as_they_came(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        await session.post(
            f"{worker.url}{CHAT}?trace=1&x=%20",
            data=b'{"messages": [], "odd"  : 1}',
            headers={"X-MixedCase-Header": "Value"},
        )
        (record,) = worker.requests

    assert (record.method, record.path, record.query) == ("POST", CHAT, "trace=1&x=%20")
    assert ("X-MixedCase-Header", "Value") in record.headers
    assert record.body == b'{"messages": [], "odd"  : 1}'
    assert (record.status, record.outcome) == (400, Outcome.COMPLETED)


async def test_control_routes_are_not_recorded(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        await session.get(f"{worker.url}/_mock/requests")

        assert len(worker.requests) == 0


async def test_a_streamed_request_counts_its_chunks(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        async with session.post(worker.url + CHAT, json={**HELLO, "stream": True}) as answer:
            text = await answer.text()

        assert worker.requests[0].chunks_sent == text.count("data: ")


async def test_usage_tells_the_cached_part_of_a_repeated_prompt(
    session: aiohttp.ClientSession,
) -> None:
    long = {"messages": [{"role": "user", "content": "word " * 40}]}
    async with MockWorker() as worker:
        cached = []
        for _ in range(2):
            async with session.post(worker.url + CHAT, json=long) as answer:
                usage = (await answer.json())["usage"]
                cached.append(usage["prompt_tokens_details"]["cached_tokens"])

    assert cached == [0, 32]


async def test_a_full_queue_answers_503(session: aiohttp.ClientSession) -> None:
    timing = EngineTiming(
        inter_token_latency_s=3_600, max_running_requests=1, max_waiting_requests=0
    )
    async with MockWorker(timing=timing) as worker:
        busy = session.post(worker.url + CHAT, json={**HELLO, "stream": True})
        async with busy, session.post(worker.url + CHAT, json=HELLO) as refused:
            assert refused.status == 503
            assert "queue is full" in (await refused.json())["message"]


async def test_of_several_choices_none_stays_behind_when_the_queue_is_full(
    session: aiohttp.ClientSession,
) -> None:
    timing = EngineTiming(max_running_requests=1, max_waiting_requests=0, inter_token_latency_s=9)
    async with MockWorker(timing=timing) as worker:
        async with session.post(worker.url + CHAT, json={**HELLO, "n": 2}) as refused:
            assert refused.status == 503

        assert worker.state.loads()[0].running_requests == 0


async def test_flapping_health_fails_and_recovers(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        worker.faults.add(FlapHealth(pattern=[True, False, True]))
        statuses = [(await session.get(f"{worker.url}/health")).status for _ in range(4)]

    assert statuses == [200, 503, 200, 200]


async def test_an_injected_status_is_worded_like_the_engines_own(
    session: aiohttp.ClientSession,
) -> None:
    async with MockWorker(flavour="vllm") as worker:
        worker.faults.add(AnswerStatus(code=429))
        bodies = []
        for path in (CHAT, "/v1/messages", "/nowhere"):
            async with session.post(worker.url + path, json={}) as answer:
                bodies.append(await answer.json())

    assert [body["error"]["type"] for body in bodies] == [
        "RateLimitError",
        "rate_limit_error",
        "RateLimitError",
    ]


async def test_unknown_paths_and_methods_are_answered_like_the_engines_do(
    session: aiohttp.ClientSession,
) -> None:
    async with MockWorker() as worker:
        async with session.get(f"{worker.url}/nowhere") as missing:
            assert (missing.status, await missing.json()) == (404, {"detail": "Not Found"})
        async with session.get(worker.url + CHAT) as wrong:
            assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


async def test_active_requests_count_what_is_under_way(session: aiohttp.ClientSession) -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=3_600)) as worker:
        assert worker.active_requests == 0
        async with session.post(worker.url + CHAT, json={**HELLO, "stream": True}):
            assert worker.active_requests == 1
        await worker.requests.wait_for(lambda one: one.outcome is Outcome.DISCONNECTED)
        assert worker.active_requests == 0


async def test_requests_run_side_by_side(session: aiohttp.ClientSession) -> None:
    async def ask(number: int) -> str:
        messages = [{"role": "user", "content": f"question {number}"}]
        async with session.post(worker.url + CHAT, json={"messages": messages}) as answer:
            body = await answer.json()
            return str(body["choices"][0]["message"]["content"])

    async with MockWorker(timing=EngineTiming(inter_token_latency_s=0.001)) as worker:
        answers = await asyncio.gather(*map(ask, range(20)))
        again = await ask(3)

    assert len(set(answers)) == 20
    assert again == answers[3]
