"""Periodic health probes with thresholds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..upstream import UpstreamError, fetch
from .registry import Registry
from .worker import Worker, WorkerStatus

PARALLEL_PROBES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """Probe path, times in seconds, and how many answers in a row change a worker's state."""

    path: str = "/health"
    interval_s: float = 60.0
    timeout_s: float = 5.0
    failure_threshold: int = 3
    success_threshold: int = 2
    enabled: bool = True


def judge(worker: Worker, healthy: bool, config: HealthConfig) -> WorkerStatus:
    """Count one probe's answer and tell the status that follows from it."""
    if healthy:
        worker.probe_failures = 0
        worker.probe_successes += 1
        if (
            worker.status is WorkerStatus.NOT_READY
            and worker.probe_successes >= config.success_threshold
        ):
            return WorkerStatus.READY
    else:
        worker.probe_successes = 0
        worker.probe_failures += 1
        if (
            worker.status is WorkerStatus.READY
            and worker.probe_failures >= config.failure_threshold
        ):
            return WorkerStatus.NOT_READY
    return worker.status


class HealthMonitor:
    """Probes every worker once per interval and moves it between ready and not ready."""

    def __init__(
        self,
        registry: Registry,
        config: HealthConfig,
        *,
        on_probe: Callable[[Worker, bool], None],
        on_status: Callable[[Worker], None],
    ) -> None:
        self._registry = registry
        self._config = config
        self._on_probe = on_probe
        self._on_status = on_status
        self._slots = asyncio.Semaphore(PARALLEL_PROBES)

    async def run(self) -> None:
        """Probe for ever; cancel to stop."""
        if not self._config.enabled:
            return
        while True:
            await asyncio.sleep(self._config.interval_s)
            await self.probe_all()

    async def probe_all(self) -> None:
        """One round over all workers of the current snapshot."""
        async with asyncio.TaskGroup() as group:
            for worker in self._registry.snapshot.workers:
                group.create_task(self._probe(worker))

    async def _probe(self, worker: Worker) -> None:
        async with self._slots:
            healthy = await probe(worker, self._config)
        self._on_probe(worker, healthy)
        if worker.status is WorkerStatus.DRAINING:
            return
        status = judge(worker, healthy, self._config)
        if status is not worker.status:
            worker.status = status
            if status is WorkerStatus.READY:
                worker.breaker.readmit()
            self._on_status(worker)


async def probe(worker: Worker, config: HealthConfig) -> bool:
    """Whether the worker's health route answers 2xx in time."""
    try:
        response = await fetch(
            worker.pool, b"GET", config.path.encode(), timeout_s=config.timeout_s
        )
    except UpstreamError:
        return False
    return 200 <= response.status < 300
