"""One worker: identity, condition and the means to reach it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..upstream import Pool
from .breaker import CircuitBreaker


class WorkerStatus(enum.Enum):
    """Life of a worker."""

    PENDING = "pending"
    READY = "ready"
    NOT_READY = "not_ready"
    DRAINING = "draining"


@dataclass(eq=False, slots=True, kw_only=True)
class Worker:
    """A registered worker.

    Identity (`id`, `url`, `models`) never changes; condition (`status`, `load`, breaker) does.
    `models` is empty for a worker that takes any model.
    """

    id: str
    url: str
    models: tuple[str, ...]
    pool: Pool
    breaker: CircuitBreaker
    api_key: str | None = None
    status: WorkerStatus = WorkerStatus.READY
    load: int = 0
    probe_failures: int = 0
    probe_successes: int = 0

    def usable(self, now: float) -> bool:
        """Whether a request may be sent: ready, and the breaker lets it pass."""
        return self.status is WorkerStatus.READY and self.breaker.allows(now)

    def __repr__(self) -> str:
        return (
            f"<Worker {self.url} {self.status.value} load={self.load} "
            f"breaker={self.breaker.state.name.lower()}>"
        )
