"""Keys pinned to workers, and how a key gets its first worker."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from copy import copy
from random import Random

from ._config import PolicyConfig
from ._types import Candidate

MAX_PINS = 2
"""Workers that a key remembers."""


class _Entry:
    __slots__ = ("used_at", "worker_ids")

    def __init__(self, worker_id: str, used_at: float) -> None:
        self.worker_ids = [worker_id]
        self.used_at = used_at


class StickyKeys:
    """Which workers a key is pinned to, best first; bounded, and forgetting idle keys.

    Pins to workers that left stay until their keys are idle: a worker that comes back under its
    old name finds its sessions again.
    """

    def __init__(self, config: PolicyConfig) -> None:
        self._max_keys = config.max_sticky_keys
        self._max_idle_s = config.max_idle_secs
        self._sweep_every_s = config.eviction_interval_secs
        self._swept_at = float("-inf")
        # Least recently used first.
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._held: dict[str, int] = {}
        self._frozen = False

    def frozen(self) -> StickyKeys:
        """The same keys, to look at only: uses do not count, and nothing can be pinned."""
        view = copy(self)
        view._frozen = True
        return view

    def __len__(self) -> int:
        return len(self._entries)

    def held(self, worker_id: str) -> int:
        """How many keys are pinned to a worker."""
        return self._held.get(worker_id, 0)

    def held_by_worker(self) -> dict[str, int]:
        """How many keys are pinned to each worker that has any."""
        return self._held.copy()

    def pins(self, key: str, now: float) -> Sequence[str]:
        """The workers of a key, which counts as used; empty for an unknown key."""
        entry = self._entries.get(key)
        if entry is None:
            return ()
        if not self._frozen:
            entry.used_at = now
            self._entries.move_to_end(key)
        return entry.worker_ids

    def pin(self, key: str, worker_id: str, now: float, *, front: bool) -> None:
        """Add a worker to a key, before or behind the ones it has.

        Beyond `MAX_PINS` the oldest is given up: the first when appending, the last otherwise.
        """
        if self._frozen:
            return
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(worker_id, now)
            self._held[worker_id] = self.held(worker_id) + 1
            if len(self._entries) > self._max_keys:
                self._drop(next(iter(self._entries)))
            return
        entry.used_at = now
        self._entries.move_to_end(key)
        if worker_id in entry.worker_ids:
            entry.worker_ids.remove(worker_id)
        else:
            self._held[worker_id] = self.held(worker_id) + 1
        entry.worker_ids.insert(0 if front else len(entry.worker_ids), worker_id)
        if len(entry.worker_ids) > MAX_PINS:
            self._let_go(entry.worker_ids.pop(-1 if front else 0))

    def sweep(self, now: float) -> None:
        """Drop idle keys, when the last time is an interval ago."""
        if now - self._swept_at < self._sweep_every_s:
            return
        self._swept_at = now
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if now - entry.used_at < self._max_idle_s:
                return
            self._drop(key)

    def _drop(self, key: str) -> None:
        for worker_id in self._entries.pop(key).worker_ids:
            self._let_go(worker_id)

    def _let_go(self, worker_id: str) -> None:
        left = self._held.get(worker_id, 0) - 1
        if left > 0:
            self._held[worker_id] = left
        else:
            self._held.pop(worker_id, None)


class Assigner:
    """How a key without a worker gets one: "random", "min_load" or "min_group"; ties by chance.

    "min_group" takes the worker with the fewest keys. "delegate" is for the caller to handle,
    and means "min_load" here.
    """

    def __init__(self, mode: str, rng: Random, keys: StickyKeys) -> None:
        self._mode = mode
        self._rng = rng
        self._keys = keys

    def twin(self, keys: StickyKeys) -> Assigner:
        """One that decides alike over these keys, drawing on its own."""
        return Assigner(self._mode, copy(self._rng), keys)

    def assign(self, candidates: Sequence[Candidate]) -> Candidate:
        """One of at least one candidate."""
        if self._mode == "random":
            return candidates[int(self._rng.random() * len(candidates))]
        if self._mode == "min_group":
            costs = [self._keys.held(candidate.id) for candidate in candidates]
        else:
            costs = [candidate.load for candidate in candidates]
        low = min(costs)
        ties = [index for index, cost in enumerate(costs) if cost == low]
        return candidates[ties[0] if len(ties) == 1 else self._rng.choice(ties)]


def first_present(pins: Sequence[str], workers: Mapping[str, Candidate]) -> Candidate | None:
    """The first pinned worker that is a candidate."""
    for worker_id in pins:
        worker = workers.get(worker_id)
        if worker is not None:
            return worker
    return None
