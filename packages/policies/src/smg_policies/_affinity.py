"""Which worker gets a request, once it is known who is believed to hold its prefix."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import ceil, sqrt

from ._bounds import make_room
from ._config import PolicyConfig
from ._types import Candidate, LoadReport
from ._waiting import WaitEstimator, reports_of

HOLDERS_CONSIDERED = 8
"""How many holders of one prefix are compared by load."""

SWING_FLOOR = 4
"""Requests above the mean that are always tolerated: chance alone makes small fleets swing."""


class SpillGate:
    """Says when a worker is too far above the mean load to be given more for its cache's sake.

    Both must hold: more than `rel` times the mean, and more than the mean plus a margin. The
    margin is two standard deviations of a Poisson load of that mean, at least `SWING_FLOOR`, and
    at most `abs_requests`.
    """

    def __init__(self, abs_requests: int, rel: float) -> None:
        self._abs = abs_requests
        self._rel = rel

    def refuses(self, load: float, loads: Sequence[float]) -> bool:
        """Whether a worker with that load, one of `loads`, must be passed over."""
        mean = sum(loads) / len(loads)
        if load <= self._rel * mean:
            return False
        return load > mean + min(self._abs, max(SWING_FLOOR, ceil(2 * sqrt(mean))))


class TurnCounter:
    """How often each worker was chosen, to break ties between equally loaded ones.

    A worker seen for the first time starts level with the least chosen one: as a newcomer it
    gets its share, not every request until it has caught up.
    """

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def count(self, worker_id: str) -> None:
        """The worker was chosen."""
        turns = self._turns.get(worker_id)
        self._turns[worker_id] = (self.turns(worker_id) if turns is None else turns) + 1

    def turns(self, worker_id: str) -> int:
        """How often the worker was chosen, on the newcomers' scale."""
        turns = self._turns.get(worker_id)
        if turns is None:
            turns = min(self._turns.values(), default=0)
            make_room(self._turns)
            self._turns[worker_id] = turns
        return turns

    def forget(self, worker_id: str) -> None:
        """The worker is gone."""
        self._turns.pop(worker_id, None)

    def least(self, candidates: Sequence[Candidate], loads: Sequence[float]) -> int:
        """Position of the lowest load; ties go to the least chosen, then to the first."""
        low = min(loads)
        best = loads.index(low)
        if best + 1 == len(loads) or low not in loads[best + 1 :]:
            return best
        fewest = self.turns(candidates[best].id)
        for index in range(best + 1, len(loads)):
            if loads[index] == low:
                turns = self.turns(candidates[index].id)
                if turns < fewest:
                    best, fewest = index, turns
        return best


class Affinity:
    """The load side of cache_aware: gate, fallback, and the limits on KV cache usage."""

    def __init__(self, config: PolicyConfig, clock: Callable[[], float]) -> None:
        self._gate = SpillGate(config.balance_abs_threshold, config.balance_rel_threshold)
        self.turns = TurnCounter()
        ttl_s = config.selection_accounting_ttl_ms / 1000
        self._waits = WaitEstimator(config, clock=clock, ttl_s=ttl_s or None)
        self._accounts = ttl_s > 0
        self._usage_ceiling = config.overload_token_usage_threshold
        self._usage_spread = config.balance_token_usage_threshold
        self._watches_usage = min(self._usage_ceiling, self._usage_spread) < 1

    def least(self, candidates: Sequence[Candidate], loads: Sequence[int]) -> int:
        """Position of the worker with the shortest expected wait; by plain load without reports."""
        reports = reports_of(candidates)
        if not any(reports):
            return self.turns.least(candidates, loads)
        return self.turns.least(candidates, self._waits.scores(candidates, reports))

    def refuses(self, load: int, loads: Sequence[int]) -> bool:
        """Whether the gate refuses a worker with that load."""
        return self._gate.refuses(load, loads)

    def holder(
        self,
        holders: Collection[str],
        latest: str | None,
        candidates: Sequence[Candidate],
        loads: Sequence[int],
    ) -> int | None:
        """Position of the holder to use; -1 when the gate refuses all, None when none is usable.

        The latest holder comes first: its copy is the one least likely to be evicted by now.
        """
        places = {candidate.id: index for index, candidate in enumerate(candidates)}
        if latest is not None and latest in holders:
            first = places.get(latest)
            if first is not None and not self._gate.refuses(loads[first], loads):
                return first
        usable = [places[holder] for holder in holders if holder in places]
        if not usable:
            return None
        best = min(usable[:HOLDERS_CONSIDERED], key=loads.__getitem__)
        return -1 if self._gate.refuses(loads[best], loads) else best

    def under_pressure(self, candidates: Sequence[Candidate]) -> bool:
        """Whether reported KV cache usage, or its spread, rules affinity out."""
        if not self._watches_usage:
            return False
        usages = [
            report.token_usage
            for report in reports_of(candidates)
            if report is not None and report.token_usage is not None
        ]
        if not usages:
            return False
        high = max(usages)
        return high > self._usage_ceiling or high - min(usages) > self._usage_spread

    def charge(self, candidate: Candidate, uncached_tokens: int | None) -> None:
        """Count a choice, and where accounting is on book its work ahead of the next report."""
        self.turns.count(candidate.id)
        if self._accounts:
            report: LoadReport | None = getattr(candidate, "report", None)
            if report is not None:
                self._waits.charge(candidate, report, uncached_tokens)

    def forget(self, worker_id: str) -> None:
        """The worker is gone."""
        self.turns.forget(worker_id)
        self._waits.forget(worker_id)
