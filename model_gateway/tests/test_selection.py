"""From snapshot and policy to a worker; every policy seen through a running gateway."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from smg_gateway.observability.decisions import DEFAULT_CAPACITY, Choice
from smg_gateway.selection import Selector
from smg_gateway.selection.selector import FALLBACK_REASON
from smg_gateway.upstream import Pool, PoolLimits, parse_origin
from smg_gateway.workers import BreakerConfig, CircuitBreaker, Worker, WorkerStatus
from smg_mock_worker import AnswerStatus
from smg_policies import BasePolicy, Decision, RoutingRequest, create_policy

CHAT = "/v1/chat/completions"
ANY = RoutingRequest(model="m")


def make(number: int) -> Worker:
    url = f"http://w{number}"
    pool = Pool(parse_origin(url), limits=PoolLimits(), clock=lambda: 0.0)
    breaker = CircuitBreaker(BreakerConfig(failure_threshold=1), lambda old, new: None)
    return Worker(url=url, models=("m",), pool=pool, breaker=breaker)


def selector(policy: str = "round_robin", **more: Any) -> Selector:
    return Selector(lambda: create_policy(policy, Random(1)), clock=lambda: 0.0, **more)


def test_workers_that_are_not_ready_or_cut_off_are_never_chosen() -> None:
    a, b, c = workers = [make(1), make(2), make(3)]
    a.status = WorkerStatus.NOT_READY
    b.breaker.record_failure(0.0)
    chooser = selector()
    for _ in range(5):
        selection = chooser.select(ANY, workers)
        assert selection is not None and selection.worker is c
    c.status = WorkerStatus.DRAINING
    assert chooser.select(ANY, workers) is None


def test_workers_already_tried_are_chosen_only_when_nobody_else_is_left() -> None:
    a, b = workers = [make(1), make(2)]
    chooser = selector()
    for _ in range(4):
        selection = chooser.select(ANY, workers, tried=[a])
        assert selection is not None and selection.worker is b
    assert chooser.select(ANY, workers, tried=[a, b]) is not None
    assert chooser.untried_left(workers, [a])
    assert not chooser.untried_left(workers, [a, b])


def test_each_model_has_a_policy_of_its_own_up_to_a_bound() -> None:
    chooser = selector(max_models=10)
    for number in range(1000):
        chooser.select(RoutingRequest(model=f"m{number}"), [make(1)])
    assert len(chooser.policies) == 11


class Raising(BasePolicy):
    name = "raising"

    def select(self, request: RoutingRequest, candidates: Any) -> Decision | None:
        raise RuntimeError("a plugin's defect")


class Inventing(BasePolicy):
    name = "inventing"

    def select(self, request: RoutingRequest, candidates: Any) -> Decision | None:
        return Decision(make(99), self.name, "made up")


@pytest.mark.parametrize("policy", [Raising, Inventing])
def test_a_policy_that_fails_is_overruled(policy: Any) -> None:
    a, b = workers = [make(1), make(2)]
    a.load = 1
    selection = Selector(policy, clock=lambda: 0.0).select(ANY, workers)
    assert selection is not None
    assert (selection.worker, selection.decision.reason) == (b, FALLBACK_REASON)


@pytest.mark.anyio
async def test_header_and_decision_log_tell_the_same_choice(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(AnswerStatus(code=503))

    async with start(worker, other) as running:
        for number in range(3):
            headers = {"x-request-id": f"r{number}"}
            async with http.post(running.url + CHAT, json=chat(), headers=headers) as answer:
                assert answer.headers["x-smg-routed-worker-id"] == other.url
        log = running.url + "/v1/router/decisions"
        async with http.get(log, params={"request_id": "r0"}) as answer:
            second, first = (await answer.json())["data"]
        async with http.get(log, params={"worker": other.url, "limit": "2"}) as answer:
            assert [row["request_id"] for row in (await answer.json())["data"]] == ["r2", "r1"]
        async with http.get(log, params={"model": "nope"}) as answer:
            assert (await answer.json())["data"] == []
        async with http.get(log, params={"limit": "0"}) as answer:
            assert answer.status == 400

    assert [(row["worker"], row["attempt"]) for row in (first, second)] == [
        (worker.url, 1),
        (other.url, 2),
    ]
    assert [row["worker"] for row in first["candidates"]] == [worker.url, other.url]
    assert (first["policy"], first["reason"]) == ("round_robin", "next in turn")
    assert first["took_us"] > 0


@pytest.mark.anyio
async def test_the_decision_log_is_bounded_and_guarded(start: Any, worker: Any, http: Any) -> None:
    async with start(worker, api_key="k") as running:
        log = running.gateway.lane.decisions
        decision = Decision(running.gateway.registry.snapshot.workers[0], "p", "r")
        for number in range(10_000):
            log.add(Choice(str(number), None, 1, decision, (), 0.0, 0.0))
        assert len(log) == DEFAULT_CAPACITY
        async with http.get(running.url + "/v1/router/decisions") as answer:
            assert answer.status == 401


@pytest.mark.anyio
async def test_cache_aware_keeps_a_conversation_on_its_worker(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    """The engines' own caches tell: a follow-up finds what the first turn left behind."""
    first = [f"Topic {number}: " + "some shared words to remember " * 30 for number in range(12)]

    async with start(worker, other, policy="cache_aware") as running:

        async def ask(text: str) -> tuple[str, int]:
            async with http.post(running.url + CHAT, json=chat(text)) as answer:
                usage = (await answer.json())["usage"]
                where = answer.headers["x-smg-routed-worker-id"]
                return where, usage["prompt_tokens_details"]["cached_tokens"]

        opened = [await ask(text) for text in first]
        followed = [await ask(text + " and then a further question") for text in first]
        matches = running.metric('smg_cache_aware_policy_branch_total{branch="tree_match"}')

    assert [where for where, _ in followed] == [where for where, _ in opened]
    assert all(cached > 100 for _, cached in followed)
    assert len({where for where, _ in opened}) == 2
    assert matches >= len(first)


