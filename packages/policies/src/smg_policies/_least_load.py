"""Policies that compare workers by what their engines report."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from random import Random

from ._config import PolicyConfig
from ._types import BasePolicy, Candidate, Decision, LoadReport, RoutingRequest
from ._waiting import WaitEstimator, reports_of


class LeastLoadPolicy(BasePolicy):
    """The shortest expected wait, counting what was sent since the last report."""

    name = "least_load"

    def __init__(self, rng: Random, config: PolicyConfig) -> None:
        self._rng = rng
        self._waits = WaitEstimator(config)
        self._max_waiting = config.least_load_max_waiting_requests

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates, or when all have their fill of waiting requests."""
        reports = reports_of(candidates)
        if self._max_waiting:
            open_places = [
                place
                for place, (worker, report) in enumerate(zip(candidates, reports, strict=True))
                if report is None or self._waiting(worker, report) < self._max_waiting
            ]
            candidates = [candidates[place] for place in open_places]
            reports = [reports[place] for place in open_places]
        if not candidates:
            return None
        if len(candidates) == 1 and not self._max_waiting:
            return Decision(candidates[0], self.name, "only candidate")
        scores = self._waits.scores(candidates, reports)
        low = min(scores)
        ties = [place for place, score in enumerate(scores) if score == low]
        place = ties[0] if len(ties) == 1 else self._rng.choice(ties)
        worker = candidates[place]
        tokens = request.tokens
        self._waits.charge(worker, reports[place], len(tokens) if tokens else None)
        seen = tuple((each.id, score) for each, score in zip(candidates, scores, strict=True))
        return Decision(worker, self.name, "shortest expected wait", scores=seen)

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is charged or drawn."""
        twin = copy(self)
        twin._rng, twin._waits = copy(self._rng), self._waits.twin()
        return twin.select(request, candidates)

    def worker_removed(self, worker_id: str) -> None:
        """Drop what is charged to a worker."""
        self._waits.forget(worker_id)

    def _waiting(self, worker: Candidate, report: LoadReport) -> int:
        return (report.waiting_requests or 0) + self._waits.dispatched(worker, report)


class PowerOfTwoPolicy(BasePolicy):
    """Two distinct candidates by chance, the better one wins.

    `power_of_two_load_metric` says by what they are compared: "expected_wait" and "requests"
    (running and waiting) as last reported. "least_requests" looks at the whole fleet instead,
    and adds what was sent since the reports. Without reports, requests in flight decide.
    """

    name = "power_of_two"

    def __init__(self, rng: Random, config: PolicyConfig | None = None) -> None:
        config = config or PolicyConfig()
        self._rng = rng
        self._metric = config.power_of_two_load_metric
        self._waits = WaitEstimator(config)

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        count = len(candidates)
        if count == 0:
            return None
        if self._metric == "least_requests":
            return self._fewest(candidates)
        if count == 1:
            return Decision(candidates[0], self.name, "only candidate")
        random = self._rng.random
        i = int(random() * count)
        j = int(random() * (count - 1))
        j += j >= i
        pair = (candidates[i], candidates[j])
        reports = reports_of(pair)
        if not any(reports):
            first, second = pair
            worker = second if second.load < first.load else first
            return Decision(worker, self.name, "fewer requests in flight of two sampled")
        if self._metric == "requests":
            scores = [_requests(*each) for each in zip(pair, reports, strict=True)]
        else:
            scores = self._waits.scores(pair, reports)
        worker = pair[1] if scores[1] < scores[0] else pair[0]
        seen = ((pair[0].id, scores[0]), (pair[1].id, scores[1]))
        reason = f"better {self._metric.replace('_', ' ')} of two sampled"
        return Decision(worker, self.name, reason, scores=seen)

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is charged or drawn."""
        twin = copy(self)
        twin._rng, twin._waits = copy(self._rng), self._waits.twin()
        return twin.select(request, candidates)

    def worker_removed(self, worker_id: str) -> None:
        """Drop what is charged to a worker."""
        self._waits.forget(worker_id)

    def _fewest(self, candidates: Sequence[Candidate]) -> Decision:
        reports = reports_of(candidates)
        scores = [
            _requests(worker, report) + (self._waits.dispatched(worker, report) if report else 0)
            for worker, report in zip(candidates, reports, strict=True)
        ]
        low = min(scores)
        ties = [place for place, score in enumerate(scores) if score == low]
        place = ties[0] if len(ties) == 1 else self._rng.choice(ties)
        report = reports[place]
        if report is not None:
            self._waits.charge(candidates[place], report, None)
        seen = tuple((each.id, score) for each, score in zip(candidates, scores, strict=True))
        return Decision(
            candidates[place], self.name, "fewest running and waiting requests", scores=seen
        )


def _requests(worker: Candidate, report: LoadReport | None) -> float:
    if report is None:
        return worker.load
    return report.running_requests + (report.waiting_requests or 0)
