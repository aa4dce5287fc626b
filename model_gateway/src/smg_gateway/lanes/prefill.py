"""The prefill leg of a disaggregated request."""

from __future__ import annotations

from typing import Protocol

from smg_policies import Decision

from ..selection import back_pressure_s
from ..upstream import UpstreamConnection, UpstreamError, UpstreamFault
from ..upstream.fetch import BodyDecoder
from ..workers import Worker
from .attempt import DRAIN_BYTES, verdict

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Log-probabilities of a long prompt are long; a plain answer is one token."""

MAX_ERROR_BYTES = 64 * 1024


class PrefillOwner(Protocol):
    """Whoever runs the request that the leg is a part of."""

    def prefill_request(self, worker: Worker) -> list[bytes]:
        """The request as the prefill worker gets it."""
        ...

    def prefill_settled(self, leg: PrefillLeg, status: int | None) -> None:
        """The leg has ended: by status, None for a transport failure, 0 for no verdict."""
        ...

    def prefill_done(self, answer: bytes) -> None:
        """The prompt is computed; `answer` is empty unless it was wanted."""
        ...

    def prefill_refused(self, status: int, answer: bytes, pressure_s: float | None) -> None:
        """The worker answered with an error, and perhaps asks to be left alone for a while."""
        ...

    def prefill_failed(self, error: UpstreamError) -> None:
        """No clean answer came."""
        ...


class PrefillLeg:
    """Counts as load on its worker until its answer has ended; the answer goes to nobody."""

    __slots__ = (
        "_collected",
        "_decoder",
        "_owner",
        "_resent",
        "_size",
        "_wanted",
        "connection",
        "decision",
        "worker",
    )

    def __init__(
        self, owner: PrefillOwner, worker: Worker, decision: Decision, *, wanted: bool
    ) -> None:
        self._owner: PrefillOwner | None = owner
        self._wanted = wanted
        self._decoder = BodyDecoder()
        self._collected: list[bytes] = []
        self._size = 0
        self._resent = False
        self.connection: UpstreamConnection | None = None
        self.decision = decision
        self.worker = worker
        worker.load += 1

    def start(self) -> None:
        """Ask for a connection; the request is sent as soon as there is one."""
        self.worker.pool.acquire(self)

    def abandon(self, *, blame: bool) -> None:
        """Stop at once; `blame` counts as a failure of the worker."""
        if self._owner is None:
            return
        connection, self.connection = self.connection, None
        if connection is None:
            self.worker.pool.forget(self)
        else:
            connection.abort()
        self._settle(None if blame else 0)

    def dismiss(self) -> None:
        """The request has ended well: what is still to come of this leg is read and forgotten."""
        connection = self.connection
        if self._owner is None:
            return
        if connection is None or not connection.streaming:
            self.abandon(blame=False)
            return
        self._settle(verdict(connection))
        connection.drain(DRAIN_BYTES)

    # --- Receiver ------------------------------------------------------------------------

    def connected(self, connection: UpstreamConnection) -> None:
        if self._owner is None:
            connection.release()
            return
        self.connection = connection
        connection.send(self, self._owner.prefill_request(self.worker))

    def connect_failed(self, error: UpstreamError) -> None:
        self.failed(error)

    def head_received(self, connection: UpstreamConnection, rest: bytes) -> None:
        if self._owner is None:
            return
        connection.sink = self._collect
        self._keep(self._decoder.start(connection, rest))

    def completed(self) -> None:
        owner, connection = self._owner, self.connection
        if owner is None or connection is None:
            return
        self._settle(verdict(connection))
        answer = b"".join(self._collected)
        if connection.status >= 400:
            pressure_s = back_pressure_s(connection.status, connection.headers)
            owner.prefill_refused(connection.status, answer, pressure_s)
        else:
            owner.prefill_done(answer)

    def failed(self, error: UpstreamError) -> None:
        owner = self._owner
        if owner is None:
            return
        if error.fault is UpstreamFault.DROPPED and not self._resent:
            # An idle connection may have been closed just as the request went out.
            self._resent = True
            self.connection = None
            self.worker.pool.acquire(self, fresh=True)
            return
        self._settle(None)
        owner.prefill_failed(error)

    # --- internals -----------------------------------------------------------------------

    def _collect(self, raw: bytes) -> None:
        self._keep(self._decoder.feed(raw))

    def _keep(self, body: bytes) -> None:
        connection = self.connection
        if connection is None:
            return
        is_error = connection.status >= 400
        if not is_error and not self._wanted:
            return
        self._size += len(body)
        if not is_error and self._size > MAX_ANSWER_BYTES:
            owner = self._owner
            self.abandon(blame=False)
            if owner is not None:
                owner.prefill_failed(
                    UpstreamError(UpstreamFault.TOO_LARGE, "the prefill answer is too large")
                )
        elif not is_error or self._size <= MAX_ERROR_BYTES:
            self._collected.append(body)

    def _settle(self, status: int | None) -> None:
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self.worker.load -= 1
        owner.prefill_settled(self, status)
