"""Workers that fail in every way: what the client sees, and that nothing leaks."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import aiohttp
import pytest
from smg_mock_worker import (
    AddLatency,
    AnswerGarbage,
    AnswerStatus,
    CloseMidStream,
    EngineTiming,
    Hang,
    MockWorker,
    OverstateLength,
    ResetConnection,
    ResetMidStream,
    StallMidStream,
    UnderstateLength,
)

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def posts(worker: Any) -> int:
    return sum(r.method == "POST" for r in worker.requests)


# --- statuses -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "calls"),
    [(503, 5), (429, 5), (408, 5), (502, 5), (504, 5)]
    + [(status, 1) for status in (500, 501, 505, 529, 400, 404, 409, 425)],
)
async def test_one_worker_is_asked_again_only_for_retryable_statuses(
    start: Any, worker: Any, http: Any, chat: Any, code: int, calls: int
) -> None:
    worker.faults.add(AnswerStatus(code=code, body='{"mine": 1}', headers={"x-worker": "yes"}))

    async with (
        start(worker, disable_circuit_breaker=True) as running,
        http.post(running.url + CHAT, json=chat()) as answer,
    ):
        assert (answer.status, await answer.text()) == (code, '{"mine": 1}')
        assert answer.headers["x-worker"] == "yes"
        await running.settled()

    assert posts(worker) == calls


async def test_an_internal_error_is_retried_on_workers_not_tried_yet(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    for each in (worker, other):
        each.faults.add(AnswerStatus(code=500))

    async with start(worker, other) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 500

    assert [posts(worker), posts(other)] == [1, 1]


async def test_without_retries_the_first_answer_is_the_last(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(AnswerStatus(code=503))

    async with start(worker, other, disable_retries=True) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 503

    assert [posts(worker), posts(other)] == [1, 0]


async def test_a_retry_goes_to_the_other_worker_and_succeeds(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(AnswerStatus(code=503))

    async with start(worker, other) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 200
            assert answer.headers["x-smg-routed-worker-id"] == other.url
        assert running.metric('smg_worker_retries_total{endpoint="chat"') == 1


# --- transport ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ResetConnection(), "call_upstream_request_error"),
        (AnswerGarbage(), "call_upstream_request_error"),
    ],
)
async def test_a_worker_without_an_answer_is_an_internal_error(
    start: Any, worker: Any, http: Any, chat: Any, fault: Any, code: str
) -> None:
    worker.faults.add(fault)

    async with start(worker, disable_retries=True) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert (answer.status, answer.headers["x-smg-error-code"]) == (500, code)
            assert worker.url in (await answer.json())["error"]["message"]
        await running.settled()
        assert running.metric('smg_worker_cb_outcomes_total{outcome="failure"') == 1


async def test_a_dropped_connection_is_resent_once_within_the_attempt(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(ResetConnection())

    async with start(worker, retry_max_retries=2) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 500
        assert running.metric("smg_router_upstream_send_retries_total") == 2

    assert posts(worker) == 4


async def test_a_refused_connection_is_tried_elsewhere(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    async with start(worker, other) as running:
        await worker.stop_abruptly()
        for _ in range(4):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.status == 200
                assert answer.headers["x-smg-routed-worker-id"] == other.url


async def test_no_worker_left_is_told_with_a_code(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, disable_retries=True) as running:
        await worker.stop_abruptly()
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 500
            assert answer.headers["x-smg-error-code"] == "call_upstream_connection_failed"


async def test_a_hanging_worker_times_out(start: Any, worker: Any, http: Any, chat: Any) -> None:
    worker.faults.add(Hang())

    async with start(worker, request_timeout_secs=1, disable_retries=True) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 504
            assert answer.headers["x-smg-error-code"] == "call_upstream_timeout"
        async with asyncio.timeout(2):
            while worker.active_requests:
                await asyncio.sleep(0.005)


async def test_a_worker_that_dies_between_head_and_body_is_replaced(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(CloseMidStream(after_chunks=0))

    async with start(worker, other) as running:
        async with http.post(running.url + CHAT, json=chat(stream=True)) as answer:
            assert (await answer.text()).endswith("data: [DONE]\n\n")
            assert answer.headers["x-smg-routed-worker-id"] == other.url


# --- after the first byte -----------------------------------------------------------------


@pytest.mark.parametrize("fault", [ResetMidStream(after_chunks=3), CloseMidStream(after_chunks=3)])
async def test_a_stream_that_breaks_ends_in_an_error_event_and_no_end_mark(
    start: Any, worker: Any, http: Any, chat: Any, fault: Any
) -> None:
    worker.faults.add(fault)
    lines: list[bytes] = []

    async with start(worker) as running:
        async with http.post(running.url + CHAT, json=chat(stream=True)) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                async for line in answer.content:
                    lines.append(line)
        await running.settled()
        broken = 'smg_http_responses_total{error_code="stream_error"'
        assert running.metric(broken) == 1
        assert running.metric('smg_worker_cb_outcomes_total{outcome="failure"') == 1

    assert b"data: [DONE]\n" not in lines
    assert lines[-2].startswith(b'data: {"error":{"message":"Stream error: ')
    assert posts(worker) == 1


async def test_a_broken_messages_stream_ends_in_that_apis_error_event(
    start: Any, worker: Any, http: Any
) -> None:
    worker.faults.add(CloseMidStream(after_chunks=3))
    body = {
        "model": "mock-model",
        "max_tokens": 50,
        "stream": True,
        "messages": [{"role": "user", "content": "x"}],
    }
    lines: list[bytes] = []

    async with start(worker) as running:
        async with http.post(running.url + "/v1/messages", json=body) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                async for line in answer.content:
                    lines.append(line)

    assert lines[-3] == b"event: error\n"
    assert b'"type":"api_error"' in lines[-2]


async def test_a_stalled_stream_is_cut_at_the_deadline(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(StallMidStream(after_chunks=2))

    async with start(worker, request_timeout_secs=1) as running:
        async with http.post(running.url + CHAT, json=chat(stream=True)) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        await running.settled()


async def test_a_worker_that_announces_more_than_it_sends_is_no_success(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(OverstateLength())

    async with start(worker) as running:
        async with http.post(running.url + CHAT, json=chat()) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        await running.settled()
        assert running.metric('smg_worker_cb_outcomes_total{outcome="failure"') == 1


async def test_a_worker_that_sends_more_than_it_announces_cannot_poison_the_next_answer(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(UnderstateLength(count=1, by_bytes=20))

    async with start(worker, disable_retries=True) as running:
        try:
            async with http.post(running.url + CHAT, json=chat()) as answer:
                await answer.read()
        except aiohttp.ClientError:
            pass  # Cut off, or refused with 500 when all of it came in one piece.
        for _ in range(3):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.status == 200
                assert (await answer.json())["object"] == "chat.completion"


# --- breaker and health -------------------------------------------------------------------


async def test_an_open_breaker_spares_a_failing_worker_until_its_time_is_up(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(AnswerStatus(code=503, count=2))
    settings = {
        "disable_retries": True,
        "cb_failure_threshold": 2,
        "cb_success_threshold": 1,
        "cb_timeout_duration_secs": 1,
    }

    async with start(worker, **settings) as running:
        url = running.url + CHAT
        statuses = []
        for _ in range(3):
            async with http.post(url, json=chat()) as answer:
                statuses.append((answer.status, answer.headers.get("x-smg-error-code")))
        assert statuses == [(503, None), (503, None), (503, "no_available_workers")]
        assert answer.headers["retry-after"] == "1"
        assert posts(worker) == 2

        async with asyncio.timeout(5):
            while statuses[-1][0] != 200:
                await asyncio.sleep(0.1)
                async with http.post(url, json=chat()) as answer:
                    statuses.append((answer.status, None))
        moves = running.gateway.telemetry.exposition.render().decode()

    for old, new in (("closed", "open"), ("open", "half_open"), ("half_open", "closed")):
        assert f'from="{old}",to="{new}"' in moves


async def test_health_probes_take_a_worker_out_and_back_in(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    settings = {
        "health_check_interval_secs": 0.05,
        "health_failure_threshold": 2,
        "health_success_threshold": 2,
    }

    async def readiness(running: Any, wanted: int) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while True:
                async with http.get(running.url + "/readiness") as answer:
                    if answer.status == wanted:
                        body: dict[str, Any] = await answer.json()
                        return body
                await asyncio.sleep(0.01)

    async with start(worker, **settings) as running:
        worker.faults.add(AnswerStatus(code=500, path="/health"))
        report = await readiness(running, 503)
        assert report == {"status": "not ready", "reason": "insufficient healthy workers"}
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.headers["x-smg-error-code"] == "no_available_workers"

        worker.faults.clear()
        report = await readiness(running, 200)
        assert report == {"status": "ready", "healthy_workers": 1, "total_workers": 1}


# --- many at once -------------------------------------------------------------------------


async def test_thousands_of_faults_leave_nothing_behind(start: Any, chat: Any) -> None:
    """Every kind of fault and client misbehaviour, mixed; then all tables must be empty."""
    rng = random.Random(7)
    async with (
        MockWorker(timing=EngineTiming(inter_token_latency_s=0.0005), seed=1) as first,
        MockWorker(seed=2) as second,
        start(first, second, disable_circuit_breaker=True, request_timeout_secs=1) as running,
    ):
        for each in (first, second):
            each.faults.add(
                AddLatency(seconds=0.005, probability=0.1),
                AnswerStatus(code=503, probability=0.1),
                AnswerStatus(code=500, probability=0.05),
                ResetConnection(probability=0.1),
                AnswerGarbage(probability=0.05),
                ResetMidStream(probability=0.1, after_chunks=2),
                CloseMidStream(probability=0.1, after_chunks=1),
                OverstateLength(probability=0.05),
                UnderstateLength(probability=0.05),
                Hang(probability=0.003),
            )

        async def one(session: aiohttp.ClientSession) -> None:
            body = chat(stream=rng.random() < 0.6, max_tokens=rng.randrange(1, 30))
            try:
                async with session.post(running.url + CHAT, json=body) as answer:
                    if rng.random() < 0.2:
                        await answer.content.readany()
                        answer.close()  # The client loses interest.
                        return
                    await answer.read()
            except (aiohttp.ClientError, TimeoutError):
                return

        async def client() -> None:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
                for _ in range(100):
                    await one(session)

        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(client())

        assert posts(first) + posts(second) > 2000
        await running.settled()
        assert not running.gateway.lane.active
        for registered in running.gateway.registry.snapshot.workers:
            assert registered.load == 0
            async with asyncio.timeout(5):
                while (s := registered.pool.statistics()).open != s.idle or s.connecting:
                    await asyncio.sleep(0.01)
            assert registered.pool.statistics().waiting == 0
        async with asyncio.timeout(5):
            while running.listener.connections:
                await asyncio.sleep(0.01)
