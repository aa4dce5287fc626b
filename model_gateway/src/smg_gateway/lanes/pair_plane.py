"""Everything that requests on pairs of workers share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..errors import NO_AVAILABLE_WORKERS, OVERLOAD_SHED_CODE, ErrorRecord
from ..observability.pairs import LegState, PairTelemetry
from ..observability.telemetry import Telemetry
from ..selection import PairSelector, running_window
from ..workers import Registry, Worker
from .pair_queue import PairQueue, PairQueueLimits, Refusals

PREFILL = "prefill"
DECODE = "decode"

QUEUE_FULL = ErrorRecord(
    status=429, code="pd_prefill_queue_full", message="Prefill admission queue is full"
)
QUEUE_TIMEOUT = ErrorRecord(
    status=429,
    code="pd_prefill_queue_timeout",
    message="Timed out waiting for Prefill admission",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairConfig:
    """`always` takes every request to pairs, else only those of models that have them."""

    always: bool = False
    queue: PairQueueLimits = field(default_factory=PairQueueLimits)
    shed_retry_after_s: int = 10


class PairPlane:
    """Who serves pairs, who waits for them, and how it all goes."""

    def __init__(
        self,
        config: PairConfig,
        *,
        registry: Registry,
        selector: PairSelector,
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._always = config.always
        self.selector = selector
        self.telemetry = PairTelemetry(telemetry.exposition, telemetry.duration_bounds_s)
        shed = ErrorRecord(
            status=503,
            code="worker_overload_protection_shed",
            message="All decode workers are at their limits",
            retry_after_s=config.shed_retry_after_s,
        )
        self.queue = PairQueue(
            config.queue,
            Refusals(QUEUE_FULL, QUEUE_TIMEOUT, shed),
            clock=clock,
            on_wait=self.telemetry.waited,
            on_refused=self.telemetry.turned_away,
        )
        self.telemetry.watch(
            telemetry.exposition,
            lambda: self._states(PREFILL),
            lambda: self._states(DECODE),
            lambda: self.queue.waiting(PREFILL),
        )

    def takes(self, model: str | None) -> bool:
        """Whether a request for `model` goes to a pair."""
        if self._always:
            return True
        if not self._registry.snapshot.legs:
            return False
        prefills, decodes = self.candidates(model)
        return bool(prefills or decodes)

    def candidates(self, model: str | None) -> tuple[Sequence[Worker], Sequence[Worker]]:
        """Prefill and decode workers of a model."""
        snapshot = self._registry.snapshot
        return snapshot.leg(PREFILL).serving(model), snapshot.leg(DECODE).serving(model)

    def refusal(self, model: str | None, leg: str) -> ErrorRecord:
        """What a request is told for which no pair can be had; `leg` as in `PairRefused`."""
        if leg:
            selector = self.selector.prefill if leg == PREFILL else self.selector.decode
            workers = self._registry.snapshot.leg(leg).serving(model)
            refusal = selector.refusal(model, workers)
            if refusal.code == OVERLOAD_SHED_CODE:
                return refusal
        return _no_pair(leg)

    def tick(self, now: float) -> None:
        """Refuse who has waited for too long; let others try, for workers come and recover."""
        self.queue.expire(now)
        self.queue.pump()

    def sweep(self, now: float) -> None:
        """Periodic upkeep of the policies."""
        self.selector.prefill.sweep(now)
        self.selector.decode.sweep(now)

    def worker_removed(self, worker: Worker) -> None:
        """Let the policies forget a worker."""
        self.selector.prefill.worker_removed(worker)
        self.selector.decode.worker_removed(worker)

    @staticmethod
    def new_transfer_id() -> str:
        """A name for one handover of a cache."""
        return f"xfer-{uuid.uuid4()}"

    def _states(self, leg: str) -> list[LegState]:
        workers = self._registry.snapshot.leg(leg).workers
        return [LegState(worker.url, worker.load, running_window(worker)) for worker in workers]


def _no_pair(leg: str) -> ErrorRecord:
    if leg:
        message = f"No available servers: no usable {leg} worker"
        return replace(NO_AVAILABLE_WORKERS, message=message)
    return ErrorRecord(
        status=503,
        code="no_compatible_pd_pair",
        message="No available servers: no prefill and decode workers that go together",
    )
