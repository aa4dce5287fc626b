"""The replay itself: arrivals, policies, engines and upkeep on one virtual clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from os import PathLike
from random import Random

from smg_mock_worker import EngineTiming
from smg_policies import (
    Policy,
    PolicyConfig,
    PolicyFactory,
    PolicyInvalid,
    RoutingRequest,
    create_policy,
)

from smg_simulator.cache import make_cache
from smg_simulator.engines import NEVER, CacheListener, EngineModel, Job, Schedule
from smg_simulator.events import EventFeed
from smg_simulator.formats import read_trace
from smg_simulator.prompts import DEFAULT_CHARACTERS_PER_TOKEN, PromptStandIn
from smg_simulator.record import Outcome, Record
from smg_simulator.result import Result, relative_speeds, summarize
from smg_simulator.scenario import DEFAULT_TIMING, Outage, Scenario
from smg_simulator.trace import Trace, TraceRequest

__all__ = ("Progress", "run", "simulate")

Progress = Callable[[int], None]
"""Told now and then how many requests have arrived so far."""

PROGRESS_EVERY = 256
SWEEP_INTERVAL_S = 1.0

FIRST_BACKOFF_S = 0.05
BACKOFF_GROWTH = 1.5
MAX_BACKOFF_S = 30.0


def simulate(
    trace: Trace | str | PathLike[str],
    policy: str | PolicyFactory = "cache_aware",
    workers: int = 8,
    *,
    config: PolicyConfig | None = None,
    timing: EngineTiming | Sequence[EngineTiming] = DEFAULT_TIMING,
    seed: int = 0,
    cache_blocks: int | None = None,
    outages: Sequence[Outage] = (),
    token_ids: bool = True,
    kv_events: bool = False,
    characters_per_token: float = DEFAULT_CHARACTERS_PER_TOKEN,
    session_block: int | None = None,
    report_interval_s: float | None = None,
    progress: Progress | None = None,
) -> Result:
    """Replay a trace (or the file of one) through a policy in front of `workers` engines.

    The parameters are those of `Scenario`. The same arguments give the same result. Raises `TraceInvalid` and `OSError` for the
    trace, `PolicyUnknown` and `PolicyInvalid` for the policy, `ValueError` for the scenario.
    """
    scenario = Scenario(
        policy=policy,
        workers=workers,
        config=config or PolicyConfig(),
        timing=timing if isinstance(timing, EngineTiming) else tuple(timing),
        seed=seed,
        cache_blocks=cache_blocks,
        outages=tuple(outages),
        token_ids=token_ids,
        kv_events=kv_events,
        characters_per_token=characters_per_token,
        session_block=session_block,
        report_interval_s=report_interval_s,
    )
    return run(trace if isinstance(trace, Trace) else read_trace(trace), scenario, progress)


def run(trace: Trace, scenario: Scenario, progress: Progress | None = None) -> Result:
    """`simulate` for a trace and a scenario that are there already."""
    replay = _Replay(trace, scenario)
    replay.play(progress)
    return summarize(trace, scenario, replay.record, replay.engines, replay.reasons)


def _fleet(
    trace: Trace, scenario: Scenario, schedule: Schedule, listener: CacheListener | None
) -> list[EngineModel]:
    capacity = scenario.cache_blocks
    engines = [
        EngineModel(
            index,
            timing,
            make_cache(capacity),
            trace.block_size,
            schedule,
            capacity_tokens=capacity * trace.block_size if capacity else None,
            listener=listener,
        )
        for index, timing in enumerate(scenario.timings)
    ]
    for engine, speed in zip(engines, relative_speeds(scenario), strict=True):
        engine.weight = speed
    return engines


class _Clock:
    """Virtual time, as a policy is given it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Replay:
    def __init__(self, trace: Trace, scenario: Scenario) -> None:
        self._trace = trace
        self._scenario = scenario
        self._clock = _Clock()
        self._rng = Random(scenario.seed)
        self._stand_in = PromptStandIn(trace, scenario.characters_per_token)
        self._schedule = Schedule()
        self._orders: list[tuple[float, int, Callable[[], None]]] = []
        self._order_numbers = count()
        self._policies: dict[str | None, Policy] = {}
        self._down: dict[EngineModel, int] = {}
        self._pending = 0
        self.record = Record()
        self.reasons: dict[str, int] = {}
        self._feed: EventFeed | None = None
        if scenario.kv_events:
            self._feed = EventFeed(self._policies, self._stand_in, trace.block_size)
        self.engines = _fleet(trace, scenario, self._schedule, self._feed)
        self._usable: list[EngineModel] = list(self.engines)

    def play(self, progress: Progress | None) -> None:
        """Replay all of the trace, then wait for what is still under way."""
        self._policy(None if not self._trace.requests else self._trace.requests[0].model)
        self._arrange()
        for index, request in enumerate(self._trace.requests):
            self._advance(request.at_s)
            job = Job(index, request, self._trace.block_size)
            self.record.open(job, request.at_s)
            self._pending += 1
            self._route(job)
            if progress is not None and (index + 1) % PROGRESS_EVERY == 0:
                progress(index + 1)
        while self._pending:
            self._advance(self._next_at())
        if progress is not None:
            progress(len(self._trace))

    def _arrange(self) -> None:
        self._order(SWEEP_INTERVAL_S, self._sweep)
        if self._scenario.report_interval_s is not None:
            self._order(self._scenario.report_interval_s, self._poll)
        for outage in self._scenario.outages:
            engine = self.engines[outage.worker]
            self._order(outage.start_s, partial(self._take_down, engine, outage))
            self._order(outage.end_s, partial(self._bring_up, engine))

    def _order(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._orders, (at, next(self._order_numbers), action))

    def _next_at(self) -> float:
        """When the next thing happens; there always is one, since sweeps never end."""
        order_at = self._orders[0][0]
        heap = self._schedule.heap
        return min(heap[0][0], order_at) if heap else order_at

    def _advance(self, until: float) -> None:
        """Let everything happen that is due up to `until`: engines first, then orders."""
        while self._orders[0][0] <= until:
            at, _, action = heapq.heappop(self._orders)
            self._run_engines(at)
            self._clock.now = at
            action()
        self._run_engines(until)
        self._clock.now = until

    def _run_engines(self, until: float) -> None:
        heap = self._schedule.heap
        clock = self._clock
        while heap and heap[0][0] <= until:
            at, number, job = heapq.heappop(heap)
            if job.due != number:
                continue  # its engine went down meanwhile
            clock.now = at
            engine = job.engine
            assert engine is not None, "only engines put jobs into the schedule"
            if engine.step(job, at):
                self._release(job, engine)
                self._close(job, Outcome.COMPLETED)

    def _route(self, job: Job) -> None:
        """Give the job to an engine, or arrange for another try, or refuse it."""
        request = job.request
        policy = self._policy(request.model)
        usable: Sequence[EngineModel] = self._usable
        if job.tried:
            usable = [engine for engine in usable if engine not in job.tried] or usable
        decision = policy.select(self._routing(request, policy), usable) if usable else None
        if decision is None:
            self._close(job, Outcome.REFUSED)
            return
        engine = decision.worker
        if not isinstance(engine, EngineModel):
            raise PolicyInvalid(f"{decision.policy} chose {engine!r}, which is no candidate")
        reason = decision.reason
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        job.decision = decision
        job.attempts += 1
        engine.load += 1
        if not engine.submit(job, self._clock.now):
            self._release(job, engine)
            self._retry(job, engine)

    def _retry(self, job: Job, engine: EngineModel) -> None:
        if job.attempts >= self._scenario.max_attempts:
            self._close(job, Outcome.REFUSED)
            return
        job.reset()
        job.tried.append(engine)
        pause_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * BACKOFF_GROWTH ** (job.attempts - 1))
        self._order(self._clock.now + pause_s, partial(self._route, job))

    def _release(self, job: Job, engine: EngineModel) -> None:
        """An attempt is over: the gateway's load of the engine falls, the policy is told."""
        engine.load -= 1
        decision = job.decision
        if decision is not None and decision.ticket is not None:
            self._policy(job.request.model).settle(decision)
        job.decision = None

    def _close(self, job: Job, outcome: Outcome) -> None:
        self._pending -= 1
        self.record.close(job, outcome)

    def _take_down(self, engine: EngineModel, outage: Outage) -> None:
        self._down[engine] = self._down.get(engine, 0) + 1
        engine.up = False
        engine.report = None
        self._usable = [each for each in self.engines if each.up]
        if outage.leaves:
            for policy in self._policies.values():
                policy.worker_removed(engine.id)
        if self._feed is not None:
            self._feed.cleared(engine)
        for job in engine.crash():
            self._release(job, engine)
            if job.first_token_at == NEVER:
                self._retry(job, engine)
            else:
                self._close(job, Outcome.FAILED)

    def _bring_up(self, engine: EngineModel) -> None:
        self._down[engine] -= 1
        engine.up = not self._down[engine]
        self._usable = [each for each in self.engines if each.up]

    def _sweep(self) -> None:
        now = self._clock.now
        for policy in self._policies.values():
            policy.sweep(now)
        self._order(now + SWEEP_INTERVAL_S, self._sweep)

    def _poll(self) -> None:
        now = self._clock.now
        for engine in self._usable:
            engine.report = engine.report_load(now)
        self._order(now + (self._scenario.report_interval_s or 0.0), self._poll)

    def _policy(self, model: str | None) -> Policy:
        """The policy of a model; the gateway keeps one for each, too."""
        policy = self._policies.get(model)
        if policy is None:
            scenario = self._scenario
            make = scenario.policy
            if isinstance(make, str):
                policy = create_policy(make, self._rng, scenario.config, self._clock)
            else:
                policy = make(rng=self._rng, config=scenario.config, clock=self._clock)
            self._policies[model] = policy
        return policy

    def _routing(self, request: TraceRequest, policy: Policy) -> RoutingRequest:
        stand_in = self._stand_in
        return RoutingRequest(
            model=request.model,
            text=stand_in.text(request) if policy.needs_text else None,
            tokens=stand_in.tokens(request) if self._scenario.token_ids else None,
            routing_key=request.routing_key or _session(request, self._scenario.session_block),
        )


def _session(request: TraceRequest, block: int | None) -> str | None:
    if block is None or block >= len(request.blocks):
        return None
    return f"session-{request.blocks[block]}"
