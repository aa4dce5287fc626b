"""The limiter by itself, on a manual clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from smg_gateway.admission import Limits, concurrency_bound
from smg_gateway.admission.bodies import BODIES_EXHAUSTED, BodyBudget
from smg_gateway.admission.limits import Limiter
from smg_gateway.errors import BODY_TOO_LARGE


def limiter(**bounds: float) -> Limiter[str]:
    return Limiter(Limits(**bounds), now=0.0)  # type: ignore[arg-type]


def test_permits_are_given_up_to_the_bound_and_again_after_a_release() -> None:
    one = limiter(max_concurrent=2)

    assert [one.take(0.0) for _ in range(3)] == [True, True, False]
    one.release()
    assert one.take(0.0)
    assert one.inflight == 2


def test_without_a_bound_every_request_gets_a_permit() -> None:
    one = limiter(max_concurrent=0, queue_size=0)

    assert all(one.take(0.0) for _ in range(10_000))


def test_waiters_are_served_in_the_order_of_their_arrival() -> None:
    one = limiter(max_concurrent=1)
    one.take(0.0)
    for name in "abc":
        one.enqueue(name, 0.0)

    served: list[str] = []
    for _ in range(3):
        one.release()
        served += one.ready(1.0)

    assert served == ["a", "b", "c"]
    assert one.inflight == 1


def test_nobody_overtakes_a_waiter() -> None:
    one = limiter(max_concurrent=1)
    one.take(0.0)
    one.enqueue("a", 0.0)
    one.release()

    assert not one.take(0.0)
    assert list(one.ready(0.0)) == ["a"]


def test_a_full_queue_takes_nobody() -> None:
    one = limiter(max_concurrent=1, queue_size=1)

    assert one.enqueue("a", 0.0)
    assert not one.enqueue("b", 0.0)
    assert one.remove("a")
    assert one.enqueue("b", 0.0)


def test_a_waiter_expires_after_its_own_wait() -> None:
    one = limiter(max_concurrent=1, queue_timeout_s=10)
    one.take(0.0)
    one.enqueue("a", 0.0)
    one.enqueue("b", 4.0)

    assert one.wake_at(4.0) == 10.0
    assert list(one.expired(9.9)) == []
    assert list(one.expired(10.0)) == ["a"]
    assert one.wake_at(10.0) == 14.0
    assert not one.remove("a")


def test_a_rate_admits_a_burst_as_large_as_the_bound_and_then_its_pace() -> None:
    one = limiter(max_concurrent=3, rate_per_s=2)
    for _ in range(3):
        assert one.take(0.0)
        one.release()

    assert not one.take(0.0)
    assert not one.take(0.49)
    assert one.take(0.5)
    assert not one.take(0.5)


def test_a_waiter_for_a_token_is_woken_when_it_is_there() -> None:
    one = limiter(max_concurrent=1, rate_per_s=2)
    assert one.take(0.0)
    one.release()
    one.enqueue("a", 0.0)

    assert list(one.ready(0.0)) == []
    assert one.wake_at(0.0) == pytest.approx(0.5)
    assert list(one.ready(0.5)) == ["a"]
    assert one.wake_at(0.5) is None


def test_a_rate_without_a_bound_has_a_burst_of_one_second() -> None:
    one = limiter(max_concurrent=0, rate_per_s=5)

    assert sum(one.take(0.0) for _ in range(20)) == 5


def test_wider_bounds_let_waiters_in_and_narrower_ones_let_requests_finish() -> None:
    one = limiter(max_concurrent=1)
    one.take(0.0)
    for name in "ab":
        one.enqueue(name, 0.0)

    one.reconfigure(Limits(max_concurrent=3), 0.0)
    assert list(one.ready(0.0)) == ["a", "b"]

    one.reconfigure(Limits(max_concurrent=1), 0.0)
    for _ in range(2):
        one.release()
        assert not one.take(0.0)
    one.release()
    assert one.take(0.0)


def test_a_new_rate_starts_with_a_full_bucket_and_no_more() -> None:
    one = limiter(max_concurrent=2)
    one.reconfigure(Limits(max_concurrent=2, rate_per_s=1), 100.0)

    taken = 0
    for _ in range(5):
        if one.take(100.0):
            taken += 1
            one.release()
    assert taken == 2


class LimiterMachine(RuleBasedStateMachine):
    """Arrivals, departures, deadlines and changes of the bounds, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.names = 0
        self.holding = 0
        self.waiting: list[str] = []
        self.since: dict[str, float] = {}
        self.bounds = Limits(max_concurrent=2, queue_size=3, queue_timeout_s=5)
        self.limiter: Limiter[str] = Limiter(self.bounds, 0.0)

    def settle(self) -> None:
        for name in self.limiter.expired(self.now):
            assert name == self.waiting.pop(0), "the longest waiting one expires first"
            assert self.now - self.since[name] >= self.bounds.queue_timeout_s
        for name in self.limiter.ready(self.now):
            assert name == self.waiting.pop(0), "the longest waiting one is served first"
            self.holding += 1

    @rule()
    def arrive(self) -> None:
        if self.limiter.take(self.now):
            assert not self.waiting
            self.holding += 1
            return
        self.names += 1
        name = str(self.names)
        has_room = len(self.waiting) < self.bounds.queue_size
        assert self.limiter.enqueue(name, self.now) is has_room
        if has_room:
            self.waiting.append(name)
            self.since[name] = self.now

    @precondition(lambda self: self.holding)
    @rule()
    def depart(self) -> None:
        self.limiter.release()
        self.holding -= 1
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(pick=st.randoms(use_true_random=False))
    def leave_the_queue(self, pick: Callable[..., object]) -> None:
        name = pick.choice(self.waiting)  # type: ignore[attr-defined]
        assert self.limiter.remove(name)
        assert not self.limiter.remove(name)
        self.waiting.remove(name)

    @rule(seconds=st.floats(0.0, 4.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule()
    def sleep_until_woken(self) -> None:
        woken = self.limiter.wake_at(self.now)
        assert woken is not None
        before = len(self.waiting)
        self.now = max(self.now, woken) + 1e-6
        self.settle()
        assert len(self.waiting) < before, "waking up is never for nothing"

    @rule(
        concurrent=st.integers(0, 4),
        rate=st.sampled_from([0.0, 0.5, 3.0]),
        size=st.integers(0, 4),
        wait_s=st.sampled_from([1.0, 5.0]),
    )
    def reconfigure(self, concurrent: int, rate: float, size: int, wait_s: float) -> None:
        self.bounds = Limits(
            max_concurrent=concurrent, rate_per_s=rate, queue_size=size, queue_timeout_s=wait_s
        )
        self.limiter.reconfigure(self.bounds, self.now)
        self.settle()

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.limiter.inflight == self.holding
        assert len(self.limiter) == len(self.waiting)


TestLimiterMachine = LimiterMachine.TestCase
TestLimiterMachine.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


@pytest.mark.parametrize(
    ("asked", "cores", "bound"),
    [(-1, 1, 4096), (-1, 8, 8192), (-5, 64, 65536), (0, 8, 0), (7, 8, 7)],
)
def test_a_negative_bound_is_derived_from_the_cores(asked: int, cores: int, bound: int) -> None:
    assert concurrency_bound(asked, cores) == bound


def test_bodies_are_counted_until_the_budget_is_used_up() -> None:
    budget = BodyBudget(100)

    assert budget.grow(60)
    assert not budget.grow(41)
    assert budget.refusal(41) is BODIES_EXHAUSTED
    assert budget.refusal(40) is None
    budget.shrink(60)
    assert budget.refusal(100) is None
    assert budget.refusal(101) is BODY_TOO_LARGE


def test_a_budget_of_zero_has_no_bound() -> None:
    budget = BodyBudget(0)

    assert budget.grow(10**12)
    assert budget.refusal(10**12) is None
