"""The set of workers as one immutable snapshot, replaced whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .worker import Worker, WorkerStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All workers in registration order, and the same by model."""

    workers: tuple[Worker, ...] = ()
    wildcard: tuple[Worker, ...] = ()
    """Workers that take any model."""
    by_model: Mapping[str, tuple[Worker, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, workers: Iterable[Worker]) -> Snapshot:
        """Index `workers`."""
        everyone = tuple(workers)
        names = dict.fromkeys(name for worker in everyone for name in worker.models)
        return cls(
            workers=everyone,
            wildcard=tuple(w for w in everyone if not w.models),
            by_model=MappingProxyType({
                name: tuple(w for w in everyone if not w.models or name in w.models)
                for name in names
            }),
        )

    def serving(self, model: str | None) -> tuple[Worker, ...]:
        """Workers that serve `model`; None asks for any worker."""
        if model is None:
            return self.workers
        return self.by_model.get(model, self.wildcard)

    @property
    def is_uniform(self) -> bool:
        """Whether the model makes no difference: every worker serves the same ones, or any."""
        return len(self.by_model) <= 1 and len(self.wildcard) in (0, len(self.workers))

    def healthy_count(self) -> int:
        """Workers that are ready; breakers do not matter."""
        return sum(1 for worker in self.workers if worker.status is WorkerStatus.READY)


class Registry:
    """Publishes snapshots. Readers take `registry.snapshot` once and never lock."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._listeners: list[Callable[[Snapshot, Snapshot], None]] = []

    def on_change(self, listener: Callable[[Snapshot, Snapshot], None]) -> None:
        """Call `listener(old, new)` after each swap."""
        self._listeners.append(listener)

    def add(self, worker: Worker) -> None:
        """Register a worker; raises ValueError when its URL is taken."""
        if any(known.url == worker.url for known in self.snapshot.workers):
            raise ValueError(f"worker {worker.url} is already registered")
        self._swap((*self.snapshot.workers, worker))

    def remove(self, worker: Worker) -> None:
        """Take a worker out of routing; its open exchanges go on."""
        worker.status = WorkerStatus.DRAINING
        self._swap(known for known in self.snapshot.workers if known is not worker)

    def _swap(self, workers: Iterable[Worker]) -> None:
        old, self.snapshot = self.snapshot, Snapshot.of(workers)
        for listener in self._listeners:
            listener(old, self.snapshot)
