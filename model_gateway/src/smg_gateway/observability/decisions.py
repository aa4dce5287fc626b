"""The routing choices of the recent past, kept for whoever asks why."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from smg_policies import Candidate, Decision

DEFAULT_CAPACITY = 2048


class Choice(NamedTuple):
    """A decision in its circumstances; cheap to make, so that each request can afford one.

    `considered` are the candidates the policy saw, `took_s` its own time in seconds, `at` is Unix
    time.
    """

    request_id: str
    model: str | None
    attempt: int
    decision: Decision
    considered: Sequence[Candidate]
    took_s: float
    at: float
    leg: str | None = None

    def record(self) -> DecisionRecord:
        """The same for readers."""
        decision = self.decision
        scores = dict(decision.scores)
        return DecisionRecord(
            request_id=self.request_id,
            model=self.model,
            worker=decision.worker.id,
            policy=decision.policy,
            reason=decision.reason,
            branch=decision.branch or None,
            matched=decision.matched,
            total=decision.total,
            unit=decision.unit or None,
            attempt=self.attempt,
            took_us=round(self.took_s * 1e6, 1),
            at=round(self.at, 3),
            leg=self.leg,
            candidates=[
                CandidateRecord(worker=candidate.id, score=scores.get(candidate.id))
                for candidate in self.considered
            ],
        )


class CandidateRecord(msgspec.Struct):
    """A worker that was considered, and its score where the policy gives scores."""

    worker: str
    score: float | None = None


class DecisionRecord(msgspec.Struct):
    """One routing choice: what was chosen, why, and from what.

    `leg` is prefill or decode where a request has both, else None. `matched` of `total` units of the prompt were believed to be cached on the worker; `took_us` is
    the policy's own time in microseconds, `at` Unix time.
    """

    request_id: str
    model: str | None
    worker: str
    policy: str
    reason: str
    branch: str | None
    matched: int
    total: int
    unit: str | None
    attempt: int
    took_us: float
    at: float
    leg: str | None
    candidates: list[CandidateRecord]


class DecisionLog:
    """A bounded ring of choices, the oldest dropped first."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._choices: deque[Choice] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._choices)

    def add(self, choice: Choice) -> None:
        """Keep a choice."""
        self._choices.append(choice)

    def find(
        self,
        *,
        request_id: str | None = None,
        model: str | None = None,
        worker: str | None = None,
    ) -> Iterator[DecisionRecord]:
        """Matching records, the newest first."""
        for choice in reversed(self._choices):
            if request_id is not None and choice.request_id != request_id:
                continue
            if model is not None and choice.model != model:
                continue
            if worker is not None and choice.decision.worker.id != worker:
                continue
            yield choice.record()
