"""Several models behind one gateway: routing, aliases, policies by label, ranks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.lanes.ranks import ranked_body
from smg_mock_worker import MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


@pytest.fixture
async def four(anyio_backend: object) -> AsyncIterator[list[MockWorker]]:
    """Two workers of each of two models."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(MockWorker(model=model))
            for model in ("red", "red", "blue", "blue")
        ]


def bodies(worker: MockWorker, path: str = CHAT) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in worker.requests.to(path)]


async def test_requests_reach_the_workers_of_their_model_and_no_others(
    start: Any, connect: Any, four: list[MockWorker]
) -> None:
    async with start(*four, enable_igw=True) as running:
        control = connect(running)
        for model in ("red", "blue"):
            for _ in range(4):
                assert (await control.chat(model))[0] == 200
        status, listing = await control.call("GET", "/v1/models")
        assert [card["id"] for card in listing["data"]] == ["red", "blue"]
        status, body, _ = await control.chat("green")
        assert (status, body["error"]["code"]) == (404, "model_not_found")
        status, listing = await control.call("GET", "/workers?model=red")
        assert {each["url"] for each in listing["workers"]} == {four[0].url, four[1].url}

    assert [Counter(each["model"] for each in bodies(worker)) for worker in four] == [
        {"red": 2},
        {"red": 2},
        {"blue": 2},
        {"blue": 2},
    ]


