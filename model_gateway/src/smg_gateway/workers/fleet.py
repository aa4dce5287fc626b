"""The owner of all workers: how they come, how they are watched, and how they go."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from ..upstream import Pool, PoolLimits, parse_origin
from .breaker import BreakerConfig, BreakerState, CircuitBreaker
from .health import HealthConfig
from .identity import worker_id
from .jobs import Job, JobFailed, JobQueue, JobsFull, JobState, JobStatus, JobType, Patience
from .load_monitor import LoadMonitor, LoadWatcher
from .metadata import Metadata
from .overlay import breaker_of, health_of, overload_of, pool_limits_of, statuses_of, weight_of
from .patrol import Patrol, PatrolEvents
from .registration import Registration, check_reachable, listed_url
from .registry import Registry
from .spec import HealthSpec, SpecInvalid, WorkerSpec, WorkerUpdate
from .status import WorkerStatus
from .vetoes import LivenessLimits, OverloadLimits, is_overloaded
from .worker import Worker

FULL_QUEUE_PAUSE_S = 0.1


class WorkerExists(Exception):
    """A worker with this URL is registered already."""


class WorkerComing(Exception):
    """A worker with this URL is being registered already."""


class WorkerUnknown(LookupError):
    """No worker has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetConfig:
    """What holds for all workers that say nothing else; times in seconds."""

    health: HealthConfig = field(default_factory=HealthConfig)
    breaker: BreakerConfig = field(default_factory=BreakerConfig)
    pool: PoolLimits = field(default_factory=PoolLimits)
    overload: OverloadLimits = field(default_factory=OverloadLimits)
    liveness: LivenessLimits = field(default_factory=LivenessLimits)
    api_key: str | None = None
    startup_timeout_s: float = 1800.0
    startup_delay_s: float = 0.0
    startup_interval_s: float = 30.0
    job_capacity: int = 1000
    job_concurrency: int = 200
    load_interval_s: float = 10.0
    monitors_load: bool = True
    removes_failed: bool = False
    dp_aware: bool = False


class FleetEvents(LoadWatcher, PatrolEvents, Protocol):
    """Who hears of what happens to workers."""

    def registered(self, worker: Worker) -> None:
        """A worker takes requests from now on."""
        ...

    def given_up(self, url: str, reason: str) -> None:
        """A worker never became one."""
        ...

    def removed(self, worker: Worker) -> None:
        """A worker has left for good."""
        ...

    def breaker_moved(self, url: str, old: BreakerState, new: BreakerState) -> None:
        """A circuit breaker has changed its state."""
        ...


