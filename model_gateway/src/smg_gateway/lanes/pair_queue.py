"""Requests that wait until a worker of one leg has room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ErrorRecord

if TYPE_CHECKING:
    from .pair import PairExchange


@dataclass(frozen=True, slots=True, kw_only=True)
class PairQueueLimits:
    """Times in seconds; `prefill_queue` 0 lets nobody wait for a prefill worker."""

    prefill_queue: int = 100
    prefill_wait_s: float = 60.0
    decode_wait_s: float = 30.0


class Refusals(NamedTuple):
    """What requests are told that may not wait, or have waited for too long."""

    full: ErrorRecord
    timeout: ErrorRecord
    shed: ErrorRecord


class _Waiter(NamedTuple):
    exchange: PairExchange
    leg: str
    since: float


class PairQueue:
    """First come, first served; whoever finds no room when it is its turn keeps its place."""

    def __init__(
        self,
        limits: PairQueueLimits,
        refusals: Refusals,
        *,
        clock: Callable[[], float],
        on_wait: Callable[[str, float], None],
        on_refused: Callable[[str, str], None],
    ) -> None:
        self._limits = limits
        self._refusals = refusals
        self._clock = clock
        self._on_wait = on_wait
        self._on_refused = on_refused
        self._waiting: deque[_Waiter] = deque()
        self._pumping = False
        self._turn: _Waiter | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self, leg: str) -> int:
        """How many wait for that leg."""
        return sum(1 for waiter in self._waiting if waiter.leg == leg)

    def enter(
        self, exchange: PairExchange, leg: str, since: float, *, first: bool
    ) -> ErrorRecord | None:
        """Wait for room on a leg; the refusal when it may not. `since` is its first arrival."""
        limits = self._limits
        if leg == "prefill":
            if first and self.waiting("prefill") >= limits.prefill_queue:
                self._on_refused(leg, "queue_full")
                return self._refusals.full
        elif limits.decode_wait_s <= 0:
            self._on_refused(leg, "shed")
            return self._refusals.shed
        waiter = _Waiter(exchange, leg, since)
        if self._turn is not None and self._turn.exchange is exchange:
            self._turn = waiter
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        return None

    def leave(self, exchange: PairExchange) -> None:
        """The request is over without having had its turn."""
        if any(waiter.exchange is exchange for waiter in self._waiting):
            self._waiting = deque(w for w in self._waiting if w.exchange is not exchange)

    def pump(self) -> None:
        """Something has ended: let those try that are at the front, until one finds no room."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._waiting:
                waiter = self._turn = self._waiting.popleft()
                waiter.exchange.admit()
                if self._turn is not waiter:
                    return
                self._on_wait(waiter.leg, self._clock() - waiter.since)
        finally:
            self._turn = None
            self._pumping = False

    def expire(self, now: float) -> None:
        """Refuse whoever has waited for too long."""
        limits = self._limits
        late = [
            waiter
            for waiter in self._waiting
            if now - waiter.since
            >= (limits.prefill_wait_s if waiter.leg == "prefill" else limits.decode_wait_s)
        ]
        for waiter in late:
            self.leave(waiter.exchange)
            prefill = waiter.leg == "prefill"
            self._on_refused(waiter.leg, "queue_timeout" if prefill else "shed")
            waiter.exchange.refuse(self._refusals.timeout if prefill else self._refusals.shed)
