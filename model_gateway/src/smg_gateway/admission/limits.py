"""How many requests may be under way, how fast they may begin, and who waits for a turn.

Pure state: time is passed in, nothing here waits or calls back.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of admission.

    `max_concurrent` requests at once (0: no bound), `rate_per_s` new ones per second in the long
    run (0: no bound), `queue_size` waiting ones for at most `queue_timeout_s` seconds each.
    """

    max_concurrent: int = 0
    rate_per_s: float = 0.0
    queue_size: int = 100
    queue_timeout_s: float = 60.0

    @property
    def burst(self) -> float:
        """Tokens that the bucket holds: as many as requests may be under way."""
        return float(self.max_concurrent or max(self.rate_per_s, 1.0))


class Limiter(Generic[T]):
    """Gives out permits, to waiting requests first, in the order of their arrival.

    A permit is taken by `take` or handed out by `ready`; its holder gives it back with `release`,
    once. Who could not take one may `enqueue`, and is from then on in exactly one of three places:
    still queued, in the result of `ready`, or in that of `expired`; `remove` takes it out before.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._bound: float = limits.max_concurrent or float("inf")
        self._queue: dict[T, float] = {}
        self._tokens = limits.burst
        self._filled_at = now
        self.inflight = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    @property
    def limits(self) -> Limits:
        """The bounds in force."""
        return self._limits

    def take(self, now: float) -> bool:
        """A permit at once, if nobody waits for one and there is one."""
        if self._queue or self.inflight >= self._bound:
            return False
        if self._limits.rate_per_s and not self._spend_token(now):
            return False
        self.inflight += 1
        return True

    def enqueue(self, waiter: T, now: float) -> bool:
        """Wait in line; False when the queue is full."""
        if len(self._queue) >= self._limits.queue_size:
            return False
        self._queue[waiter] = now
        return True

    def remove(self, waiter: T) -> bool:
        """Leave the queue; False when the waiter is not in it any more."""
        return self._queue.pop(waiter, None) is not None

    def release(self) -> None:
        """Give a permit back; `ready` then tells who gets it."""
        self.inflight -= 1

    def ready(self, now: float) -> Iterator[T]:
        """Waiters whose turn it is, each with a permit from now on."""
        while self._queue and self.inflight < self._bound:
            if self._limits.rate_per_s and not self._spend_token(now):
                return
            waiter = next(iter(self._queue))
            del self._queue[waiter]
            self.inflight += 1
            yield waiter

    def expired(self, now: float) -> Iterator[T]:
        """Waiters that have waited too long; they leave the queue."""
        while self._queue:
            waiter, since = next(iter(self._queue.items()))
            if now < since + self._limits.queue_timeout_s:
                return
            del self._queue[waiter]
            yield waiter

    def wake_at(self, now: float) -> float | None:
        """When `ready` or `expired` may have a result without any `release`; None: never."""
        if not self._queue:
            return None
        expiry = next(iter(self._queue.values())) + self._limits.queue_timeout_s
        if self._limits.rate_per_s and self.inflight < self._bound:
            self._refill(now)
            return min(expiry, now + max(0.0, 1.0 - self._tokens) / self._limits.rate_per_s)
        return expiry

    def reconfigure(self, limits: Limits, now: float) -> None:
        """Other bounds from now on. Permits already given stay valid, and so do places in line."""
        self._refill(now)
        self._tokens = min(self._tokens, limits.burst)
        if not self._limits.rate_per_s:
            self._tokens, self._filled_at = limits.burst, now
        self._limits = limits
        self._bound = limits.max_concurrent or float("inf")

    def _spend_token(self, now: float) -> bool:
        self._refill(now)
        # Sums of fractions fall short of whole tokens by rounding errors.
        if self._tokens < 1.0 - 1e-9:
            return False
        self._tokens -= 1.0
        return True

    def _refill(self, now: float) -> None:
        elapsed_s = now - self._filled_at
        self._filled_at = now
        grown = self._tokens + elapsed_s * self._limits.rate_per_s
        self._tokens = min(grown, self._limits.burst)
