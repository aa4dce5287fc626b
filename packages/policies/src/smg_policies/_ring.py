"""A consistent hash ring over worker ids."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable
from copy import copy

from blake3 import blake3

POINTS_PER_WORKER = 150
"""Points that each worker has on the ring: SMG's number, part of what clients can rely on."""

MAX_MEMBERS = 4096
"""Workers kept on the ring before absent ones are taken off."""


class HashRing:
    """Maps keys to workers so that a worker's coming or going moves only its own keys.

    A worker's points and a key's position are the first eight bytes, little endian, of BLAKE3
    over `id#0`, `id#1`, ... and over the key. A key belongs to the first point at or after its
    position, wrapping round, whose worker is usable.
    """

    def __init__(self) -> None:
        self._members: set[str] = set()
        self._points: list[int] = []
        self._owners: list[str] = []

    def __len__(self) -> int:
        return len(self._members)

    def admit(self, worker_ids: Iterable[str]) -> None:
        """Put workers on the ring that are not on it yet."""
        new = [worker_id for worker_id in worker_ids if worker_id not in self._members]
        if not new:
            return
        if len(self._members) + len(new) > MAX_MEMBERS:
            self._keep(set(worker_ids) - set(new))
        pairs = list(zip(self._points, self._owners, strict=True))
        for worker_id in new:
            pairs.extend(
                (_position(f"{worker_id}#{index}".encode()), worker_id)
                for index in range(POINTS_PER_WORKER)
            )
        self._members.update(new)
        self._arrange(pairs)

    def remove(self, worker_id: str) -> None:
        """Take a worker off the ring."""
        if worker_id in self._members:
            self._keep(self._members - {worker_id})

    def twin(self) -> HashRing:
        """A ring of its own with the same workers."""
        twin = copy(self)
        # The other tables are replaced, never changed.
        twin._members = self._members.copy()
        return twin

    def locate(self, key: bytes, usable: Container[str]) -> str | None:
        """The worker of a key among those usable; None when none on the ring is."""
        count = len(self._points)
        start = bisect_left(self._points, _position(key))
        for step in range(count):
            owner = self._owners[(start + step) % count]
            if owner in usable:
                return owner
        return None

    def _keep(self, members: set[str]) -> None:
        self._members &= members
        pairs = zip(self._points, self._owners, strict=True)
        self._arrange([pair for pair in pairs if pair[1] in self._members])

    def _arrange(self, pairs: list[tuple[int, str]]) -> None:
        pairs.sort()
        self._points = [point for point, _ in pairs]
        self._owners = [owner for _, owner in pairs]


def _position(data: bytes) -> int:
    return int.from_bytes(blake3(data).digest(length=8), "little")
