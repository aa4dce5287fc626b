"""Periodic health probes with thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..upstream import UpstreamError, fetch
from .status import WorkerStatus

if TYPE_CHECKING:
    from .worker import Worker

FAILED_AFTER = 3
"""A worker that is not ready has failed for good after this many times its failure threshold."""

MAX_PROBE_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """Probe path, times in seconds, and how many answers in a row change a worker's state."""

    path: str = "/health"
    interval_s: float = 60.0
    timeout_s: float = 5.0
    failure_threshold: int = 3
    success_threshold: int = 2
    enabled: bool = True
    drain_settle_s: float = 5.0


def judge(worker: Worker, healthy: bool, config: HealthConfig) -> WorkerStatus:
    """Count one probe's answer and tell the status that follows from it."""
    if healthy:
        worker.probe_failures = 0
        worker.probe_successes += 1
        if (
            worker.status is not WorkerStatus.READY
            and worker.probe_successes >= config.success_threshold
        ):
            return WorkerStatus.READY
        return worker.status
    worker.probe_successes = 0
    worker.probe_failures += 1
    if worker.status is WorkerStatus.READY and worker.probe_failures >= config.failure_threshold:
        return WorkerStatus.NOT_READY
    if (
        worker.status is WorkerStatus.NOT_READY
        and worker.probe_failures >= FAILED_AFTER * config.failure_threshold
    ):
        return WorkerStatus.FAILED
    return worker.status


async def probe(worker: Worker, config: HealthConfig) -> bool:
    """Whether the worker's health route answers 2xx in time."""
    try:
        response = await fetch(
            worker.pool,
            b"GET",
            config.path.encode(),
            timeout_s=config.timeout_s,
            max_body_bytes=MAX_PROBE_BODY_BYTES,
        )
    except UpstreamError:
        return False
    worker.contacts += 1
    return 200 <= response.status < 300
