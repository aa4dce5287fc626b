"""Regular visits, spread over their interval so that they never come all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar
from zlib import crc32

PARALLEL_VISITS = 128

K = TypeVar("K", bound=Hashable)


def phase(name: str) -> float:
    """Where in an interval a name has its place: above 0, at most 1, always the same."""
    return (crc32(name.encode()) + 1) / 2**32


class Schedule(Generic[K]):
    """When each key is due next. Pure: time is passed in, in seconds."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, K]] = []
        self._entries: dict[K, tuple[int, float]] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: K, interval_s: float, first_at: float) -> None:
        """Make `key` due at `first_at` and every `interval_s` after it."""
        self._serial += 1
        self._entries[key] = (self._serial, interval_s)
        heappush(self._queue, (first_at, self._serial, key))

    def remove(self, key: K) -> None:
        """Forget a key; nothing happens for an unknown one."""
        if self._entries.pop(key, None) is not None and len(self._queue) > 2 * len(self) + 16:
            # Entries of keys that have left are skipped when they come up; too many are swept out.
            self._queue = [row for row in self._queue if self._live(row)]
            heapify(self._queue)

    def next_at(self) -> float | None:
        """When the next key is due; None when there are no keys."""
        while self._queue and not self._live(self._queue[0]):
            heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def due(self, now: float) -> list[K]:
        """The keys that are due, each put off by its interval; missed turns are not made up."""
        found: list[K] = []
        while self._queue and self._queue[0][0] <= now:
            row = heappop(self._queue)
            if not self._live(row):
                continue
            at, serial, key = row
            interval_s = self._entries[key][1]
            found.append(key)
            following = at + interval_s
            heappush(self._queue, (following if following > now else now + interval_s, serial, key))
        return found

    def _live(self, row: tuple[float, int, K]) -> bool:
        entry = self._entries.get(row[2])
        return entry is not None and entry[0] == row[1]


class Rounds(Generic[K]):
    """Visits keys on schedule, many at once but each only once at a time.

    `failed` hears of a visit that raised: one defect must not end the rounds of all others.
    """

    def __init__(
        self,
        visit: Callable[[K], Awaitable[None]],
        *,
        clock: Callable[[], float],
        failed: Callable[[Exception], None],
    ) -> None:
        self._visit = visit
        self._clock = clock
        self._failed = failed
        self._schedule: Schedule[K] = Schedule()
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(PARALLEL_VISITS)
        self._under_way: set[K] = set()

    def add(self, key: K, interval_s: float, *, name: str) -> None:
        """Visit `key` every `interval_s` from now on; `name` decides where in the interval."""
        self._schedule.add(key, interval_s, self._clock() + interval_s * phase(name))
        self._changed.set()

    def remove(self, key: K) -> None:
        """Visit `key` no more."""
        self._schedule.remove(key)

    async def run(self) -> None:
        """Make the rounds for ever; cancel to stop."""
        async with asyncio.TaskGroup() as group:
            while True:
                for key in self._schedule.due(self._clock()):
                    if key not in self._under_way:
                        group.create_task(self.visit(key))
                await self._pause()

    async def visit(self, key: K) -> None:
        """Visit a key out of turn, unless it is being visited."""
        if key in self._under_way:
            return
        self._under_way.add(key)
        try:
            async with self._slots:
                await self._visit(key)
        except Exception as error:  # noqa: BLE001 - one visit's defect must not end all rounds
            self._failed(error)
        finally:
            self._under_way.discard(key)

    async def _pause(self) -> None:
        self._changed.clear()
        at = self._schedule.next_at()
        try:
            async with asyncio.timeout(None if at is None else max(at - self._clock(), 0.0)):
                await self._changed.wait()
        except TimeoutError:
            return
