"""Asking engines for their load, regularly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import quote

from ..upstream import UpstreamError, fetch
from .load_answers import FORMS, RankLoad, report_of
from .schedule import Rounds
from .vetoes import is_overloaded
from .worker import Worker

POLL_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024


class LoadWatcher(Protocol):
    """Who hears of polls."""

    def polled(self, worker: Worker) -> None:
        """A worker is about to be asked."""
        ...

    def reported(self, worker: Worker) -> None:
        """A worker's figures are new."""
        ...

    def visit_failed(self, error: Exception) -> None:
        """A poll broke by a defect of the gateway's own."""
        ...


class LoadMonitor:
    """Polls each engine once per interval; all ranks of an engine share one poll.

    A worker that cannot say keeps what it said last for `STALE_INTERVALS` polls, then has no
    report, so that policies do not trust figures from long ago.
    """

    STALE_INTERVALS = 3

    def __init__(
        self,
        watcher: LoadWatcher,
        *,
        interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._watcher = watcher
        self.interval_s = interval_s
        self._rounds: Rounds[str] = Rounds(self._poll, clock=clock, failed=watcher.visit_failed)
        self._ranks: dict[str, list[Worker]] = {}
        self._misses: dict[str, int] = {}

    async def run(self) -> None:
        """Poll for ever; cancel to stop."""
        await self._rounds.run()

    def add(self, worker: Worker) -> None:
        """Poll a worker from now on."""
        ranks = self._ranks.setdefault(worker.base_url, [])
        ranks.append(worker)
        if len(ranks) == 1:
            interval_s = worker.spec.load_monitor_interval_secs or self.interval_s
            self._rounds.add(worker.base_url, interval_s, name=worker.base_url)

    def remove(self, worker: Worker) -> None:
        """Poll a worker no more."""
        ranks = self._ranks.get(worker.base_url, [])
        if worker in ranks:
            ranks.remove(worker)
        if not ranks:
            self._ranks.pop(worker.base_url, None)
            self._misses.pop(worker.base_url, None)
            self._rounds.remove(worker.base_url)

    def reschedule(self, interval_s: float) -> None:
        """Another interval from now on."""
        self.interval_s = interval_s
        for base_url, ranks in self._ranks.items():
            own = ranks[0].spec.load_monitor_interval_secs
            self._rounds.add(base_url, own or interval_s, name=base_url)

    def forget(self, worker: Worker) -> None:
        """What a worker has said holds no longer."""
        self._take(worker, None)

    async def poll_all(self) -> None:
        """Ask everybody now, one after the other: for tests and tools."""
        for base_url in list(self._ranks):
            await self._rounds.visit(base_url)

    async def _poll(self, base_url: str) -> None:
        ranks = list(self._ranks.get(base_url, ()))
        if not ranks:
            return
        for worker in ranks:
            self._watcher.polled(worker)
        loads = await ask_load(ranks[0])
        if loads is None:
            misses = self._misses[base_url] = self._misses.get(base_url, 0) + 1
            if misses < self.STALE_INTERVALS:
                return
        else:
            self._misses.pop(base_url, None)
        for worker in ranks:
            self._take(worker, loads)

    def _take(self, worker: Worker, loads: Sequence[RankLoad] | None) -> None:
        own = loads or ()
        if worker.dp_rank is not None:
            own = [load for load in own if load.dp_rank == worker.dp_rank]
        worker.engine_loads = tuple(own)
        worker.report = report_of(own) if own else None
        overloaded = is_overloaded(worker.report, worker.overload)
        if overloaded is not worker.overloaded:
            worker.overloaded = overloaded
        if own:
            self._watcher.reported(worker)


async def ask_load(worker: Worker) -> tuple[RankLoad, ...] | None:
    """What the engine says about its ranks; None when it does not say.

    The form that a worker answered last is asked for first.
    """
    known = worker.load_form
    order = [known, *(form for form in FORMS if form != known)] if known else list(FORMS)
    model = quote(worker.models[0] if worker.models else "", safe="")
    headers = bearer(worker)
    for form in order:
        target, read = FORMS[form]
        try:
            answer = await fetch(
                worker.pool,
                b"GET",
                target.format(model=model).encode(),
                headers=headers,
                timeout_s=POLL_TIMEOUT_S,
                max_body_bytes=MAX_ANSWER_BYTES,
            )
        except UpstreamError:
            return None
        worker.contacts += 1
        loads = read(answer.body) if answer.status == 200 else None
        if loads is not None:
            worker.load_form = form
            return loads
    return None


def bearer(worker: Worker) -> list[tuple[bytes, bytes]]:
    """The worker's own key as request headers."""
    if worker.api_key is None:
        return []
    return [(b"authorization", b"Bearer " + worker.api_key.encode())]
