"""The circuit breaker on a manual clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.workers import BreakerConfig, BreakerState, CircuitBreaker

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Watched:
    """A breaker and its moves."""

    def __init__(self, **config: float) -> None:
        self.moves: list[tuple[BreakerState, BreakerState]] = []
        self.breaker = CircuitBreaker(
            BreakerConfig(**config),  # type: ignore[arg-type]
            lambda old, new: self.moves.append((old, new)),
        )

    def fail(self, times: int, now: float = 0.0) -> None:
        for _ in range(times):
            self.breaker.record_failure(now)


def test_failures_in_a_row_open_it() -> None:
    watched = Watched(failure_threshold=3)
    watched.fail(2)
    assert watched.breaker.allows(0)
    watched.fail(1)
    assert not watched.breaker.allows(0)
    assert watched.moves == [(CLOSED, OPEN)]


def test_a_success_starts_the_count_afresh() -> None:
    watched = Watched(failure_threshold=3)
    watched.fail(2)
    watched.breaker.record_success()
    watched.fail(2)
    assert watched.breaker.state is CLOSED


def test_after_its_time_it_lets_everybody_try() -> None:
    watched = Watched(failure_threshold=1, open_s=60)
    watched.fail(1, now=100)
    assert not watched.breaker.allows(159.9)
    assert watched.breaker.allows(160)
    assert watched.breaker.allows(160)
    assert watched.breaker.state is HALF_OPEN


def test_successes_in_a_row_close_a_half_open_one() -> None:
    watched = Watched(failure_threshold=1, success_threshold=2, open_s=1)
    watched.fail(1)
    watched.breaker.allows(1)
    watched.breaker.record_success()
    assert watched.breaker.state is HALF_OPEN
    watched.breaker.record_success()
    assert watched.moves == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]


def test_one_failure_reopens_a_half_open_one_for_the_full_time() -> None:
    watched = Watched(failure_threshold=5, open_s=10)
    watched.fail(5)
    watched.breaker.allows(10)
    watched.fail(1, now=10)
    assert not watched.breaker.allows(19.9)
    assert watched.breaker.allows(20)


def test_a_health_promotion_readmits_an_open_one_at_once() -> None:
    watched = Watched(failure_threshold=1)
    assert not watched.breaker.readmit()
    watched.fail(1)
    assert watched.breaker.readmit()
    assert watched.breaker.state is HALF_OPEN


def test_a_disabled_one_counts_but_never_opens() -> None:
    watched = Watched(failure_threshold=1, enabled=False)
    watched.fail(1000)
    assert watched.breaker.allows(0)
    assert watched.breaker.failures == 1000


@given(st.lists(st.tuples(st.sampled_from("sfa"), st.floats(0, 5)), max_size=60))
def test_it_only_refuses_while_open_and_always_recovers(steps: list[tuple[str, float]]) -> None:
    watched = Watched(failure_threshold=2, success_threshold=2, open_s=3)
    now = 0.0
    for step, passed in steps:
        now += passed
        if step == "s":
            watched.breaker.record_success()
        elif step == "f":
            watched.breaker.record_failure(now)
        elif not watched.breaker.allows(now):
            assert watched.breaker.state is OPEN
    assert watched.breaker.allows(now + 3.001)
