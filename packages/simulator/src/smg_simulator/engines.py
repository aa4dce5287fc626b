"""The engine model of `smg_mock_worker.Engine`, lean enough for whole traces.

Same queue, prefill lane, decoding and prefix cache, same times to the last bit; but prompts are
block names instead of token ids, a request takes two steps whatever its length, and all engines
of a fleet share one schedule. Answers are never asked for again, since traces do not tell them:
they only take room in a bounded cache.
"""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Protocol

from smg_mock_worker import EngineTiming
from smg_policies import Decision, LoadReport

from smg_simulator.cache import BlockCache
from smg_simulator.trace import TraceRequest

__all__ = ("NEVER", "CacheListener", "EngineModel", "Job", "JobState", "Schedule")

NEVER = -1.0
"""The time of what has not happened: unlike NaN it is equal to itself."""


class JobState(enum.Enum):
    """Where a job stands at its engine."""

    WAITING = "waiting"
    PREFILLING = "prefilling"
    DECODING = "decoding"
    OVER = "over"


class Job:
    """One request on its way through the fleet, maybe at one engine after another.

    Times are virtual seconds of the current attempt, `NEVER` until they happen; `due` is the
    number of its one valid entry in the schedule.
    """

    __slots__ = (
        "attempts",
        "cached_tokens",
        "decision",
        "due",
        "engine",
        "finished_at",
        "first_token_at",
        "index",
        "request",
        "started_at",
        "state",
        "tried",
        "whole",
    )

    def __init__(self, index: int, request: TraceRequest, block_size: int) -> None:
        self.index = index
        self.request = request
        self.whole = request.blocks[: request.prompt_tokens // block_size]
        self.decision: Decision | None = None
        self.tried: list[EngineModel] = []
        self.attempts = 0
        self.reset()

    def reset(self) -> None:
        """Forget the current attempt."""
        self.engine: EngineModel | None = None
        self.state = JobState.WAITING
        self.due = 0
        self.cached_tokens = 0
        self.started_at = NEVER
        self.first_token_at = NEVER
        self.finished_at = NEVER


class Schedule:
    """What is due when, over all engines: a heap of (time, number, job)."""

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Job]] = []
        self._numbers = count(1)

    def push(self, at: float, job: Job) -> None:
        """The job's next step is due at that time, instead of any earlier arrangement."""
        number = job.due = next(self._numbers)
        heapq.heappush(self.heap, (at, number, job))


class CacheListener(Protocol):
    """Who is told what engines hold, as engines publish it in KV cache events."""

    def changed(
        self,
        engine: EngineModel,
        request: TraceRequest,
        before: int,
        held: int,
        given_up: Sequence[int],
    ) -> None:
        """Of a request's leading blocks an engine holds `held`, instead of `before`.

        For what came in it gave up others; answers have negative names.
        """
        ...


