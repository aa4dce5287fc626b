"""Where requests take their permits: at once, after a wait, or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

from ..errors import INTERNAL_ERROR, ErrorRecord
from ..observability.admission import AdmissionMetrics
from ..observability.logs import get_logger
from .limits import Limiter, Limits

LEAST_DERIVED_BOUND = 4096
DERIVED_PER_CORE = 1024
RETRY_AFTER_S = 2

QUEUE_FULL = ErrorRecord(
    status=429,
    code="admission_queue_full",
    message="admission queue is at capacity",
    retry_after_s=RETRY_AFTER_S,
)
NO_QUEUE = ErrorRecord(
    status=429,
    code="admission_queue_full",
    message="concurrency limit reached and queuing is disabled",
    retry_after_s=RETRY_AFTER_S,
)
QUEUE_TIMEOUT = ErrorRecord(
    status=503,
    code="admission_queue_timeout",
    message="timed out waiting for an admission slot",
    retry_after_s=RETRY_AFTER_S,
)


def concurrency_bound(asked: int, cores: int | None = None) -> int:
    """What `--max-concurrent-requests` means: negative derives the bound from the cores."""
    if asked >= 0:
        return asked
    found = cores or os.cpu_count() or 1
    return max(LEAST_DERIVED_BOUND, DERIVED_PER_CORE * found)


class Work(Protocol):
    """What an admitted request turns into; the server tells it about the client."""

    def client_left(self) -> None:
        """The client has disconnected."""
        ...

    def pause(self) -> None:
        """The client cannot take more for now."""
        ...

    def resume(self) -> None:
        """The client takes data again."""
        ...


class Waiter:
    """A request in the queue; once admitted, the work that it turned into."""

    __slots__ = ("_gate", "_gone", "_left", "_paused", "_refuse", "_start", "_work")

    def __init__(
        self,
        gate: Gate,
        start: Callable[[], Work | None],
        refuse: Callable[[ErrorRecord], None],
        left: Callable[[], None],
    ) -> None:
        self._gate = gate
        self._start = start
        self._refuse = refuse
        self._left = left
        self._work: Work | None = None
        self._gone = False
        self._paused = False

    def go_on(self) -> None:
        """The permit is there: begin, unless the client has left since it was given."""
        if self._gone:
            self._gate.release()
            return
        self._work = self._start()
        if self._work is not None and self._paused:
            self._work.pause()

    def refuse(self, error: ErrorRecord) -> None:
        """There will be no permit."""
        if not self._gone:
            self._refuse(error)

    def client_left(self) -> None:
        """Leave the queue, or tell the work."""
        if self._work is not None:
            self._work.client_left()
        elif not self._gone:
            self._gone = True
            self._gate.forget(self)
            self._left()

    def pause(self) -> None:
        """The client cannot take more for now."""
        self._paused = True
        if self._work is not None:
            self._work.pause()

    def resume(self) -> None:
        """The client takes data again."""
        self._paused = False
        if self._work is not None:
            self._work.resume()


class Gate:
    """Admits requests within the limits; whoever is admitted calls `release` exactly once."""

    def __init__(
        self, limits: Limits, clock: Callable[[], float], metrics: AdmissionMetrics
    ) -> None:
        self._clock = clock
        self._limiter: Limiter[Waiter] = Limiter(limits, clock())
        self._metrics = metrics
        self._allowed = metrics.allowed
        self._timer: asyncio.TimerHandle | None = None
        self._log = get_logger("smg_gateway.admission")
        metrics.watch(lambda: (self._limiter.inflight, len(self._limiter)))

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._limiter)

    @property
    def inflight(self) -> int:
        """Permits held."""
        return self._limiter.inflight

    def take(self) -> bool:
        """A permit at once; when there is none, `wait` may still get one."""
        if self._limiter.take(self._clock()):
            self._allowed.value += 1
            return True
        return False

    def wait(
        self,
        start: Callable[[], Work | None],
        refuse: Callable[[ErrorRecord], None],
        left: Callable[[], None],
    ) -> Waiter | None:
        """Queue a request; None when it has been refused at once.

        One of the callbacks is called: `start` with a permit, which is its own to release even if
        it fails, `refuse` without one, or `left` when the client goes while it is queued.
        """
        waiter = Waiter(self, start, refuse, left)
        if self._limiter.enqueue(waiter, self._clock()):
            self._arm()
            return waiter
        self._metrics.rejected("full")
        refuse(QUEUE_FULL if self._limiter.limits.queue_size else NO_QUEUE)
        return None

    def release(self) -> None:
        """Give a permit back."""
        self._limiter.release()
        if len(self._limiter):
            self._admit()

    def forget(self, waiter: Waiter) -> None:
        """A queued request's client has left."""
        if self._limiter.remove(waiter):
            self._arm()

    def reconfigure(self, limits: Limits) -> None:
        """Other limits from now on."""
        self._limiter.reconfigure(limits, self._clock())
        self._admit()

    def look(self) -> None:
        """Refuse who has waited too long, admit whose turn it is; a timer calls this when due."""
        for waiter in list(self._limiter.expired(self._clock())):
            self._metrics.rejected("timeout")
            waiter.refuse(QUEUE_TIMEOUT)
        self._admit()

    def close(self) -> None:
        """Stop watching the queue."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def turn(self) -> ErrorRecord | None:
        """Wait for a permit; the reason why there is none, if there is none.

        Being cancelled leaves the queue, or gives the permit back.
        """
        turn: asyncio.Future[ErrorRecord | None] = asyncio.get_running_loop().create_future()

        def start() -> None:
            # Cancelling reaches the future at once, and this method only later.
            if turn.cancelled():
                self.release()
            else:
                turn.set_result(None)

        def refuse(error: ErrorRecord) -> None:
            if not turn.cancelled():
                turn.set_result(error)

        waiter = self.wait(start, refuse, lambda: None)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result() is None:
                self.release()
            elif waiter is not None:
                waiter.client_left()
            raise

    # --- internals -----------------------------------------------------------------------

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        for waiter in self._limiter.ready(self._clock()):
            self._allowed.value += 1
            # Not at once: this may be called from deep inside the request that has just ended.
            loop.call_soon(self._begin, waiter)
        self._arm()

    def _begin(self, waiter: Waiter) -> None:
        try:
            waiter.go_on()
        except Exception as error:  # noqa: BLE001 - one request's defect must not starve the queue
            self._log.error("admitted request failed", exc_info=error)
            waiter.refuse(INTERNAL_ERROR)

    def _arm(self) -> None:
        self.close()
        now = self._clock()
        wake_at = self._limiter.wake_at(now)
        if wake_at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, wake_at - now), self.look)
