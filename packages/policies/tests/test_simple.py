"""Policies that need nothing but the candidates."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_policies import (
    POLICY_NAMES,
    PassthroughPolicy,
    PlainCandidate,
    RandomPolicy,
    RoundRobinPolicy,
    RoutingRequest,
    WeightedRoundRobinPolicy,
    create_policy,
)

REQUEST = RoutingRequest()


def fleet(count: int) -> list[PlainCandidate]:
    return [PlainCandidate(f"http://w{number}") for number in range(count)]


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_without_candidates_there_is_no_choice(name: str) -> None:
    assert create_policy(name).select(REQUEST, []) is None


@pytest.mark.parametrize("name", POLICY_NAMES)
@given(loads=st.lists(st.integers(0, 5), min_size=1, max_size=5), text=st.text(max_size=5))
def test_the_choice_is_one_of_the_candidates(name: str, loads: list[int], text: str) -> None:
    policy = create_policy(name, Random(1))
    workers = [PlainCandidate(f"w{number}", load) for number, load in enumerate(loads)]
    for key in (None, "key"):
        decision = policy.select(RoutingRequest(text=text, routing_key=key), workers)
        assert decision is not None
        assert decision.worker in workers
        assert decision.policy == name
        assert decision.reason


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_upkeep_is_harmless_on_every_policy(name: str) -> None:
    policy = create_policy(name, Random(1))
    workers = fleet(2)
    decision = policy.select(RoutingRequest(text="hello", routing_key="k"), workers)
    assert decision is not None
    policy.settle(decision)
    policy.worker_removed(decision.worker.id)
    policy.worker_removed("nobody")
    policy.sweep(1e9)
    assert policy.select(REQUEST, workers) is not None


def test_random_reaches_every_worker_about_equally() -> None:
    workers = fleet(4)
    policy = RandomPolicy(Random(1))
    counts = Counter(policy.select(REQUEST, workers).worker.id for _ in range(4000))  # type: ignore[union-attr]
    assert set(counts) == {worker.id for worker in workers}
    assert min(counts.values()) > 800


def test_round_robin_takes_turns_even_when_the_fleet_shrinks() -> None:
    policy = RoundRobinPolicy()
    workers = fleet(3)
    turns = [policy.select(REQUEST, workers) for _ in range(4)]
    assert [turn.worker for turn in turns if turn] == [
        workers[0],
        workers[1],
        workers[2],
        workers[0],
    ]
    after = policy.select(REQUEST, workers[:2])
    assert after is not None
    assert after.worker in workers[:2]


def test_passthrough_is_the_first_candidate() -> None:
    workers = fleet(2)
    decision = PassthroughPolicy().select(REQUEST, workers)
    assert decision is not None
    assert decision.worker is workers[0]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 3))
def test_weighted_turns_come_as_often_as_the_weights_say(weights: list[int], rounds: int) -> None:
    workers = [PlainCandidate(f"w{n}", weight=weight) for n, weight in enumerate(weights)]
    policy = WeightedRoundRobinPolicy()
    turns = [policy.select(REQUEST, workers) for _ in range(sum(weights) * rounds)]
    counts = Counter(turn.worker.id for turn in turns if turn)
    assert counts == {worker.id: worker.weight * rounds for worker in workers}


def test_heavy_weights_are_spread_over_the_turns() -> None:
    workers = [PlainCandidate("a", weight=5), PlainCandidate("b"), PlainCandidate("c")]
    policy = WeightedRoundRobinPolicy()
    turns = [policy.select(REQUEST, workers) for _ in range(7)]
    assert "".join(turn.worker.id for turn in turns if turn) == "aabacaa"
