"""Watching workers: regular health probes, and a look every second for those that have stalled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..upstream import Pool
from .health import judge, probe
from .schedule import Rounds
from .status import WorkerStatus
from .vetoes import LivenessLimits, Look, Pulse, Stall, feel
from .worker import Worker

LOOK_S = 1.0
"""How often workers are looked at for stalls; the shortest patience is two of these."""

TOUCH_S = 2.0
"""How often a worker that cannot be reached is tried again."""


class PatrolEvents(Protocol):
    """Who hears of what a patrol finds."""

    def probed(self, worker: Worker, healthy: bool) -> None:
        """A health probe has an answer."""
        ...

    def status_changed(self, worker: Worker) -> None:
        """Probes have changed a worker's status."""
        ...

    def breaker_readmitted(self, worker: Worker) -> None:
        """A worker that is healthy again may be tried before its breaker's time is up."""
        ...

    def stall_changed(self, worker: Worker, before: Stall | None) -> None:
        """A worker is avoided from now on, or no longer."""
        ...

    def visit_failed(self, error: Exception) -> None:
        """A visit broke by a defect of the gateway's own."""
        ...


class Patrol:
    """Moves workers between ready, not ready and failed, and finds those that stall.

    `failed` is called with a worker that has failed for good, after its status says so.
    """

    def __init__(
        self,
        events: PatrolEvents,
        *,
        failed: Callable[[Worker], None],
        limits: LivenessLimits,
        clock: Callable[[], float],
    ) -> None:
        self.limits = limits
        self._events = events
        self._failed = failed
        self._clock = clock
        self._probes: Rounds[Worker] = Rounds(self._probe, clock=clock, failed=events.visit_failed)
        self._pulses: dict[Worker, Pulse] = {}
        self._touched_at: dict[Worker, float] = {}

    async def run(self) -> None:
        """Watch for ever; cancel to stop."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probes.run())
            while True:
                await asyncio.sleep(LOOK_S)
                for worker in self.look():
                    group.create_task(self._touch(worker))

    def add(self, worker: Worker) -> None:
        """Watch a worker from now on."""
        now = self._clock()
        self._pulses[worker] = Pulse(
            contact_at=now, progress_at=now, contacts=worker.contacts, failures=worker.faults
        )
        self.reschedule(worker)

    def remove(self, worker: Worker) -> None:
        """Watch a worker no more."""
        self._pulses.pop(worker, None)
        self._touched_at.pop(worker, None)
        self._probes.remove(worker)

    def reschedule(self, worker: Worker) -> None:
        """Probe a worker by what its `health` says now."""
        self._probes.remove(worker)
        if worker in self._pulses and worker.health.enabled:
            self._probes.add(worker, worker.health.interval_s, name=worker.url)

    def look(self) -> list[Worker]:
        """Look at every worker once; those that should be touched to see whether they are back."""
        now = self._clock()
        seen: dict[Pool, tuple[int, bool]] = {}
        lost: list[Worker] = []
        for worker, pulse in self._pulses.items():
            streams, moved = 0, False
            if worker.load:
                if worker.pool not in seen:
                    seen[worker.pool] = worker.pool.streams()
                streams, moved = seen[worker.pool]
            look = Look(
                contacts=worker.contacts,
                failures=worker.faults,
                streams=streams,
                moved=moved,
                load=worker.load,
                report=worker.report,
            )
            stall = feel(pulse, look, now, self.limits)
            if stall is not worker.stalled:
                before, worker.stalled = worker.stalled, stall
                self._events.stall_changed(worker, before)
            if stall is Stall.UNREACHABLE and self._is_due(worker, now):
                lost.append(worker)
        return lost

    def _is_due(self, worker: Worker, now: float) -> bool:
        if now - self._touched_at.get(worker, -TOUCH_S) < TOUCH_S:
            return False
        self._touched_at[worker] = now
        return True

    async def _touch(self, worker: Worker) -> None:
        """Any answer ends a worker's exclusion; its status is for the regular probes to judge."""
        try:
            await probe(worker, worker.health)
        except Exception as error:  # noqa: BLE001 - one visit's defect must not end the watch
            self._events.visit_failed(error)

    async def _probe(self, worker: Worker) -> None:
        healthy = await probe(worker, worker.health)
        if worker not in self._pulses:
            return
        self._events.probed(worker, healthy)
        status = judge(worker, healthy, worker.health)
        if status is worker.status:
            return
        worker.status = status
        if status is WorkerStatus.READY and worker.breaker.readmit():
            self._events.breaker_readmitted(worker)
        self._events.status_changed(worker)
        if status is WorkerStatus.FAILED:
            self._failed(worker)
