"""The retry planner."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.selection import RetryPolicy


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_passing_troubles_are_retried_until_the_attempts_are_used_up(status: int) -> None:
    policy = RetryPolicy(max_attempts=3)
    asked = [policy.retries_status(status, attempt, untried_left=False) for attempt in (1, 2, 3)]
    assert asked == [True, True, False]


@pytest.mark.parametrize("status", [200, 400, 401, 404, 409, 425, 501, 505, 529])
def test_other_answers_are_final(status: int) -> None:
    assert not RetryPolicy().retries_status(status, 1, untried_left=True)


def test_an_internal_error_is_retried_only_where_the_request_has_not_been() -> None:
    policy = RetryPolicy()
    assert policy.retries_status(500, 1, untried_left=True)
    assert not policy.retries_status(500, 1, untried_left=False)


def test_backoff_grows_to_its_cap() -> None:
    policy = RetryPolicy(initial_backoff_s=0.05, multiplier=2, max_backoff_s=0.3, jitter=0)
    backoffs = [policy.backoff_s(attempt, Random(0)) for attempt in range(1, 6)]
    assert backoffs == pytest.approx([0.05, 0.1, 0.2, 0.3, 0.3])


@given(st.integers(1, 200), st.floats(0, 1), st.integers())
def test_jitter_stays_within_its_share(attempt: int, jitter: float, seed: int) -> None:
    policy = RetryPolicy(jitter=jitter)
    plain = RetryPolicy(jitter=0).backoff_s(attempt, Random(0))
    backoff = policy.backoff_s(attempt, Random(seed))
    assert plain * (1 - jitter) * 0.999 <= backoff <= plain * (1 + jitter) * 1.001