class Fleet:
    """All workers of a gateway.

    `run` watches them until it is cancelled, `close` ends the rest. Changes are jobs: `add`,
    `update`, `replace` and `remove` return at once, `job` tells how far they are. What routing
    reads is `registry.snapshot`.
    """

    def __init__(
        self,
        config: FleetConfig,
        *,
        registry: Registry,
        events: FleetEvents,
        tls: Callable[[], ssl.SSLContext],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.registry = registry
        self._events = events
        self._clock = clock
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self.jobs = JobQueue(
            capacity=config.job_capacity,
            concurrency=config.job_concurrency,
            clock=clock,
            wall_clock=wall_clock,
        )
        self.loads = LoadMonitor(events, interval_s=config.load_interval_s, clock=clock)
        self.patrol = Patrol(
            events, failed=self._worker_failed, limits=config.liveness, clock=clock
        )
        self._draining: dict[str, Worker] = {}
        self._pool_users: dict[Pool, int] = {}
        self._closing_pools: set[Pool] = set()
        self._static: set[str] = set()

    # --- lifetime ------------------------------------------------------------------------

    async def run(self, specs: Sequence[WorkerSpec] = ()) -> None:
        """Register the configured workers and watch all workers until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.patrol.run())
            group.create_task(self.loads.run())
            await asyncio.sleep(self.config.startup_delay_s)
            for spec in {spec.url: spec for spec in specs}.values():
                await self._begin_static(spec)

    async def close(self) -> None:
        """End all jobs and close every connection."""
        await self.jobs.close()
        for pool in (*self._pool_users, *self._closing_pools):
            await pool.aclose()
        self._pool_users.clear()
        self._closing_pools.clear()

    def reconfigure(self, config: FleetConfig) -> None:
        """Other values from now on, also for workers that are there already."""
        before, self.config = self.config, config
        self.patrol.limits = config.liveness
        for worker in self.registry.snapshot.workers:
            if worker.spec.api_key == before.api_key:
                worker.spec = msgspec.structs.replace(worker.spec, api_key=config.api_key)
                worker.api_key = config.api_key
            self._configure(worker)
        if config.load_interval_s != before.load_interval_s:
            self.loads.reschedule(config.load_interval_s)
        if config.monitors_load is not before.monitors_load:
            for worker in self.registry.snapshot.workers:
                if config.monitors_load:
                    self.loads.add(worker)
                else:
                    self.loads.remove(worker)
                    self.loads.forget(worker)

    async def follow(self, specs: Iterable[WorkerSpec]) -> None:
        """Make these the workers given by configuration: new ones come, others are drained.

        Workers that were added otherwise stay.
        """
        wanted = {spec.url: spec for spec in specs}
        for url in [url for url in self._static if url not in wanted]:
            self._static.discard(url)
            if self.jobs.is_open(url, JobType.ADD):
                await self.jobs.cancel(url)
            await self._end_static(url)
        for url, spec in wanted.items():
            if url not in self._static:
                await self._begin_static(spec)

    # --- what there is -------------------------------------------------------------------

    @property
    def workers(self) -> list[Worker]:
        """Every worker, those that are leaving at the end."""
        return [*self.registry.snapshot.workers, *self._draining.values()]

    def is_static(self, url: str) -> bool:
        """Whether the worker at a URL was given by configuration."""
        return url in self._static

    def find(self, uuid: str) -> list[Worker]:
        """The worker with an id; all ranks when it is the id of an engine with ranks."""
        everyone = self.workers
        own = [worker for worker in everyone if worker.uuid == uuid]
        if own:
            return own[:1]
        return [
            worker
            for worker in everyone
            if worker.dp_rank is not None and worker_id(worker.base_url) == uuid
        ]

    def coming(self, uuid: str) -> JobStatus | None:
        """The registration of a worker that is not there yet, or never came."""
        for status in self.jobs.statuses():
            if (
                status.job_type is JobType.ADD
                and status.status is not JobState.COMPLETED
                and worker_id(status.worker_url) == uuid
            ):
                return status
        return None

    def job(self, worker: Worker) -> JobStatus | None:
        """What is being done to a worker."""
        for url in (worker.url, worker.base_url):
            status = self.jobs.status(url)
            if status is not None and status.is_open:
                return status
        return None

    # --- changes -------------------------------------------------------------------------

    def add(self, spec: WorkerSpec) -> str:
        """Begin to register a worker; its id.

        Raises `SpecInvalid`, `WorkerExists`, `WorkerComing` or `JobsFull`.
        """
        check_reachable(spec)
        url = listed_url(spec)
        if self._at(url):
            raise WorkerExists(url)
        if self.jobs.is_open(url, JobType.ADD):
            raise WorkerComing(url)
        self._submit_registration(spec, self.config.startup_interval_s)
        return worker_id(url)

    def update(self, uuid: str, update: WorkerUpdate) -> None:
        """Begin to change a worker; raises `WorkerUnknown` or `JobsFull`."""
        workers = self._present(uuid)

        async def attempt() -> None:
            for worker in workers:
                self._apply(worker, update)
            self.registry.refresh()

        self.jobs.submit(Job(JobType.UPDATE, workers[0].url, attempt))

    def replace(self, uuid: str, spec: WorkerSpec) -> None:
        """Begin to register a worker anew; raises `WorkerUnknown`, `SpecInvalid` or `JobsFull`.

        The worker goes on as it was until the new registration has succeeded.
        """
        old = self._present(uuid)[0]
        if old.dp_rank is not None:
            raise SpecInvalid("a data-parallel rank cannot be replaced: remove and add its worker")
        if spec.url != old.url:
            raise SpecInvalid(f"the URL of a worker cannot change: it is {old.url}, not {spec.url}")
        check_reachable(spec)
        self._submit_registration(spec, self.config.startup_interval_s, replaces=True)

    def remove(self, uuid: str) -> list[Worker]:
        """Begin to remove a worker, with all its ranks when it has any.

        It gets no more requests; those under way go on. Raises `WorkerUnknown` or `JobsFull`.
        """
        workers = self._present(uuid)
        self._retire(workers)
        for worker in workers:
            self._static.discard(worker.base_url)
        return workers

    async def cancel(self, uuid: str) -> bool:
        """Give up the registration of a worker that is not there yet; whether there was one."""
        status = self.coming(uuid)
        if status is None or not status.is_open:
            return False
        self._static.discard(status.worker_url)
        await self.jobs.cancel(status.worker_url)
        self.jobs.forget(status.worker_url)
        return True

    # --- registration --------------------------------------------------------------------

    async def _begin_static(self, spec: WorkerSpec) -> None:
        url = spec.url
        self._static.add(url)
        while True:
            try:
                if not self._at(url) and not self.jobs.is_open(url, JobType.ADD):
                    check_reachable(spec)
                    self._submit_registration(spec, self.config.startup_interval_s)
                return
            except SpecInvalid as error:
                self._events.given_up(url, str(error))
                return
            except JobsFull:
                await asyncio.sleep(FULL_QUEUE_PAUSE_S)

    async def _end_static(self, url: str) -> None:
        while True:
            try:
                self._retire(self._at(url))
                return
            except JobsFull:
                await asyncio.sleep(FULL_QUEUE_PAUSE_S)

    def _submit_registration(
        self, spec: WorkerSpec, interval_s: float, *, replaces: bool = False
    ) -> None:
        registration = Registration(self, spec, replaces=replaces)
        url = listed_url(spec)
        self.jobs.submit(
            Job(
                JobType.REPLACE if replaces else JobType.ADD,
                url,
                registration.attempt,
                patience=Patience(
                    deadline=self._clock() + self.config.startup_timeout_s,
                    max_pause_s=interval_s,
                    max_attempts=spec.max_connection_attempts,
                ),
                ended=registration.ended,
            )
        )

    def open_pool(self, spec: WorkerSpec) -> Pool:
        """A pool for a worker to be; raises ValueError for a URL that names no origin."""
        origin = parse_origin(spec.dp_base_url or spec.url)
        if origin.tls and self._tls is None:
            self._tls = self._make_tls()
        limits = pool_limits_of(spec, self.config.pool)
        pool = Pool(origin, limits=limits, clock=self._clock, tls=self._tls)
        self._pool_users[pool] = 1
        return pool

    def release_pool(self, pool: Pool) -> None:
        """One user less; a pool without users lets its busy connections finish."""
        users = self._pool_users.get(pool, 0) - 1
        if users > 0:
            self._pool_users[pool] = users
            return
        self._pool_users.pop(pool, None)
        pool.close()
        self._closing_pools.add(pool)
        self._closing_pools = {each for each in self._closing_pools if each.is_busy}

    def admit(self, spec: WorkerSpec, pool: Pool, found: Metadata, *, replaces: bool) -> None:
        """Let a worker that has been heard of take requests; raises `JobFailed`."""
        if replaces:
            old = self.registry.find(spec.url)
            if old is None:
                raise JobFailed("the worker has left")
            worker = self._make(spec, pool, found, None)
            self.registry.replace(old, worker)
            self._unwatch(old)
            self.release_pool(old.pool)
            self._watch(worker)
            self._events.registered(worker)
            return
        workers = [self._make(spec, pool, found, rank) for rank in self._ranks(spec, found)]
        try:
            self.registry.add(*workers)
        except ValueError as error:
            raise JobFailed(str(error)) from None
        self._pool_users[pool] += len(workers) - 1
        for worker in workers:
            self._watch(worker)
            self._events.registered(worker)

    def health_of(self, spec: WorkerSpec) -> HealthConfig:
        """How a worker to be is probed."""
        return health_of(spec.health, self.config.health)

    def key_of(self, spec: WorkerSpec) -> str | None:
        """The key that a worker is shown."""
        return spec.api_key if spec.api_key is not None else self.config.api_key

    def given_up(self, spec: WorkerSpec, reason: str) -> None:
        """A worker to be will not come."""
        self._events.given_up(spec.url, reason)

    def _ranks(self, spec: WorkerSpec, found: Metadata) -> Collection[int | None]:
        if spec.dp_rank is not None:
            return [spec.dp_rank]
        if self.config.dp_aware and found.dp_size > 1:
            return range(found.dp_size)
        return [None]

    def _make(self, spec: WorkerSpec, pool: Pool, found: Metadata, rank: int | None) -> Worker:
        base_url = spec.dp_base_url or spec.url
        url = spec.url if rank is None else f"{base_url}@{rank}"

        def breaker_moved(old: BreakerState, new: BreakerState) -> None:
            self._events.breaker_moved(url, old, new)

        labelled = msgspec.structs.replace(spec, labels=dict(found.labels))
        worker = Worker(
            url=url,
            models=found.models,
            cards=found.cards,
            pool=pool,
            breaker=CircuitBreaker(self.config.breaker, breaker_moved),
            spec=labelled,
            labels=labelled.labels,
            runtime=found.runtime,
            base_url=base_url,
            dp_rank=rank,
        )
        self._configure(worker)
        return worker

    def _configure(self, worker: Worker) -> None:
        """Apply the worker's own numbers over the fleet's."""
        spec, config = worker.spec, self.config
        health = health_of(spec.health, config.health)
        if health != worker.health:
            worker.health = health
            self.patrol.reschedule(worker)
        worker.breaker.config = breaker_of(spec, config.breaker)
        worker.overload = overload_of(spec, config.overload)
        worker.overloaded = is_overloaded(worker.report, worker.overload)
        worker.failure_statuses, worker.neutral_statuses = statuses_of(spec)
        worker.weight = weight_of(spec)
        worker.api_key = self.key_of(spec)
        worker.timeout_s = spec.http_pool.timeout_secs if spec.http_pool is not None else None

    def _apply(self, worker: Worker, update: WorkerUpdate) -> None:
        changes: dict[str, object] = {
            name: getattr(update, name)
            for name in ("priority", "cost", "api_key")
            if getattr(update, name) is not None
        }
        if update.labels is not None:
            changes["labels"] = {**worker.labels, **update.labels}
        if update.health is not None:
            changes["health"] = _merged(worker.spec.health, update.health)
        worker.spec = msgspec.structs.replace(worker.spec, **changes)
        worker.labels = worker.spec.labels
        self._configure(worker)

    # --- removal -------------------------------------------------------------------------

    def _at(self, url: str) -> list[Worker]:
        """The registered worker at a URL, or its ranks."""
        found = self.registry.find(url)
        if found is not None:
            return [found]
        return [worker for worker in self.registry.snapshot.workers if worker.base_url == url]

    def _present(self, uuid: str) -> list[Worker]:
        found = [each for each in self.find(uuid) if each.status is not WorkerStatus.DRAINING]
        if not found:
            raise WorkerUnknown(uuid)
        return found

    def _retire(self, workers: Sequence[Worker]) -> None:
        """Let workers leave, all of them or, with `JobsFull`, none."""
        self.jobs.check_room(len(workers))
        for worker in workers:
            self.jobs.submit(self._removal(worker))
            self._draining[worker.url] = worker
            self._unwatch(worker)
        self.registry.remove(*workers)

    def _removal(self, worker: Worker) -> Job:
        settle_s = worker.health.drain_settle_s

        async def attempt() -> None:
            await asyncio.sleep(settle_s)

        def ended(reason: str | None) -> None:
            if self._draining.get(worker.url) is worker:
                del self._draining[worker.url]
            self.release_pool(worker.pool)
            self._events.removed(worker)
            self.jobs.forget(worker.url)

        return Job(JobType.REMOVE, worker.url, attempt, ended=ended, in_line=False)

    def _worker_failed(self, worker: Worker) -> None:
        if not self.config.removes_failed:
            return
        try:
            self._retire([worker])
        except JobsFull:
            # One step back, so that the next failed probe comes here again.
            worker.status = WorkerStatus.NOT_READY

    def _watch(self, worker: Worker) -> None:
        self.patrol.add(worker)
        if self.config.monitors_load:
            self.loads.add(worker)

    def _unwatch(self, worker: Worker) -> None:
        self.patrol.remove(worker)
        self.loads.remove(worker)


def _merged(before: HealthSpec | None, update: HealthSpec) -> HealthSpec:
    fields = {
        name: getattr(update, name)
        for name in HealthSpec.__struct_fields__
        if getattr(update, name) is not None
    }
    return msgspec.structs.replace(before or HealthSpec(), **fields)