async def test_a_request_without_a_model_is_refused_where_there_are_several(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    body = {"text": "hello"}
    async with start(worker, enable_igw=True, disable_retries=True) as running:
        status, answer = await connect(running).call("POST", "/generate", json=body)
        assert (status, answer["error"]["code"]) == (400, "missing_model")
    async with start(worker) as running:
        assert (await connect(running).call("POST", "/generate", json=body))[0] == 200


async def test_a_model_known_but_not_ready_is_unavailable_not_unknown(
    start: Any, connect: Any, four: list[MockWorker]
) -> None:
    async with start(*four) as running:
        control = connect(running)
        for worker in running.gateway.registry.snapshot.serving("red"):
            worker.status = type(worker.status).NOT_READY
        status, body, _ = await control.chat("red")
        assert (status, body["error"]["code"]) == (503, "no_available_workers")
        assert (await control.chat("blue"))[0] == 200


async def test_aliases_of_model_cards_are_replaced_by_the_model_they_mean(
    start: Any, connect: Any, four: list[MockWorker]
) -> None:
    async with start(four[2], disable_retries=True) as running:
        control = connect(running)
        assert (await control.chat("rouge"))[0] == 404
        card = {"id": "red", "aliases": ["rouge", "blue"]}
        worker_id = await control.add(four[0].url, models=[card])
        assert (await control.chat("rouge"))[::2] == (200, four[0].url)
        # The name of a model goes before the same name as an alias.
        assert (await control.chat("blue"))[::2] == (200, four[2].url)
        status, found = await control.call("GET", "/v1/models/rouge")
        assert (status, found["id"]) == (200, "red")
        _, info = await control.call("GET", f"/workers/{worker_id}")
        assert info["models"][0]["aliases"] == ["rouge", "blue"]

    assert [each["model"] for each in bodies(four[0])] == ["red"]


async def test_a_label_names_the_policy_of_a_models_workers(
    start: Any, connect: Any, four: list[MockWorker]
) -> None:
    async with start(policy="round_robin") as running:
        control = connect(running)
        await control.add(four[0].url, labels={"policy": "passthrough"})
        await control.add(four[1].url)
        await control.add(four[2].url, labels={"policy": "no such policy"})
        await control.add(four[3].url)
        served = {
            model: Counter([(await control.chat(model))[2] for _ in range(6)])
            for model in ("red", "blue")
        }
        assert served["red"] == {four[0].url: 6}
        assert served["blue"] == {four[2].url: 3, four[3].url: 3}


async def test_a_labelled_policy_that_needs_text_gets_it_from_the_first_request_on(
    start: Any, connect: Any, four: list[MockWorker]
) -> None:
    async with start(policy="round_robin", disable_retries=True) as running:
        control = connect(running)
        await control.add(four[0].url, labels={"policy": "cache_aware"})
        await control.add(four[1].url)
        used = {(await control.chat("red"))[2] for _ in range(6)}
        assert len(used) == 1
        _, decisions = await control.call("GET", "/v1/router/decisions?limit=1")
        assert decisions["data"][0]["policy"] == "cache_aware"


async def test_weights_steer_the_weighted_turn(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start(policy="weighted_round_robin") as running:
        control = connect(running)
        await control.add(worker.url, labels={"weight": "3"})
        await control.add(other.url)
        used = Counter([(await control.chat("mock-model"))[2] for _ in range(8)])
        assert used == {worker.url: 6, other.url: 2}


async def test_ranks_are_workers_of_their_own_that_share_one_pool(
    start: Any, connect: Any, http: Any, chat: Any
) -> None:
    async with MockWorker(dp_size=2) as engine:
        async with start(dp_aware=True) as running:
            control = connect(running)
            status, body = await control.call("POST", "/workers", json={"url": engine.url})
            await control.until(body["worker_id"], lambda info: info["status"] == "ready")
            _, listing = await control.call("GET", "/workers")
            assert [(w["url"], w["dp_rank"]) for w in listing["workers"]] == [
                (f"{engine.url}@0", 0),
                (f"{engine.url}@1", 1),
            ]
            assert len({w.pool for w in running.gateway.registry.snapshot.workers}) == 1

            used = [(await control.chat("mock-model"))[2] for _ in range(4)]
            assert used == [f"{engine.url}@{rank}" for rank in (0, 1, 0, 1)]
            headers = {"x-data-parallel-rank": "7"}
            async with http.post(running.url + CHAT, json=chat(), headers=headers) as answer:
                assert answer.status == 200
            sent = engine.requests.to(CHAT)
            assert [each["data_parallel_rank"] for each in bodies(engine)] == [0, 1, 0, 1, 0]
            assert [
                [v for n, v in request.headers if n.lower() == "x-data-parallel-rank"]
                for request in sent
            ] == [["0"], ["1"], ["0"], ["1"], ["0"]]

            spec = {"url": f"{engine.url}@0"}
            rank_id = listing["workers"][0]["id"]
            status, answer = await control.call("PUT", f"/workers/{rank_id}", json=spec)
            assert (status, answer["code"]) == (400, "BAD_REQUEST")
            await control.call("DELETE", f"/workers/{body['worker_id']}")
            assert not running.gateway.registry.snapshot.workers


@pytest.mark.parametrize("policy", ["cache_aware", "random"])
async def test_the_rank_with_the_fewest_tokens_takes_the_next_request(
    start: Any, connect: Any, http: Any, chat: Any, policy: str
) -> None:
    async with MockWorker(dp_size=4) as engine:
        async with start(policy=policy, dp_aware=True, dp_minimum_tokens_scheduler=True) as running:
            control = connect(running)
            _, body = await control.call("POST", "/workers", json={"url": engine.url})
            await control.until(body["worker_id"], lambda info: info["status"] == "ready")
            selector = running.gateway.lane.selector
            workers = running.gateway.registry.snapshot.workers
            from smg_policies import RoutingRequest

            made = [
                selector.select(RoutingRequest(model="mock-model", text="same " * 50), workers)
                for _ in range(4)
            ]
            assert sorted(selection.worker.dp_rank for selection in made) == [0, 1, 2, 3]
            for selection in made:
                selector.settle("mock-model", selection.decision)
            again = selector.select(RoutingRequest(model="mock-model", text="same"), workers)
            assert again.worker.dp_rank == 0


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.integers())))
def test_a_rank_is_added_to_a_body_without_touching_the_rest(fields: dict[str, Any]) -> None:
    body = b" " + json.dumps(fields, indent=1).encode() + b"\n "
    spliced = ranked_body(body, 3)
    assert json.loads(spliced) == {**fields, "data_parallel_rank": 3}
    assert spliced.startswith(body.rstrip()[:-1].rstrip())


@pytest.mark.parametrize("body", [b"", b"--boundary\r\n", b"[1]", b'{"a":1'])
def test_a_body_that_is_no_object_stays_as_it_is(body: bytes) -> None:
    assert ranked_body(body, 1) == body
