"""From snapshot and policy to a worker; every policy seen through a running gateway."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from smg_gateway.selection import Selector
from smg_gateway.selection.selector import chosen
from smg_gateway.upstream import Pool, PoolLimits, parse_origin
from smg_gateway.workers import BreakerConfig, CircuitBreaker, Worker, WorkerStatus
from smg_policies import RoutingRequest, create_policy

CHAT = "/v1/chat/completions"
ANY = RoutingRequest(model="m")


def make(number: int) -> Worker:
    url = f"http://w{number}"
    pool = Pool(parse_origin(url), limits=PoolLimits(), clock=lambda: 0.0)
    breaker = CircuitBreaker(BreakerConfig(failure_threshold=1), lambda old, new: None)
    return Worker(id=url, url=url, models=("m",), pool=pool, breaker=breaker)


def selector(policy: str = "round_robin", **more: Any) -> Selector:
    return Selector(lambda: create_policy(policy, Random(1)), clock=lambda: 0.0, **more)


def test_workers_that_are_not_ready_or_cut_off_are_never_chosen() -> None:
    a, b, c = workers = [make(1), make(2), make(3)]
    a.status = WorkerStatus.NOT_READY
    b.breaker.record_failure(0.0)
    chooser = selector()
    for _ in range(5):
        decision = chooser.select(ANY, workers)
        assert decision is not None and chosen(decision) is c
    c.status = WorkerStatus.DRAINING
    assert chooser.select(ANY, workers) is None


def test_workers_already_tried_are_chosen_only_when_nobody_else_is_left() -> None:
    a, b = workers = [make(1), make(2)]
    chooser = selector()
    for _ in range(4):
        decision = chooser.select(ANY, workers, tried=[a])
        assert decision is not None and chosen(decision) is b
    assert chooser.select(ANY, workers, tried=[a, b]) is not None
    assert chooser.untried_left(workers, [a])
    assert not chooser.untried_left(workers, [a, b])


def test_each_model_has_a_policy_of_its_own_up_to_a_bound() -> None:
    chooser = selector(max_models=10)
    for number in range(1000):
        chooser.select(RoutingRequest(model=f"m{number}"), [make(1)])
    assert len(chooser.policies) == 11


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
