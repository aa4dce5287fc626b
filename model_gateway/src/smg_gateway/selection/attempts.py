"""The retry planner: pure decisions, chance passed in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

RETRYABLE_STATUSES = frozenset({408, 429, 502, 503, 504})
"""Answers worth another attempt on any worker."""

RETRYABLE_ELSEWHERE = frozenset({500})
"""Answers worth another attempt only on a worker that has not been tried: an internal error is
often the request's fault and repeats itself on the same worker (SMG 1.13.0 does the same)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently; times in seconds."""

    max_attempts: int = 5
    initial_backoff_s: float = 0.05
    max_backoff_s: float = 30.0
    multiplier: float = 1.5
    jitter: float = 0.2

    def retries_status(self, status: int, attempt: int, *, untried_left: bool) -> bool:
        """Whether to try again after attempt number `attempt` (from 1) got `status`."""
        if attempt >= self.max_attempts:
            return False
        if status in RETRYABLE_STATUSES:
            return True
        return untried_left and status in RETRYABLE_ELSEWHERE

    def retries_failure(self, attempt: int) -> bool:
        """Whether to try again after a transport failure before any byte went to the client."""
        return attempt < self.max_attempts

    def backoff_s(self, attempt: int, rng: Random) -> float:
        """The pause after attempt number `attempt`: capped exponential growth with jitter."""
        base = min(self.initial_backoff_s * self.multiplier ** (attempt - 1), self.max_backoff_s)
        return base * (1 + self.jitter * (2 * rng.random() - 1))
