"""Policies that look at nothing but the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from random import Random

from ._bounds import make_room
from ._types import BasePolicy, Candidate, Decision, RoutingRequest


class RandomPolicy(BasePolicy):
    """Uniform choice."""

    name = "random"

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        worker = candidates[int(self._rng.random() * len(candidates))]
        return Decision(worker, self.name, "uniform random choice")

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is drawn."""
        twin = copy(self)
        twin._rng = copy(self._rng)
        return twin.select(request, candidates)


class RoundRobinPolicy(BasePolicy):
    """Each candidate in turn."""

    name = "round_robin"

    def __init__(self) -> None:
        self._turn = 0

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        worker = candidates[self._turn % len(candidates)]
        self._turn += 1
        return Decision(worker, self.name, "next in turn")

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is counted."""
        return copy(self).select(request, candidates)


class PassthroughPolicy(BasePolicy):
    """Always the first candidate: for fleets of one."""

    name = "passthrough"

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        return Decision(candidates[0], self.name, "first candidate")

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is ever remembered."""
        return self.select(request, candidates)


class WeightedRoundRobinPolicy(BasePolicy):
    """Each candidate in turn, as often as its `weight` says (1 where it has none).

    Every choice raises each candidate's credit by its weight, takes the highest credit and
    lowers it by the sum of weights: turns of heavy workers are spread out, not bunched.
    """

    name = "weighted_round_robin"

    def __init__(self) -> None:
        self._credits: dict[str, float] = {}

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        total, best, high = 0.0, candidates[0], float("-inf")
        for candidate in candidates:
            weight = max(float(getattr(candidate, "weight", 1)), 0.0)
            total += weight
            before = self._credits.get(candidate.id)
            if before is None:
                make_room(self._credits)
                before = 0.0
            credit = self._credits[candidate.id] = before + weight
            if credit > high:
                best, high = candidate, credit
        self._credits[best.id] = high - total
        return Decision(best, self.name, "next in weighted turn")

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is credited."""
        twin = copy(self)
        twin._credits = self._credits.copy()
        return twin.select(request, candidates)

    def worker_removed(self, worker_id: str) -> None:
        """Drop a worker's credit."""
        self._credits.pop(worker_id, None)
