"""Which worker gets a request, once it is known who is believed to hold its prefix."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy
from math import ceil, sqrt

from ._bounds import make_room
from ._config import PolicyConfig
from ._types import Candidate, LoadReport
from ._waiting import WaitEstimator, reports_of

HOLDERS_CONSIDERED = 8
"""How many holders of one prefix are compared by load."""

SWING_FLOOR = 4
"""Requests above the mean that are always tolerated: chance alone makes small fleets swing."""


_CHARACTERS_PER_TOKEN = 4


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


class WorkLedger:
    """How much work each worker was given, to break ties between equally loaded ones.

    A request weighs one and its uncached prompt tokens: counting requests alone would let long
    prompts pile up on one worker by chance. A worker seen for the first time starts level with
    the one that was given least: as a newcomer it gets its share, not every request until it has
    caught up.
    """

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._given)

    def enter(self, worker_id: str, uncached_tokens: int) -> None:
        """The worker was given a request with so much to compute."""
        self._given[worker_id] = self.given(worker_id) + 1 + uncached_tokens

    def given(self, worker_id: str) -> int:
        """The work of the worker so far, on the newcomers' scale."""
        given = self._given.get(worker_id)
        if given is None:
            given = min(self._given.values(), default=0)
            make_room(self._given)
            self._given[worker_id] = given
        return given

    def forget(self, worker_id: str) -> None:
        """The worker is gone."""
        self._given.pop(worker_id, None)

    def twin(self) -> WorkLedger:
        """A copy that is kept on its own."""
        twin = WorkLedger()
        twin._given = self._given.copy()
        return twin

    def least(self, candidates: Sequence[Candidate], loads: Sequence[float]) -> int:
        """Position of the lowest load; ties go to who was given least, then to the first."""
        low = min(loads)
        best = loads.index(low)
        if best + 1 == len(loads) or low not in loads[best + 1 :]:
            return best
        least = self.given(candidates[best].id)
        for index in range(best + 1, len(loads)):
            if loads[index] == low:
                given = self.given(candidates[index].id)
                if given < least:
                    best, least = index, given
        return best


class Affinity:
    """The load side of cache_aware: gate, fallback, and the limits on KV cache usage."""

    def __init__(self, config: PolicyConfig, clock: Callable[[], float]) -> None:
        self._gate = SpillGate(config.balance_abs_threshold, config.balance_rel_threshold)
        self._ledger = WorkLedger()
        # Without a lifetime what is booked holds until the next report: polls are seconds apart,
        # and a busy gateway would send all that it chooses between two of them to one worker.
        ttl_s = config.selection_accounting_ttl_ms / 1000
        self._waits = WaitEstimator(config, clock=clock, ttl_s=ttl_s or None, evenly=True)
        self._block_tokens = config.block_size
        self._usage_ceiling = config.overload_token_usage_threshold
        self._usage_spread = config.balance_token_usage_threshold
        self._watches_usage = min(self._usage_ceiling, self._usage_spread) < 1

    def least(self, candidates: Sequence[Candidate], loads: Sequence[int]) -> int:
        """Position of the worker with the shortest expected wait; by plain load without reports."""
        reports = reports_of(candidates)
        if not any(reports):
            return self._ledger.least(candidates, loads)
        return self._ledger.least(candidates, self._waits.scores(candidates, reports))

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

    def charge(self, candidate: Candidate, uncached: int, unit: str) -> None:
        """Enter a choice, and book its work ahead of the worker's next report.

        `uncached` says what is to be computed: tokens, blocks or characters, by `unit`.
        """
        tokens = uncached
        if unit == "characters":
            tokens //= _CHARACTERS_PER_TOKEN
        elif unit == "blocks":
            tokens *= self._block_tokens
        self._ledger.enter(candidate.id, tokens)
        report: LoadReport | None = getattr(candidate, "report", None)
        if report is not None:
            self._waits.charge(candidate, report, tokens)

    def twin(self) -> Affinity:
        """A copy that counts and books on its own."""
        twin = copy(self)
        twin._ledger = self._ledger.twin()
        twin._waits = self._waits.twin()
        return twin

    def forget(self, worker_id: str) -> None:
        """The worker is gone."""
        self._ledger.forget(worker_id)
        self._waits.forget(worker_id)
