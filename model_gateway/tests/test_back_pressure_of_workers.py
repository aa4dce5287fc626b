"""Workers that say "not now": Retry-After is heeded, and is no failure."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from smg_gateway.selection import back_pressure_s
from smg_mock_worker import AnswerStatus, MockWorker

from .conftest import Start

CHAT = "/v1/chat/completions"


def not_now(seconds: str, *, count: int | None = None, code: int = 503) -> AnswerStatus:
    return AnswerStatus(code=code, headers={"Retry-After": seconds}, count=count)


@pytest.mark.anyio
async def test_the_only_worker_is_left_alone_for_as_long_as_it_asks(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Any
) -> None:
    async with start(worker) as running:
        worker.faults.add(not_now("1", count=1))
        clock = asyncio.get_running_loop().time
        began_s = clock()
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 200
        assert clock() - began_s >= 1.0
        (only,) = running.gateway.registry.snapshot.workers
        assert only.breaker.failures == 0


@pytest.mark.anyio
async def test_another_worker_is_asked_at_once(
    start: Start,
    worker: MockWorker,
    other: MockWorker,
    http: aiohttp.ClientSession,
    chat: Any,
) -> None:
    async with start(worker, other) as running:
        worker.faults.add(not_now("100"))
        async with asyncio.timeout(10):
            for _ in range(2):
                async with http.post(running.url + CHAT, json=chat()) as answer:
                    assert answer.status == 200
                    assert answer.headers["x-smg-routed-worker-id"] == other.url
        assert any(record.path == CHAT for record in worker.requests)


@pytest.mark.anyio
@pytest.mark.parametrize("code", [429, 503])
async def test_what_does_not_fit_the_deadline_is_passed_on_with_its_header(
    code: int, start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Any
) -> None:
    async with start(worker, request_timeout_secs=5, cb_failure_threshold=1) as running:
        worker.faults.add(not_now("60", code=code))
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == code
            assert answer.headers["retry-after"] == "60"
        assert sum(record.path == CHAT for record in worker.requests) == 1
        await running.settled()
        (only,) = running.gateway.registry.snapshot.workers
        assert only.breaker.state.name == "CLOSED"


@pytest.mark.anyio
async def test_a_503_without_the_header_is_a_failure(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Any
) -> None:
    async with start(worker, disable_retries=True, cb_failure_threshold=1) as running:
        worker.faults.add(AnswerStatus(code=503))
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 503
        await running.settled()
        (only,) = running.gateway.registry.snapshot.workers
        assert only.breaker.state.name == "OPEN"


@pytest.mark.parametrize(
    ("status", "value", "pressure_s"),
    [
        (503, b"7", 7.0),
        (429, b" 0 ", 0.0),
        (500, b"7", None),
        (503, b"-1", None),
        (503, b"1e9", None),
        (503, b"9999999999", None),
        (503, b"Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_only_whole_seconds_count(status: int, value: bytes, pressure_s: float | None) -> None:
    assert back_pressure_s(status, [(b"x", b"y"), (b"retry-after", value)]) == pressure_s
