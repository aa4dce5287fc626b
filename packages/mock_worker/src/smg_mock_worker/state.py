"""The state of one running worker, shared by its routes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from smg_mock_worker.delivery import ExchangeRun
from smg_mock_worker.engine import EngineLoad
from smg_mock_worker.faults import Faults
from smg_mock_worker.handover import Handovers, Role
from smg_mock_worker.information import LoadOverride, WorkerFacts
from smg_mock_worker.pacer import EnginePacer
from smg_mock_worker.records import RequestLog
from smg_mock_worker.tokens import Vocabulary

__all__ = ("WorkerState",)


@dataclass(slots=True, kw_only=True)
class WorkerState:
    """What the routes of a worker read and change; `pacers` has one engine per rank."""

    facts: WorkerFacts
    pacers: Sequence[EnginePacer]
    faults: Faults
    requests: RequestLog
    vocabulary: Vocabulary
    role: Role | None = None
    handovers: Handovers = field(default_factory=Handovers)
    load_override: LoadOverride | None = None
    is_profiling: bool = False
    active_requests: int = 0
    runs: set[ExchangeRun] = field(default_factory=set)

    def loads(self) -> list[EngineLoad]:
        """The load of each rank, as it is to be reported."""
        loads = [pacer.load() for pacer in self.pacers]
        override = self.load_override
        return [override.apply(load) for load in loads] if override else loads

    def pick_rank(self, wish: str | None) -> EnginePacer:
        """The engine of the wished rank, else the one with the fewest requests."""
        if wish is not None and wish.isdecimal() and int(wish) < len(self.pacers):
            return self.pacers[int(wish)]
        if len(self.pacers) == 1:
            return self.pacers[0]
        loads = [pacer.load() for pacer in self.pacers]
        counts = [load.running_requests + load.waiting_requests for load in loads]
        return self.pacers[counts.index(min(counts))]

    def flush(self) -> None:
        """Empty every prefix cache."""
        for pacer in self.pacers:
            pacer.engine.cache.clear()

    @contextmanager
    def running(self, run: ExchangeRun) -> Iterator[None]:
        """Start a run, keep it within reach of `abort`, and cancel what is left of it at the end.

        Raises `RequestRefused` as `ExchangeRun.start` does.
        """
        run.start()
        self.runs.add(run)
        try:
            yield
        finally:
            self.runs.discard(run)
            run.cancel()

    def abort(self, rid: str | None) -> int:
        """End the runs of requests whose `rid` begins so (None = all); returns how many."""
        hit = [run for run in self.runs if rid is None or (run.rid or "").startswith(rid)]
        for run in hit:
            run.abort()
        return len(hit)
