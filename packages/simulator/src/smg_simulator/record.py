"""What became of each request, column by column."""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from smg_simulator.engines import NEVER, Job

__all__ = ("Outcome", "Record")


class Outcome(enum.IntEnum):
    """How a request ended."""

    COMPLETED = 0
    FAILED = 1
    """Its worker broke down after the first token."""
    REFUSED = 2
    """No worker took it: none was up, or every attempt failed before the first token."""


def _times() -> array[float]:
    return array("d")


def _counts() -> array[int]:
    return array("q")


def _marks() -> array[int]:
    return array("i")


@dataclass(slots=True, kw_only=True)
class Record:
    """One entry per request in each column, in the trace's order.

    Times are virtual seconds, -1 for what did not happen; all but `arrived_at` are those of the
    last attempt. `worker` is the last attempt's (-1: none), `outcome` an `Outcome`.
    """

    arrived_at: array[float] = field(default_factory=_times)
    started_at: array[float] = field(default_factory=_times)
    first_token_at: array[float] = field(default_factory=_times)
    finished_at: array[float] = field(default_factory=_times)
    prompt_tokens: array[int] = field(default_factory=_counts)
    cached_tokens: array[int] = field(default_factory=_counts)
    worker: array[int] = field(default_factory=_marks)
    attempts: array[int] = field(default_factory=_marks)
    outcome: array[int] = field(default_factory=_marks)

    def __len__(self) -> int:
        return len(self.arrived_at)

    def open(self, job: Job, arrived_at: float) -> None:
        """A request has come; its entry is the next one."""
        self.arrived_at.append(arrived_at)
        self.started_at.append(NEVER)
        self.first_token_at.append(NEVER)
        self.finished_at.append(NEVER)
        self.prompt_tokens.append(job.request.prompt_tokens)
        self.cached_tokens.append(0)
        self.worker.append(-1)
        self.attempts.append(0)
        self.outcome.append(-1)

    def close(self, job: Job, outcome: Outcome) -> None:
        """The request has ended that way. Raises `ValueError` when it had ended before."""
        index = job.index
        if self.outcome[index] != -1:
            raise ValueError(f"request {index} has ended twice")
        self.outcome[index] = outcome
        self.started_at[index] = job.started_at
        self.first_token_at[index] = job.first_token_at
        self.finished_at[index] = job.finished_at
        self.cached_tokens[index] = job.cached_tokens
        self.attempts[index] = job.attempts
        if job.engine is not None:
            self.worker[index] = job.engine.index

    def started(self) -> Iterator[int]:
        """Positions of the requests whose last attempt came to prefill."""
        return (index for index, at in enumerate(self.started_at) if at != NEVER)

    def completed(self) -> Iterator[int]:
        """Positions of the requests that came to their end."""
        return (index for index, end in enumerate(self.outcome) if end == Outcome.COMPLETED)
