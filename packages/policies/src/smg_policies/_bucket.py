"""Prompts by size: each worker takes a range of lengths, so that short ones do not queue."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from random import Random

from ._bounds import MAX_WORKERS
from ._config import PolicyConfig
from ._types import BasePolicy, Candidate, Decision, RoutingRequest

START_SPAN = 4096
"""Sizes below this are split evenly until there is experience to go by."""

MAX_REMEMBERED = 65_536
"""Requests remembered within one window; of more, the oldest no longer count."""


class BucketPolicy(BasePolicy):
    """The worker whose range of sizes a prompt falls into; the least busy when sizes pile up.

    Sizes are tokens where known, else characters. Ranges are computed anew from the last window
    of requests, an interval apart, so that each would have had the same sum of sizes.
    """

    name = "bucket"
    needs_text = True

    def __init__(self, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> None:
        self._rng = rng
        self._clock = clock
        self._window_s = config.bucket_adjust_interval_secs
        self._abs = config.balance_abs_threshold
        self._rel = config.balance_rel_threshold
        self._workers: list[str] = []
        # The same, to look one up; replaced, never changed.
        self._owners: set[str] = set()
        # Sizes from which on the second, third, ... worker is the owner.
        self._bounds: list[int] = []
        self._recent: deque[tuple[float, str, int]] = deque()
        self._sums: dict[str, int] = {}
        self._adjusted_at = clock()
        self._mean_before = 0.0

    @property
    def bounds(self) -> tuple[int, ...]:
        """Sizes at which the next worker takes over, ascending."""
        return tuple(self._bounds)

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        now = self._clock()
        self.sweep(now)
        workers = {candidate.id: candidate for candidate in candidates}
        if not self._owners.issuperset(workers):
            new = [worker_id for worker_id in workers if worker_id not in self._owners]
            if len(self._workers) + len(new) > MAX_WORKERS:
                self._workers = [each for each in self._workers if each in workers]
            self._workers.extend(new)
            self._owners = set(self._workers)
            self._split_evenly()
        size = len(request.tokens) if request.tokens else len(request.text or "")
        sums = [self._sums.get(worker_id, 0) for worker_id in workers]
        high, low = max(sums), min(sums)
        owner = workers.get(self._workers[bisect_right(self._bounds, size)])
        if high - low > self._abs and high > self._rel * low:
            worker, reason = candidates[sums.index(low)], "sizes pile up elsewhere"
        elif owner is not None:
            worker, reason = owner, "owns this range of sizes"
        else:
            worker = candidates[int(self._rng.random() * len(candidates))]
            reason = "the owner of this range is not usable: random"
        self._remember(now, worker.id, size)
        return Decision(worker, self.name, reason)

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is remembered, no range moves."""
        twin = copy(self)
        twin._rng = copy(self._rng)
        twin._workers, twin._bounds = self._workers.copy(), self._bounds.copy()
        twin._recent, twin._sums = self._recent.copy(), self._sums.copy()
        return twin.select(request, candidates)

    def worker_removed(self, worker_id: str) -> None:
        """Give a worker's range to the others."""
        if worker_id in self._owners:
            self._workers.remove(worker_id)
            self._owners = set(self._workers)
            self._split_evenly()

    def sweep(self, now: float) -> None:
        """Let old requests go, and compute ranges anew when an interval has passed."""
        if now - self._adjusted_at >= self._window_s:
            self._adjusted_at = now
            self._adjust()
        while self._recent and now - self._recent[0][0] >= self._window_s:
            self._let_go()

    def _split_evenly(self) -> None:
        count = len(self._workers)
        width = START_SPAN // count if count else START_SPAN
        self._bounds = [width * index for index in range(1, count)]
        self._mean_before = 0.0

    def _adjust(self) -> None:
        count = len(self._workers)
        sizes = sorted(size for _, _, size in self._recent)
        if count < 2 or not sizes:
            return
        mean = sum(sizes) / count
        before = self._mean_before
        if before and mean <= 2 * before and before <= 2 * mean:
            return
        self._mean_before = mean
        bounds: list[int] = []
        filled = 0
        for size in sizes:
            filled += size
            if filled >= mean and len(bounds) < count - 1:
                bounds.append(size + 1)
                filled = 0
        # Fewer sizes than workers: the remaining ranges lie beyond the largest size.
        bounds.extend([sizes[-1] + 1] * (count - 1 - len(bounds)))
        self._bounds = bounds

    def _remember(self, now: float, worker_id: str, size: int) -> None:
        self._recent.append((now, worker_id, size))
        self._sums[worker_id] = self._sums.get(worker_id, 0) + size
        if len(self._recent) > MAX_REMEMBERED:
            self._let_go()

    def _let_go(self) -> None:
        _, worker_id, size = self._recent.popleft()
        left = self._sums.get(worker_id, 0) - size
        if left > 0:
            self._sums[worker_id] = left
        else:
            self._sums.pop(worker_id, None)
