"""bucket: ranges of prompt sizes, on a clock that tests move."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from smg_policies import BucketPolicy, Decision, PlainCandidate, PolicyConfig, RoutingRequest
from smg_policies._bounds import MAX_WORKERS  # noqa: PLC2701 - bounds that tests fill
from smg_policies._bucket import MAX_REMEMBERED  # noqa: PLC2701


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def policy_of(clock: Clock, **fields: int) -> BucketPolicy:
    defaults = {"balance_abs_threshold": 10**9}
    return BucketPolicy(Random(1), PolicyConfig(**(defaults | fields)), clock)  # type: ignore[arg-type]


def fleet(count: int) -> list[PlainCandidate]:
    return [PlainCandidate(str(number)) for number in range(count)]


def send(policy: BucketPolicy, workers: list[PlainCandidate], size: int) -> Decision:
    decision = policy.select(RoutingRequest(tokens=range(size) if size else None), workers)
    assert decision is not None
    return decision


def test_at_first_the_sizes_up_to_4096_are_split_evenly() -> None:
    policy, workers = policy_of(Clock()), fleet(4)
    owners = {
        size: send(policy, workers, size).worker.id for size in (0, 1023, 1024, 3071, 3072, 9999)
    }
    assert owners == {0: "0", 1023: "0", 1024: "1", 3071: "2", 3072: "3", 9999: "3"}


def test_an_added_worker_splits_the_same_span_again() -> None:
    policy = policy_of(Clock())
    send(policy, fleet(2), 1)
    assert list(policy.bounds) == [2048]
    send(policy, fleet(4), 1)
    assert list(policy.bounds) == [1024, 2048, 3072]
    policy.worker_removed("3")
    assert list(policy.bounds) == [1365, 2730]


def test_text_counts_by_characters() -> None:
    policy, workers = policy_of(Clock()), fleet(2)
    decision = policy.select(RoutingRequest(text="x" * 3000), workers)
    assert decision is not None
    assert decision.worker.id == "1"


def test_after_an_interval_each_range_would_have_had_the_same_sum() -> None:
    clock = Clock()
    policy, workers = policy_of(clock), fleet(2)
    for size in (10, 20, 30, 60):
        send(policy, workers, size)
    clock.now = 5
    policy.sweep(5)
    assert policy.bounds == (31,)
    assert send(policy, workers, 30).worker.id == "0"
    assert send(policy, workers, 31).worker.id == "1"


def test_ranges_stay_while_the_mean_changes_less_than_twofold() -> None:
    clock = Clock()
    policy, workers = policy_of(clock), fleet(2)
    for at, sizes, bounds in (
        (5.0, (100, 100), (101,)),
        (10.0, (150, 150), (101,)),
        (15.0, (300, 300), (301,)),
    ):
        for size in sizes:
            send(policy, workers, size)
        clock.now = at
        policy.sweep(at)
        assert policy.bounds == bounds


def test_when_sizes_pile_up_on_one_worker_the_least_busy_gets_the_next() -> None:
    clock = Clock()
    policy, workers = policy_of(clock, balance_abs_threshold=64), fleet(2)
    assert send(policy, workers, 65).worker.id == "0"
    assert send(policy, workers, 10).worker.id == "1"
    clock.now = 5
    assert send(policy, workers, 10).worker.id == "0"


def test_a_range_without_its_owner_goes_to_chance() -> None:
    policy, workers = policy_of(Clock()), fleet(3)
    send(policy, workers, 1)
    assert send(policy, workers[1:], 1).reason.endswith("random")


@given(st.lists(st.integers(0, 5000), max_size=40), st.integers(1, 5))
def test_bounds_ascend_and_leave_every_size_an_owner(sizes: list[int], count: int) -> None:
    clock = Clock()
    policy, workers = policy_of(clock), fleet(count)
    for size in sizes:
        send(policy, workers, size)
    clock.now = 5
    policy.sweep(5)
    bounds = policy.bounds
    assert list(bounds) == sorted(bounds)
    assert len(bounds) == (count - 1 if sizes else 0)


def test_a_window_with_too_many_requests_keeps_the_latest() -> None:
    policy, workers = policy_of(Clock()), fleet(1)
    for _ in range(MAX_REMEMBERED + 10):
        send(policy, workers, 1)
    policy.sweep(5)
    assert send(policy, workers, 1).worker.id == "0"


def test_workers_that_nobody_said_had_left_are_let_go_beyond_the_bound() -> None:
    policy = policy_of(Clock())
    send(policy, fleet(MAX_WORKERS), 1)
    late = [PlainCandidate("late 1"), PlainCandidate("late 2")]
    send(policy, late, 1)
    assert list(policy.bounds) == [2048]
