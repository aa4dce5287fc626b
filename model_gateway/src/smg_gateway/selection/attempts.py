"""The retry planner: pure decisions, chance passed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

RETRYABLE_STATUSES = frozenset({408, 429, 502, 503, 504})
"""Answers worth another attempt on any worker."""

MAX_DIGITS = 6

RETRYABLE_ELSEWHERE = frozenset({500})
"""Answers worth another attempt only on a worker that has not been tried: an internal error is
often the request's fault and repeats itself on the same worker (SMG 1.13.0 does the same)."""


BACK_PRESSURE_STATUSES = frozenset({429, 503})
"""Answers that, with Retry-After, say "not now" instead of "broken"."""


def back_pressure_s(status: int, headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """How long a worker asks to be left alone; None when it does not ask for it.

    `headers` have lower-case names. Retry-After counts as seconds; as a date, which no engine
    sends, it is ignored.
    """
    if status not in BACK_PRESSURE_STATUSES:
        return None
    for name, value in headers:
        if name == b"retry-after":
            text = value.strip()
            return float(text) if text.isdigit() and len(text) <= MAX_DIGITS else None
    return None


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
