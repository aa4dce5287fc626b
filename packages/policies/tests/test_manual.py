"""Sticky keys: the manual policy, and sticky sessions over other policies."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_policies import (
    POLICY_NAMES,
    Decision,
    DpMinTokenPolicy,
    LeastLoadPolicy,
    LoadReport,
    ManualPolicy,
    PlainCandidate,
    Policy,
    PolicyConfig,
    RoundRobinPolicy,
    RoutingRequest,
    StickySessions,
    base_key,
    create_policy,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fleet(count: int = 3) -> list[PlainCandidate]:
    return [PlainCandidate(str(number)) for number in range(1, count + 1)]


def manual(clock: Clock | None = None, seed: int = 1, **fields: object) -> ManualPolicy:
    return ManualPolicy(Random(seed), PolicyConfig(**fields), clock or Clock())  # type: ignore[arg-type]


def choose(policy: Policy, workers: list[PlainCandidate], key: str | None) -> Decision:
    decision = policy.select(RoutingRequest(routing_key=key), workers)
    assert decision is not None
    return decision


def only(workers: list[PlainCandidate], *ids: str) -> list[PlainCandidate]:
    return [worker for worker in workers if worker.id in ids]


# manual


def test_a_key_stays_with_its_first_worker() -> None:
    policy, workers = manual(), fleet()
    first = choose(policy, workers, "key")
    assert first.branch == "vacant"
    for _ in range(10):
        again = choose(policy, workers, "key")
        assert (again.worker, again.branch) == (first.worker, "occupied_hit")


def test_without_a_key_every_request_is_assigned_anew() -> None:
    policy, workers = manual(), fleet()
    decisions = [choose(policy, workers, None) for _ in range(50)]
    assert {decision.branch for decision in decisions} == {"no_routing_id"}
    assert len({decision.worker.id for decision in decisions}) == 3
    assert policy.entries_count == 0


def test_a_key_finds_back_to_its_first_worker_when_that_returns() -> None:
    policy, workers = manual(), fleet()
    first = choose(policy, workers, "key").worker
    others = [worker for worker in workers if worker is not first]
    second = choose(policy, others, "key")
    assert second.branch == "occupied_miss"
    assert choose(policy, others, "key").worker is second.worker
    assert choose(policy, workers, "key").worker is first


def test_a_key_remembers_two_workers_and_drops_the_older() -> None:
    policy, workers = manual(), fleet()
    for worker_id in ("1", "2", "3"):
        choose(policy, only(workers, worker_id), "key")
    assert choose(policy, only(workers, "1", "3"), "key").worker.id == "3"
    assert choose(policy, workers, "key").worker.id == "2"


def test_min_load_assigns_the_idlest() -> None:
    policy, workers = manual(assignment_mode="min_load"), fleet()
    for worker, load in zip(workers, (2, 1, 3), strict=True):
        worker.load = load
    assert choose(policy, workers, "key").worker.id == "2"


@pytest.mark.parametrize("mode", ["min_load", "delegate"])
def test_delegate_means_min_load_here_and_ties_are_drawn(mode: str) -> None:
    policy, workers = manual(assignment_mode=mode), fleet()
    workers[0].load = 1
    counts = Counter(choose(policy, workers, f"key{n}").worker.id for n in range(60))
    assert set(counts) == {"2", "3"}


def test_min_group_spreads_keys_evenly() -> None:
    policy, workers = manual(assignment_mode="min_group"), fleet()
    counts = Counter(choose(policy, workers, f"key{n}").worker.id for n in range(30))
    assert set(counts.values()) == {10}


def test_min_group_counts_keys_that_were_let_go() -> None:
    clock = Clock()
    policy = manual(clock, assignment_mode="min_group", max_idle_secs=100)
    workers = fleet(2)
    choose(policy, only(workers, "1"), "old")
    policy.sweep(0)
    clock.now = 100
    policy.sweep(100)
    choose(policy, only(workers, "2"), "a")
    assert choose(policy, workers, "b").worker.id == "1"


def test_idle_keys_are_forgotten_at_the_sweep_interval() -> None:
    clock = Clock()
    policy, workers = manual(clock, max_idle_secs=100, eviction_interval_secs=60), fleet()
    policy.sweep(0)
    choose(policy, workers, "idle")
    choose(policy, workers, "used")
    clock.now = 50
    choose(policy, workers, "used")
    policy.sweep(59)
    policy.sweep(100)
    assert policy.entries_count == 1
    policy.sweep(155)
    assert policy.entries_count == 1
    policy.sweep(160)
    assert policy.entries_count == 0


def test_keys_beyond_the_bound_are_forgotten_least_recently_used_first() -> None:
    policy, workers = manual(max_sticky_keys=3), fleet()
    for key in ("a", "b", "c", "a", "d"):
        choose(policy, workers, key)
    assert policy.entries_count == 3
    assert choose(policy, workers, "a").branch == "occupied_hit"
    assert choose(policy, workers, "b").branch == "vacant"


def test_a_worker_that_comes_back_finds_its_keys_again() -> None:
    policy, workers = manual(), fleet()
    first = choose(policy, workers, "key").worker
    policy.worker_removed(first.id)
    others = [worker for worker in workers if worker is not first]
    assert choose(policy, others, "key").branch == "occupied_miss"
    assert choose(policy, workers, "key").worker is first


# Keys


@pytest.mark.parametrize(
    ("key", "base"),
    [
        ("conv", "conv"),
        ("conv_t3", "conv"),
        ("conv_r1", "conv"),
        ("conv_t1_r1", "conv"),
        ("conv_r2_t10_t1", "conv"),
        ("conv_t", "conv_t"),
        ("conv_t1x", "conv_t1x"),
        ("_t1", "_t1"),
        ("_t1_r2", "_t1_r2"),
        ("", ""),
        ("conv_t1\n", "conv_t1\n"),
    ],
)
def test_turn_and_retry_numbers_are_no_part_of_a_key(key: str, base: str) -> None:
    assert base_key(key) == base


# Sticky sessions


def sessions(
    policy: Policy | None = None, clock: Clock | None = None, **fields: object
) -> StickySessions:
    return StickySessions(
        policy or RoundRobinPolicy(),
        Random(1),
        PolicyConfig(**fields),  # type: ignore[arg-type]
        clock or Clock(),
    )


def serve(policy: StickySessions, workers: list[PlainCandidate], key: str) -> Decision:
    """A request that has ended before the next one starts."""
    decision = choose(policy, workers, key)
    policy.settle(decision)
    return decision


def test_requests_of_a_session_follow_the_first() -> None:
    policy, workers = sessions(), fleet()
    decisions = [serve(policy, workers, key) for key in ("conv", "conv_t3", "conv_t1_r1")]
    assert [(d.worker.id, d.branch) for d in decisions] == [
        ("1", "vacant"),
        ("1", "occupied_hit"),
        ("1", "occupied_hit"),
    ]


def test_a_header_key_counts_before_the_one_in_the_body() -> None:
    policy, workers = sessions(), fleet()
    serve(policy, workers, "a")
    serve(policy, workers, "b")
    both = policy.select(RoutingRequest(routing_key="b", rid="a"), workers)
    body = policy.select(RoutingRequest(rid="a_t2"), workers)
    assert both is not None
    assert body is not None
    assert (both.worker.id, body.worker.id) == ("2", "1")


def test_requests_without_a_key_are_left_to_the_policy_below() -> None:
    policy, workers = sessions(), fleet()
    decisions = [choose(policy, workers, None) for _ in range(3)]
    assert [decision.worker.id for decision in decisions] == ["1", "2", "3"]
    assert policy.entries_count == 0


def test_overlapping_requests_of_one_key_spill_over_beyond_the_cap() -> None:
    # The order in which the reference gateway's own policy named workers, when asked.
    class Scripted(RoundRobinPolicy):
        def __init__(self) -> None:
            super().__init__()
            self.script = iter("321123")

        def select(self, request: RoutingRequest, candidates: object) -> Decision:
            return Decision(workers[int(next(self.script)) - 1], self.name, "scripted")

    workers = fleet()
    policy = sessions(Scripted())
    decisions = [choose(policy, workers, "key") for _ in range(7)]
    assert "".join(decision.worker.id for decision in decisions) == "3321123"
    assert Counter(decision.branch for decision in decisions)["cap_respill"] == 3


def test_the_pin_moves_with_a_spill() -> None:
    policy, workers = sessions(), fleet()
    overlapping = [choose(policy, workers, "key") for _ in range(3)]
    assert [d.branch for d in overlapping] == ["vacant", "occupied_hit", "cap_respill"]
    for decision in overlapping:
        policy.settle(decision)
    assert serve(policy, workers, "key").worker is overlapping[-1].worker


def test_a_session_whose_workers_are_away_gets_a_new_one_in_front() -> None:
    policy, workers = sessions(), fleet()
    serve(policy, only(workers, "1"), "key")
    moved = serve(policy, only(workers, "2"), "key")
    assert moved.branch == "occupied_miss"
    assert serve(policy, workers, "key").worker.id == "2"
    assert serve(policy, only(workers, "1", "3"), "key").worker.id == "1"


@pytest.mark.parametrize("mode", ["random", "min_load", "min_group"])
def test_an_assignment_mode_replaces_the_policy_below_for_new_keys(mode: str) -> None:
    policy, workers = sessions(assignment_mode=mode), fleet()
    workers[0].load = workers[1].load = 5
    chosen = [serve(policy, workers, f"key{n}").worker.id for n in range(12)]
    if mode == "min_load":
        assert set(chosen) == {"3"}
    else:
        assert len(set(chosen)) == 3


def test_a_policy_below_that_has_no_choice_leaves_no_pin() -> None:
    full = LeastLoadPolicy(Random(1), PolicyConfig(least_load_max_waiting_requests=1))
    policy, workers = sessions(full), fleet()
    for worker in workers:
        worker.report = LoadReport(waiting_requests=1)
    for candidates in ([], workers):
        assert policy.select(RoutingRequest(routing_key="key"), candidates) is None
    assert policy.entries_count == 0


def test_tickets_of_the_policy_below_are_settled_with_the_session() -> None:
    ranks = DpMinTokenPolicy(PolicyConfig())
    policy, workers = sessions(ranks), fleet(2)
    request = RoutingRequest(routing_key="key", tokens=[1] * 50)
    decision = policy.select(request, workers)
    assert decision is not None
    policy.settle(decision)
    assert dict(choose(ranks, workers, None).scores) == {"1": 0, "2": 0}


def test_tickets_of_requests_without_a_key_are_settled_below() -> None:
    ranks = DpMinTokenPolicy(PolicyConfig())
    policy, workers = sessions(ranks), fleet(2)
    policy.settle(choose(policy, workers, None))
    assert dict(choose(ranks, workers, None).scores) == {"1": 0, "2": 0}


def test_keys_in_flight_are_bounded_even_when_nothing_is_settled() -> None:
    policy, workers = sessions(max_sticky_keys=5), fleet()
    decisions = [choose(policy, workers, f"key{n}") for n in range(50)]
    assert policy.entries_count == 5
    for decision in decisions:
        policy.settle(decision)
    assert choose(policy, workers, "key49").branch == "occupied_hit"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_settling_everything_leaves_every_key_free(steps: list[tuple[str, bool]]) -> None:
    policy, workers = sessions(), fleet()
    flying: list[Decision] = []
    for key, lands in steps:
        if lands and flying:
            policy.settle(flying.pop(0))
        else:
            flying.append(choose(policy, workers, key))
    for decision in flying:
        policy.settle(decision)
    for key in {key for key, lands in steps if not lands}:
        assert choose(policy, workers, key).branch in {"occupied_hit", "vacant"}


def test_the_caller_says_where_a_session_is_told_by() -> None:
    policy = StickySessions(
        RoundRobinPolicy(),
        Random(1),
        PolicyConfig(),
        Clock(),
        key_of=lambda request: request.rid or request.implicit_key,
    )
    workers = fleet()
    chosen = [
        policy.select(request, workers)
        for request in (
            RoutingRequest(routing_key="header", rid="body"),
            RoutingRequest(routing_key="other", rid="body_t1"),
            RoutingRequest(routing_key="body", implicit_key="10.0.0.1"),
            RoutingRequest(routing_key="header"),
        )
    ]
    assert [each.worker.id for each in chosen if each] == ["1", "1", "2", "3"]
    assert policy.entries_count == 2


def test_keys_are_counted_by_worker() -> None:
    for policy in (manual(assignment_mode="min_group"), sessions()):
        workers = fleet()
        for number in range(6):
            choose(policy, workers, f"key{number}")
        assert policy.entries_count == 6
        assert policy.keys_by_worker() == {"1": 2, "2": 2, "3": 2}


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_sessions_stick_over_any_policy_and_stay_bounded(name: str) -> None:
    clock = Clock()
    config = PolicyConfig(max_sticky_keys=8)
    policy = StickySessions(create_policy(name, Random(1), config, clock), Random(1), config, clock)
    workers = fleet()
    first = {number: serve(policy, workers, f"key{number}").worker for number in range(8)}
    for number, worker in first.items():
        again = serve(policy, workers, f"key{number}_t2")
        assert (again.worker, again.branch) == (worker, "occupied_hit")
    for number in range(100):
        serve(policy, workers, f"more{number}")
        assert policy.entries_count == 8
        assert sum(policy.keys_by_worker().values()) == 8


def test_upkeep_reaches_the_keys_and_the_policy_below() -> None:
    below = manual(max_idle_secs=10)
    clock = Clock()
    policy, workers = sessions(below, clock, max_idle_secs=10), fleet()
    serve(policy, workers, "key")
    assert (policy.name, policy.needs_text, policy.policy) == ("manual", False, below)
    policy.sweep(1000)
    policy.worker_removed("1")
    assert (policy.entries_count, below.entries_count) == (0, 0)
