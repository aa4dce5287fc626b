"""The dry run, the decision log and the response header tell the same story."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from smg_gateway.settings.routing import AVAILABLE_POLICIES
from smg_mock_worker import MockWorker

from .conftest import Running, Start

pytestmark = pytest.mark.anyio
EXPLAIN = "/v1/router/explain"
CHAT = "/v1/chat/completions"
Body = Callable[..., dict[str, Any]]


@pytest.fixture
async def fleet(anyio_backend: object) -> AsyncIterator[list[MockWorker]]:
    """Four simulated engines."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(MockWorker()) for _ in range(4)]


async def explained(
    http: aiohttp.ClientSession, running: Running, body: object, **headers: str
) -> dict[str, Any]:
    async with http.post(running.url + EXPLAIN, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


@pytest.mark.parametrize("policy", AVAILABLE_POLICIES)
async def test_explanation_header_and_log_agree_under_every_policy(
    policy: str, start: Start, fleet: list[MockWorker], http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(*fleet, policy=policy) as running:
        for turn in range(12):
            body = chat("the same beginning of every prompt " * 20 + str(turn % 3))
            headers = {"x-smg-routing-key": f"session-{turn % 3}"}
            foreseen = await explained(http, running, body, **headers)
            again = await explained(http, running, body, **headers)
            async with http.post(running.url + CHAT, json=body, headers=headers) as answer:
                assert answer.status == 200
                sent_to = answer.headers["x-smg-routed-worker-id"]
                request_id = answer.headers["x-request-id"]
            async with http.get(
                running.url + "/v1/router/decisions", params={"request_id": request_id}
            ) as answer:
                (logged,) = (await answer.json())["data"]
            for dry in (foreseen["decision"], again["decision"]):
                assert dry["worker"] == sent_to == logged["worker"]
                for field in ("policy", "reason", "branch", "matched", "total", "candidates"):
                    assert dry[field] == logged[field], field
            await running.settled()


async def test_nothing_is_sent_anywhere(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(worker) as running:
        before = len(worker.requests)
        await explained(http, running, chat())
        assert len(worker.requests) == before
        async with http.get(running.url + "/v1/router/decisions") as answer:
            assert (await answer.json())["data"] == []


async def test_the_path_says_how_to_read_the_body(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession
) -> None:
    body = {"model": "mock-model", "prompt": "Once upon a time"}
    async with start(worker, policy="cache_aware") as running:
        url = running.url + EXPLAIN + "?path=/v1/completions"
        async with http.post(url, json=body) as answer:
            found = await answer.json()
        assert found["path"] == "/v1/completions"
        assert found["decision"]["total"] == len("Once upon a time")


async def test_an_excluded_worker_is_named_with_the_reason(
    start: Start, worker: MockWorker, other: MockWorker, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(worker, other, cb_failure_threshold=1) as running:
        first = running.gateway.registry.snapshot.workers[0]
        first.breaker.record_failure(running.gateway.lane.clock())
        found = await explained(http, running, chat())
    assert found["excluded"] == [{"worker": first.url, "why": "its circuit breaker is open"}]
    assert found["decision"]["worker"] != first.id


async def test_without_a_usable_worker_the_answer_is_foreseen(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(worker, cb_failure_threshold=1) as running:
        (only,) = running.gateway.registry.snapshot.workers
        only.breaker.record_failure(running.gateway.lane.clock())
        found = await explained(http, running, chat())
    assert found["decision"] is None
    assert (found["error"]["status"], found["error"]["code"]) == (503, "no_available_workers")


async def test_an_unknown_model_is_foreseen(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(worker) as running:
        found = await explained(http, running, chat(model="nobody-has-it"))
    assert (found["error"]["status"], found["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("", b"{not json", "invalid_json"),
        ("", b"{}", None),
        ("?path=/nowhere", b"{}", "invalid_value"),
    ],
)
async def test_bad_input_gets_a_400(
    query: str,
    body: bytes,
    code: str | None,
    start: Start,
    worker: MockWorker,
    http: aiohttp.ClientSession,
) -> None:
    headers = {"content-type": "application/json"}
    async with (
        start(worker) as running,
        http.post(running.url + EXPLAIN + query, data=body, headers=headers) as answer,
    ):
        assert answer.status == 400
        error = (await answer.json())["error"]
        assert code is None or error["code"] == code


async def test_the_data_plane_key_is_asked_for(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(worker, api_key="secret-key") as running:
        async with http.post(running.url + EXPLAIN, json=chat()) as answer:
            assert answer.status == 401
        found = await explained(http, running, chat(), Authorization="Bearer secret-key")
        assert found["decision"]["worker"] == worker.url


async def test_a_policy_that_cannot_tell_says_so(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(worker, policy=f"{__name__}:Blunt") as running:
        async with http.post(running.url + EXPLAIN, json=chat()) as answer:
            assert answer.status == 501
            assert (await answer.json())["error"]["code"] == "explain_not_supported"
        async with http.post(running.url + CHAT, json=chat()) as answer:
            assert answer.status == 200


class Blunt:
    """A policy that has only what every policy must have."""

    name = "blunt"
    needs_text = False

    def __init__(self, **given: object) -> None:
        pass

    def select(self, request: object, candidates: Any) -> Any:
        from smg_policies import Decision

        return Decision(candidates[0], self.name, "the first") if candidates else None

    def settle(self, decision: object) -> None:
        pass

    def worker_removed(self, worker_id: str) -> None:
        pass

    def sweep(self, now: float) -> None:
        pass


async def test_a_large_body_is_explained_too(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(worker, policy="cache_aware") as running:
        found = await explained(http, running, chat("long " * 100_000))
    assert found["decision"]["total"] == len("long " * 100_000)
    assert json.dumps(found)
