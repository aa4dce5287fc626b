"""Policies that look at nothing but the candidates."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ._types import Candidate, Decision, RoutingRequest


class RandomPolicy:
    """Uniform choice."""

    name = "random"
    needs_text = False

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        if not candidates:
            return None
        worker = candidates[int(self._rng.random() * len(candidates))]
        return Decision(worker, self.name, "uniform random choice")


class RoundRobinPolicy:
    """Each candidate in turn."""

    name = "round_robin"
    needs_text = False

    def __init__(self) -> None:
        self._turn = 0

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        if not candidates:
            return None
        worker = candidates[self._turn % len(candidates)]
        self._turn += 1
        return Decision(worker, self.name, "next in turn")


class PassthroughPolicy:
    """Always the first candidate: for fleets of one."""

    name = "passthrough"
    needs_text = False

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        if not candidates:
            return None
        return Decision(candidates[0], self.name, "first candidate")


class PowerOfTwoPolicy:
    """Two distinct candidates by chance, the one with fewer requests in flight wins."""

    name = "power_of_two"
    needs_text = False

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        count = len(candidates)
        if count == 0:
            return None
        if count == 1:
            return Decision(candidates[0], self.name, "only candidate")
        random = self._rng.random
        i = int(random() * count)
        j = int(random() * (count - 1))
        j += j >= i
        first, second = candidates[i], candidates[j]
        worker = second if second.load < first.load else first
        return Decision(worker, self.name, "fewer requests in flight of two sampled")