@pytest.mark.anyio
async def test_consistent_hashing_keeps_a_key_on_its_worker_and_obeys_a_target(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    async with start(worker, other, policy="consistent_hashing") as running:

        async def ask(**headers: str) -> tuple[int, str | None]:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            async with http.post(running.url + CHAT, json=chat(), headers=names) as answer:
                return answer.status, answer.headers.get("x-smg-routed-worker-id")

        for key in ("a", "b", "c"):
            homes = Counter([await ask(x_smg_routing_key=key) for _ in range(4)])
            assert len(homes) == 1
        assert await ask(x_smg_target_worker="0") == (200, worker.url)
        assert await ask(x_smg_target_worker="1") == (200, other.url)
        assert await ask(x_smg_target_worker="2") == (503, None)
        assert await ask(x_smg_target_worker="x") == (503, None)


@pytest.mark.anyio
async def test_hashed_heads_of_token_prompts_stick_to_a_worker(
    start: Any, worker: Any, other: Any, http: Any
) -> None:
    settings = {"policy": "cache_aware", "cache_index": "hash", "cache_boundaries": (4,)}
    async with start(worker, other, **settings) as running:

        async def routed(ids: list[int]) -> str:
            body = {"input_ids": ids, "sampling_params": {"max_new_tokens": 1}}
            async with http.post(running.url + "/generate", json=body) as answer:
                assert answer.status == 200
                home: str = answer.headers["x-smg-routed-worker-id"]
            await running.settled()
            return home

        homes = {await routed([1, 2, 3, 4, turn]) for turn in range(5, 9)}
        others = {await routed([turn, turn, turn]) for turn in range(20)}
    assert len(homes) == 1
    assert len(others) == 2
