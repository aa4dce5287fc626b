"""The set of workers as one immutable snapshot, replaced whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .status import WorkerStatus
from .worker import Worker

_NOBODY: Mapping[str, tuple[Worker, ...]] = MappingProxyType({})
_NO_ALIASES: Mapping[str, str] = MappingProxyType({})
_NO_LEGS: Mapping[str, Leg] = MappingProxyType({})
REGULAR = "regular"


@dataclass(frozen=True, slots=True)
class Leg:
    """Workers that do only one part of a request."""

    workers: tuple[Worker, ...] = ()
    by_model: Mapping[str, tuple[Worker, ...]] = field(default_factory=lambda: _NOBODY)

    def serving(self, model: str | None) -> tuple[Worker, ...]:
        """Those that serve `model`; None asks for any."""
        if model is None:
            return self.workers
        found = self.by_model.get(model)
        if found is None:
            found = tuple(worker for worker in self.workers if not worker.models)
        return found


_NO_LEG = Leg()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All workers in registration order, and those that take whole requests by model."""

    workers: tuple[Worker, ...] = ()
    regular: tuple[Worker, ...] = ()
    """Workers that do prefill and decoding alike; only they are routed to by model."""
    wildcard: tuple[Worker, ...] = ()
    """Regular workers that take any model."""
    by_model: Mapping[str, tuple[Worker, ...]] = field(default_factory=lambda: _NOBODY)
    aliases: Mapping[str, str] = field(default_factory=lambda: _NO_ALIASES)
    """Other names of models, from the workers' model cards."""
    legs: Mapping[str, Leg] = field(default_factory=lambda: _NO_LEGS)
    """Workers of another type, by their type."""
    is_uniform: bool = True
    """Whether the body makes no difference: every worker takes the same models, as they are."""

    @classmethod
    def of(cls, workers: Iterable[Worker]) -> Snapshot:
        """Index `workers`."""
        everyone = tuple(workers)
        regular = tuple(worker for worker in everyone if worker.worker_type == REGULAR)
        wildcard = tuple(worker for worker in regular if not worker.models)
        by_model = _index(regular, wildcard)
        aliases = {
            alias: card.id
            for worker in everyone
            for card in worker.cards
            for alias in card.aliases
            if alias not in by_model
        }
        legs = _legs(everyone)
        return cls(
            legs=legs,
            workers=everyone,
            regular=regular,
            wildcard=wildcard,
            by_model=MappingProxyType(by_model),
            aliases=MappingProxyType(aliases),
            is_uniform=(
                len(by_model) <= 1
                and len(wildcard) in (0, len(regular))
                and not aliases
                and not legs
                and all(worker.dp_rank is None for worker in regular)
                and not any("policy" in worker.labels for worker in regular)
            ),
        )

    def serving(self, model: str | None) -> tuple[Worker, ...]:
        """Workers that serve `model`; None asks for any worker."""
        if model is None:
            return self.regular
        return self.by_model.get(model, self.wildcard)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that some worker serves, in order of registration."""
        names = dict.fromkeys(self.by_model)
        for leg in self.legs.values():
            names.update(dict.fromkeys(leg.by_model))
        return tuple(names)

    def leg(self, worker_type: str) -> Leg:
        """The workers of a type other than regular."""
        return self.legs.get(worker_type, _NO_LEG)

    def healthy_count(self) -> int:
        """Regular workers that are ready; breakers and vetoes do not matter."""
        return _ready(self.regular)

    def healthy_in(self, worker_type: str) -> int:
        """The same for the workers of another type."""
        return _ready(self.leg(worker_type).workers)


def _ready(workers: Iterable[Worker]) -> int:
    return sum(1 for worker in workers if worker.status is WorkerStatus.READY)


def _legs(workers: Iterable[Worker]) -> Mapping[str, Leg]:
    found: dict[str, list[Worker]] = {}
    for worker in workers:
        if worker.worker_type != REGULAR:
            found.setdefault(worker.worker_type, []).append(worker)
    if not found:
        return _NO_LEGS
    return MappingProxyType({
        kind: Leg(
            tuple(members),
            MappingProxyType(
                _index(tuple(members), tuple(worker for worker in members if not worker.models))
            ),
        )
        for kind, members in found.items()
    })


def _index(
    regular: tuple[Worker, ...], wildcard: tuple[Worker, ...]
) -> dict[str, tuple[Worker, ...]]:
    """Who serves which model, in registration order; wildcard workers serve every one."""
    places: dict[str, list[int]] = {}
    for place, worker in enumerate(regular):
        for name in dict.fromkeys(worker.models):
            places.setdefault(name, []).append(place)
    if not wildcard:
        return {name: tuple(regular[at] for at in found) for name, found in places.items()}
    anyway = [place for place, worker in enumerate(regular) if not worker.models]
    return {
        name: tuple(regular[at] for at in sorted([*found, *anyway]))
        for name, found in places.items()
    }


class Registry:
    """Publishes snapshots. Readers take `registry.snapshot` once and never lock."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self._by_url: dict[str, Worker] = {}
        self._listeners: list[Callable[[Snapshot, Snapshot], None]] = []

    def on_change(self, listener: Callable[[Snapshot, Snapshot], None]) -> None:
        """Call `listener(old, new)` after each swap."""
        self._listeners.append(listener)

    def find(self, url: str) -> Worker | None:
        """The worker at a URL (`url@rank` for a rank)."""
        return self._by_url.get(url)

    def add(self, *workers: Worker) -> None:
        """Register workers in one swap; raises ValueError when a URL is taken."""
        for worker in workers:
            if worker.url in self._by_url:
                raise ValueError(f"worker {worker.url} is already registered")
        self._by_url.update((worker.url, worker) for worker in workers)
        self._swap((*self.snapshot.workers, *workers))

    def replace(self, old: Worker, new: Worker) -> None:
        """Put `new` where `old` was; both have the same URL. Raises KeyError when it has left."""
        if self._by_url[old.url] is not old:
            raise KeyError(old.url)
        self._by_url[new.url] = new
        self._swap(new if known is old else known for known in self.snapshot.workers)

    def remove(self, *workers: Worker) -> None:
        """Take workers out of routing in one swap; their open exchanges go on."""
        leaving = set(workers)
        for worker in workers:
            worker.status = WorkerStatus.DRAINING
            if self._by_url.get(worker.url) is worker:
                del self._by_url[worker.url]
        self._swap(known for known in self.snapshot.workers if known not in leaving)

    def refresh(self) -> None:
        """Index the same workers again, after something that is indexed changed in them."""
        self._swap(self.snapshot.workers)

    def _swap(self, workers: Iterable[Worker]) -> None:
        old, self.snapshot = self.snapshot, Snapshot.of(workers)
        for listener in self._listeners:
            listener(old, self.snapshot)
