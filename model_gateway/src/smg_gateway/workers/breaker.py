"""The circuit breaker of a worker: pure state, time passed in."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

FAILURE_STATUSES = frozenset({408, 500, 502, 503, 504})
"""Statuses that count against a worker. 429 is neutral, as in SMG 1.13.0: a full worker is alive."""

NEUTRAL_STATUSES = frozenset({429})


class BreakerState(enum.IntEnum):
    """States, numbered as the `smg_worker_cb_state` gauge shows them."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerConfig:
    """Thresholds; `enabled=False` never opens."""

    failure_threshold: int = 10
    success_threshold: int = 3
    open_s: float = 60.0
    enabled: bool = True


class CircuitBreaker:
    """Closed until too many failures in a row, then open, then half-open to try again."""

    __slots__ = (
        "_on_change",
        "_opened_at",
        "config",
        "failures",
        "follow",
        "state",
        "successes",
    )

    def __init__(
        self,
        config: BreakerConfig,
        on_change: Callable[[BreakerState, BreakerState], None],
    ) -> None:
        self.config = config
        self._on_change = on_change
        self.follow: Callable[[], None] | None = None
        """Called after each change of state, before anybody else hears of it."""
        self._opened_at = 0.0
        self.state = BreakerState.CLOSED
        self.failures = 0
        self.successes = 0

    def allows(self, now: float) -> bool:
        """Whether requests may pass; an open breaker whose time is up becomes half-open here."""
        if self.state is not BreakerState.OPEN:
            return True
        if now - self._opened_at < self.config.open_s:
            return False
        self._move(BreakerState.HALF_OPEN)
        return True

    def record_success(self) -> None:
        """A request was answered."""
        self.failures = 0
        self.successes += 1
        if self.state is BreakerState.HALF_OPEN and self.successes >= self.config.success_threshold:
            self._move(BreakerState.CLOSED)

    def record_failure(self, now: float) -> None:
        """A request failed for the worker's sake."""
        self.successes = 0
        self.failures += 1
        if not self.config.enabled:
            return
        if self.state is BreakerState.HALF_OPEN or (
            self.state is BreakerState.CLOSED and self.failures >= self.config.failure_threshold
        ):
            self._opened_at = now
            self._move(BreakerState.OPEN)

    def readmit(self) -> bool:
        """A health promotion lets an open breaker try again at once; whether it did."""
        if self.state is not BreakerState.OPEN:
            return False
        self._move(BreakerState.HALF_OPEN)
        return True

    def _move(self, state: BreakerState) -> None:
        old, self.state = self.state, state
        if state is not BreakerState.OPEN:
            self.failures = 0
        self.successes = 0
        if self.follow is not None:
            self.follow()
        self._on_change(old, state)
