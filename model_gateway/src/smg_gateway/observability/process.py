"""How the process itself is doing: its event loop, its memory, its oldest requests."""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from .metrics import Exposition

LOOP_DELAY_BUCKETS_S = (0.0, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
STALL_S = 0.005
"""A turn of the loop that comes later than this is a stall."""

AGE_BOUNDS_S = (30, 60, 180, 300, 600, 1200, 3600, 7200, 14400, 28800, 86400)

_STATM = Path("/proc/self/statm")


class ProcessMetrics:
    """Gauges that are read at each scrape, and the lateness of the loop, told from outside.

    `ages_s` gives the ages of the requests that are being handled.
    """

    def __init__(self, exposition: Exposition, ages_s: Callable[[], Iterable[float]]) -> None:
        gauge = exposition.gauge
        self._ages_s = ages_s
        self._ages = gauge(
            "smg_http_inflight_request_age_count",
            "Requests being handled, by their age in seconds.",
            ("gt", "le"),
        )
        self._workers = gauge("smg_tokio_workers", "Threads that run the event loop.").of()
        self._tasks = gauge("smg_tokio_alive_tasks", "Tasks of the event loop.").of()
        self._delay = exposition.histogram(
            "smg_tokio_event_loop_delay_seconds",
            "How late a timer of the event loop was.",
            (),
            LOOP_DELAY_BUCKETS_S,
        ).of()
        self._stalls = exposition.counter(
            "smg_tokio_event_loop_stalls_total", "Timers that were more than 5 ms late."
        ).of()
        self._resident = gauge(
            "smg_allocator_resident_bytes", "Memory of the process that is in RAM."
        )
        exposition.on_scrape(self.refresh)

    def loop_was_late(self, delay_s: float) -> None:
        """A timer came so late."""
        self._delay.observe(max(delay_s, 0.0))
        if delay_s > STALL_S:
            self._stalls.value += 1

    def refresh(self) -> None:
        """Read everything that is read at scrapes."""
        counts = [0] * (len(AGE_BOUNDS_S) + 1)
        for age_s in self._ages_s():
            counts[bisect_left(AGE_BOUNDS_S, age_s)] += 1
        bounds = ["0", *map(str, AGE_BOUNDS_S), "+Inf"]
        for count, above, upto in zip(counts, bounds[:-1], bounds[1:], strict=True):
            self._ages.of(above, upto).set(count)
        self._workers.set(1)
        with suppress(RuntimeError):  # Outside of the loop its tasks cannot be seen.
            self._tasks.set(len(asyncio.all_tasks()))
        resident_bytes = _resident_bytes()
        if resident_bytes is not None:
            self._resident.of().set(resident_bytes)


def _resident_bytes() -> int | None:
    """Linux tells; elsewhere the series does not appear."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
