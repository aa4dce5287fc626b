"""Keeping a fleet in step with a source of workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from ..workers import (
    Fleet,
    JobsFull,
    Snapshot,
    SpecInvalid,
    Worker,
    WorkerComing,
    WorkerExists,
    WorkerUnknown,
    worker_id,
)
from ..workers.jobs import JobState, JobType
from .planning import Mark, by_url, plan
from .provider import Provider
from .telemetry import DiscoveryTelemetry
from .worker import HASH_LABEL, PROVIDER_LABEL, DiscoveredWorker

FULL_QUEUE_PAUSE_S = 0.1
COALESCE_S = 0.1
"""How long further news is awaited before acting: rollouts change many workers at once."""


class Discovery:
    """Registers the workers of one source with a fleet, and drains those it wants no longer.

    Every pass compares all that is wanted with all that is there, so whatever went wrong or was
    missed is made up for by the next one. A pass follows each snapshot, each change of the fleet's
    workers, and at the latest `resync_s` seconds after the last. Only workers that were brought
    here and still carry the provider's label are ever touched.
    """

    def __init__(
        self,
        fleet: Fleet,
        provider: Provider,
        telemetry: DiscoveryTelemetry,
        *,
        resync_s: float,
        start_delay_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._provider = provider
        self._telemetry = telemetry
        self._resync_s = resync_s
        self._start_delay_s = start_delay_s
        self._clock = clock
        self._due = asyncio.Event()
        self._desired: Mapping[str, DiscoveredWorker] | None = None
        self._brought: dict[str, DiscoveredWorker] = {}
        self._awaited: set[str] = set()
        self._refused: dict[str, str] = {}
        fleet.registry.on_change(self._workers_changed)

    async def run(self) -> None:
        """Follow the source until cancelled; the workers stay."""
        await asyncio.sleep(self._start_delay_s)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._reconcile())

    def _workers_changed(self, old: Snapshot, new: Snapshot) -> None:
        self._due.set()

    async def _follow(self) -> None:
        async with aclosing(self._provider.snapshots()) as snapshots:
            async for snapshot in snapshots:
                self._desired = desired = by_url(snapshot.values())
                for worker in snapshot.values():
                    first = desired[worker.url]
                    if first is not worker:
                        self._telemetry.complain(worker.id, f"has the same URL as {first.id}")
                self._due.set()

    async def _reconcile(self) -> None:
        pause_s = self._resync_s
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self._due.wait()
                    await asyncio.sleep(COALESCE_S)
            except TimeoutError:
                pass  # The pass that is due anyway.
            self._due.clear()
            desired = self._desired
            if desired is not None:
                complete = await self._pass(desired)
                pause_s = self._resync_s if complete else FULL_QUEUE_PAUSE_S

    async def _pass(self, desired: Mapping[str, DiscoveredWorker]) -> bool:
        """Compare and act; whether the job queue had room for everything."""
        started = self._clock()
        present = self._present()
        todo = plan(self._known(present), desired)
        for url in [url for url in self._refused if url not in desired]:
            del self._refused[url]
        try:
            for url in todo.removed:
                await self._remove(url)
            for worker in todo.changed:
                await self._change(worker)
            for worker in todo.added:
                await self._yield()
                self._submit(worker)
        except JobsFull:
            return False
        finally:
            self._telemetry.synced(len(desired), self._clock() - started)
        return True

    # --- what there is -------------------------------------------------------------------

    def _present(self) -> dict[str, list[Worker]]:
        """Registered workers by URL; the ranks of an engine stand together."""
        found: dict[str, list[Worker]] = {}
        for worker in self._fleet.registry.snapshot.workers:
            found.setdefault(worker.base_url, []).append(worker)
        return found

    def _known(self, present: Mapping[str, Sequence[Worker]]) -> dict[str, Mark]:
        """The workers brought so far that are still there or under way."""
        known: dict[str, Mark] = {}
        for url, worker in list(self._brought.items()):
            mark = self._mark(worker, present.get(url, ()))
            if mark is not None:
                known[url] = mark
                continue
            del self._brought[url]
            if url in self._awaited:
                self._awaited.discard(url)
                # It may as well have come and gone between two passes.
                job = self._fleet.jobs.status(url)
                if job is not None and job.status is JobState.FAILED:
                    self._telemetry.registration_failed()
        return known

    def _mark(self, worker: DiscoveredWorker, here: Sequence[Worker]) -> Mark | None:
        """What is there of a worker that was brought; None when it has left or changed hands."""
        jobs, url = self._fleet.jobs, worker.url
        if not here:
            return Mark.of(worker) if jobs.is_open(url, JobType.ADD) else None
        labels = here[0].labels
        if not self._is_ours(here[0]):
            self._awaited.discard(url)
            return None
        if jobs.is_open(url, JobType.REPLACE):
            return Mark.of(worker)
        fingerprint = labels.get(HASH_LABEL, "")
        if url in self._awaited:
            self._awaited.discard(url)
            if fingerprint == worker.fingerprint:
                self._telemetry.registered()
            else:
                self._telemetry.registration_failed()
        return Mark(worker.instance, fingerprint)

    def _is_ours(self, worker: Worker) -> bool:
        return worker.labels.get(PROVIDER_LABEL) == self._provider.source

    def _ours(self, url: str) -> list[Worker]:
        """Our worker at a URL, or its ranks, at this moment: much may have happened since the plan."""
        registry = self._fleet.registry
        one = registry.find(url)
        found = registry.snapshot.workers if one is None else (one,)
        return [each for each in found if each.base_url == url and self._is_ours(each)]

    # --- steps ---------------------------------------------------------------------------

    async def _yield(self) -> None:
        """Requests go on between two steps: there may be thousands."""
        await asyncio.sleep(0)

    async def _remove(self, url: str) -> None:
        await self._yield()
        await self._withdraw(url)
        if self._ours(url):
            self._retire(url)
        self._brought.pop(url, None)
        self._awaited.discard(url)

    async def _change(self, worker: DiscoveredWorker) -> None:
        await self._yield()
        await self._withdraw(worker.url)
        here = self._ours(worker.url)
        # The ranks of an engine are as many as it says anew, so they cannot be replaced in place.
        ranked = any(each.dp_rank is not None for each in here)
        if ranked:
            self._retire(worker.url)
        self._submit(worker, replaces=bool(here) and not ranked)

    async def _withdraw(self, url: str) -> None:
        """Give up a registration that is under way."""
        jobs = self._fleet.jobs
        if jobs.is_open(url, JobType.ADD) or jobs.is_open(url, JobType.REPLACE):
            await jobs.cancel(url)
            jobs.forget(url)

    def _retire(self, url: str) -> None:
        try:
            self._fleet.remove(worker_id(url))
        except WorkerUnknown:
            return  # Somebody else has removed it this moment.
        self._telemetry.deregistered(url)

    def _submit(self, worker: DiscoveredWorker, *, replaces: bool = False) -> None:
        spec, url = worker.spec(self._provider.source), worker.url
        try:
            if replaces:
                self._fleet.replace(worker_id(url), spec)
            else:
                self._fleet.add(spec)
        except WorkerUnknown:
            return  # It has left this moment; the next pass adds it.
        except (WorkerExists, WorkerComing):
            self._refuse(worker, "somebody else has registered a worker at this URL")
            return
        except SpecInvalid as error:
            self._refuse(worker, str(error))
            return
        self._refused.pop(url, None)
        self._brought[url] = worker
        self._awaited.add(url)
        self._telemetry.submitted(worker, replaces=replaces)

    def _refuse(self, worker: DiscoveredWorker, reason: str) -> None:
        """A worker cannot be had as it is; every pass tries again, the first one says so."""
        if self._refused.get(worker.url) == worker.fingerprint:
            return
        self._refused[worker.url] = worker.fingerprint
        self._telemetry.registration_failed()
        self._telemetry.complain(worker.url, reason)
