"""One try of a request at one worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smg_policies import Decision

from ..selection import back_pressure_s
from ..upstream import UpstreamConnection, UpstreamError, UpstreamFault
from ..workers import Worker

if TYPE_CHECKING:
    from .exchange import Exchange

BAD_REQUEST = 400

DRAIN_BYTES = 64 * 1024
"""An unwanted answer up to this size is read to save its connection; a longer one costs more than
a new connection does."""


class Attempt:
    """Counts as load on its worker until it ends; tells the worker's breaker how it went."""

    __slots__ = ("_decision", "_exchange", "_resent", "connection", "deadline", "worker")

    def __init__(
        self, exchange: Exchange, worker: Worker, decision: Decision, deadline: float
    ) -> None:
        self._exchange: Exchange | None = exchange
        self._decision = decision
        self._resent = False
        self.connection: UpstreamConnection | None = None
        self.deadline = deadline
        self.worker = worker
        worker.load += 1

    def start(self) -> None:
        """Ask for a connection; the request is sent as soon as there is one."""
        exchange = self._exchange
        if exchange is not None and exchange.request.trace is not None:
            exchange.request.trace.attempt_began(self.worker.url, exchange.attempts)
        self.worker.pool.acquire(self)

    def answered(self) -> None:
        """Settle by the status, keep the connection: the answer itself is not wanted."""
        connection = self.connection
        assert connection is not None
        self._settle(verdict(connection))
        if not connection.complete:
            connection.drain(DRAIN_BYTES)

    def abandon(self, *, blame: bool) -> None:
        """Stop at once; `blame` counts as a failure of the worker."""
        if self._exchange is None:
            return
        connection, self.connection = self.connection, None
        if connection is None:
            self.worker.pool.forget(self)
        else:
            connection.abort()
        self._settle(None if blame else 0)

    # --- Receiver ------------------------------------------------------------------------

    def connected(self, connection: UpstreamConnection) -> None:
        if self._exchange is None:
            connection.release()
            return
        self.connection = connection
        connection.send(self, self._exchange.request_bytes(self.worker))

    def connect_failed(self, error: UpstreamError) -> None:
        if self._exchange is not None:
            self._fail(error)

    def head_received(self, connection: UpstreamConnection, rest: bytes) -> None:
        if self._exchange is not None:
            self._exchange.head_received(self, connection, rest)

    def completed(self) -> None:
        exchange, connection = self._exchange, self.connection
        if exchange is None or connection is None:
            return
        self._settle(verdict(connection))
        exchange.response_completed()

    def failed(self, error: UpstreamError) -> None:
        if self._exchange is None:
            return
        if error.fault is UpstreamFault.DROPPED and self._may_resend():
            # The worker may have closed an idle connection just as the request went out. Nothing
            # came back, so the same request goes out once more on a connection of its own.
            self._resent = True
            self.connection = None
            self._exchange.resending(self.worker)
            self.worker.pool.acquire(self, fresh=True)
            return
        self._fail(error)

    # --- internals -----------------------------------------------------------------------

    def _may_resend(self) -> bool:
        exchange, connection = self._exchange, self.connection
        if self._resent or exchange is None or connection is None:
            return False
        return exchange.route.retryable or connection.reused

    def _fail(self, error: UpstreamError) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._settle(None)
        exchange.attempt_failed(error)

    def _settle(self, status: int | None) -> None:
        """End the attempt: None is a transport failure, 0 says nothing about the worker."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        self.worker.load -= 1
        if exchange.request.trace is not None:
            exchange.request.trace.attempt_ended(status)
        if self._decision.ticket is not None:
            exchange.decision_settled(self._decision)
        exchange.worker_judged(self.worker, status)


def verdict(connection: UpstreamConnection) -> int:
    """The status that tells of the worker; 0 where it only asks to be left alone for a while."""
    status = connection.status
    if status < BAD_REQUEST or back_pressure_s(status, connection.headers) is None:
        return status
    return 0