class EngineModel:
    """One simulated engine; to a policy, a candidate.

    `load`, `report` and `up` are the gateway's view and belong to the caller; the engine itself
    only keeps its totals: requests started, prompt tokens and blocks, how many of them were
    cached, and the longest waiting queue.
    """

    __slots__ = (
        "_block_size",
        "_cache",
        "_capacity_tokens",
        "_latency_s",
        "_listener",
        "_max_running",
        "_max_waiting",
        "_prefilling",
        "_rate",
        "_running",
        "_schedule",
        "_spare_names",
        "_waiting",
        "blocks",
        "cached_blocks",
        "cached_tokens",
        "id",
        "index",
        "load",
        "max_waiting",
        "prompt_tokens",
        "report",
        "started",
        "up",
        "weight",
    )

    def __init__(
        self,
        index: int,
        timing: EngineTiming,
        cache: BlockCache,
        block_size: int,
        schedule: Schedule,
        *,
        capacity_tokens: int | None = None,
        listener: CacheListener | None = None,
    ) -> None:
        self.index = index
        self.id = f"http://worker-{index}"
        self.load = 0
        self.report: LoadReport | None = None
        self.weight = 1.0
        self.up = True
        self.started = self.prompt_tokens = self.cached_tokens = 0
        self.blocks = self.cached_blocks = self.max_waiting = 0
        self._rate = timing.prefill_tokens_per_s
        self._latency_s = timing.inter_token_latency_s
        self._max_running = timing.max_running_requests
        self._max_waiting = timing.max_waiting_requests
        self._cache = cache
        self._capacity_tokens = capacity_tokens
        self._block_size = block_size
        self._schedule = schedule
        self._waiting: deque[Job] = deque()
        self._running: dict[Job, None] = {}
        self._prefilling: Job | None = None
        self._spare_names = count(-1, -1)
        self._listener = listener

    def __repr__(self) -> str:
        return f"<EngineModel {self.id} running={len(self._running)} waiting={len(self._waiting)}>"

    def submit(self, job: Job, now: float) -> bool:
        """Take a job; False when it cannot start at once and the waiting queue is full."""
        waiting = self._waiting
        bound = self._max_waiting
        if bound is not None and len(waiting) >= bound and not self._can_start():
            return False
        job.engine = self
        job.state = JobState.WAITING
        waiting.append(job)
        self._start_waiting(now)
        self.max_waiting = max(self.max_waiting, len(waiting))
        return True

    def step(self, job: Job, at: float) -> bool:
        """What the schedule had down for a job of this engine; True when that was its end."""
        if job.first_token_at == NEVER:
            if job.state is JobState.PREFILLING:
                self._end_prefill(job)
            job.first_token_at = at
            left = job.request.output_tokens - 1
            if left > 0:
                self._schedule.push(at + left * self._latency_s, job)
                self._start_waiting(at)
                return False
        self._finish(job, at)
        return True

    def crash(self) -> list[Job]:
        """Lose the cache and every job; those jobs, in order of their arrival here."""
        lost = [*self._running, *self._waiting]
        for job in lost:
            job.due = 0
            job.state = JobState.OVER
        self._running.clear()
        self._waiting.clear()
        self._prefilling = None
        self._cache.clear()
        return lost

    def report_load(self, now: float) -> LoadReport:
        """What the engine would answer to a poll at `now`."""
        capacity = self._capacity_tokens
        used = sum(job.request.prompt_tokens + self._produced(job, now) for job in self._running)
        decoding = sum(job is not self._prefilling for job in self._running)
        return LoadReport(
            running_requests=len(self._running),
            waiting_requests=len(self._waiting),
            waiting_uncached_tokens=sum(job.request.prompt_tokens for job in self._waiting),
            used_tokens=used,
            token_usage=min(1.0, used / capacity) if capacity else None,
            # As engines mean it: tokens generated, not what they could do.
            throughput=decoding / self._latency_s if self._latency_s else 0.0,
        )

    def _can_start(self) -> bool:
        limit = self._max_running
        return self._prefilling is None and not (limit and len(self._running) >= limit)

    def _start_waiting(self, at: float) -> None:
        waiting = self._waiting
        while waiting and self._can_start():
            job = waiting.popleft()
            tokens = job.request.prompt_tokens
            size = self._block_size
            # One token at least is left to compute: the engine needs its logits.
            found = self._cache.match(job.whole[: max(0, tokens - 1) // size])
            cached = found * size
            self._running[job] = None
            self.started += 1
            self.prompt_tokens += tokens
            self.cached_tokens += cached
            self.blocks += len(job.request.blocks)
            self.cached_blocks += found
            job.cached_tokens = cached
            job.started_at = at
            if self._rate and tokens > cached:
                job.state = JobState.PREFILLING
                self._prefilling = job
                self._schedule.push(at + (tokens - cached) / self._rate, job)
            else:
                self._end_prefill(job)
                self._schedule.push(at, job)

    def _end_prefill(self, job: Job) -> None:
        job.state = JobState.DECODING
        self._prefilling = None
        self._keep(job, job.whole)

    def _finish(self, job: Job, at: float) -> None:
        job.state = JobState.OVER
        job.finished_at = at
        del self._running[job]
        if self._cache.bounded:
            request = job.request
            total = (request.prompt_tokens + request.output_tokens) // self._block_size
            answer = (next(self._spare_names) for _ in range(total - len(job.whole)))
            self._keep(job, (*job.whole, *answer))
        self._start_waiting(at)

    def _keep(self, job: Job, names: Sequence[int]) -> None:
        """Put blocks of a job into the cache, and tell who listens what came of it."""
        cache = self._cache
        if self._listener is None:
            cache.insert(names)
            return
        before = cache.match(job.whole)
        given_up = cache.insert(names)
        self._listener.changed(self, job.request, before, cache.match(job.whole), given_up)

    def _produced(self, job: Job, now: float) -> int:
        if job.first_token_at == NEVER:
            return 0
        steps = int((now - job.first_token_at) / self._latency_s) if self._latency_s else 0
        return min(job.request.output_tokens, 1 + steps)
