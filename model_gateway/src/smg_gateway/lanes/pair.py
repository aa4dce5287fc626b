"""One request on two workers: the prompt is computed on one, the answer comes from the other."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from smg_policies import Decision

from ..dialects import RelayRoute, RequestView
from ..errors import ErrorRecord
from ..selection import RETRYABLE_STATUSES, Pair, PairBusy, PairRefused, Selection
from ..upstream import UpstreamConnection, UpstreamError, UpstreamFault
from ..workers import Worker
from .attempt import Attempt
from .exchange import Exchange, Stage
from .headers import upstream_message
from .pairing import (
    Handoff,
    LogprobStream,
    batch_size,
    bootstrap_members,
    merge_logprobs,
    with_members,
)
from .prefill import PrefillLeg

if TYPE_CHECKING:
    from smg_policies import RoutingRequest

    from .client import Client
    from .pair_plane import PairPlane
    from .relay import RelayLane
    from .request import InboundRequest

SEQUENTIAL_RUNTIME = "vllm"

_CODES = {
    400: "bad_request",
    404: "not_found",
    500: "internal_error",
    502: "bad_gateway",
    503: "unavailable",
}


class Handover(enum.Enum):
    """How the decode worker gets the prompt's KV cache."""

    AT_ONCE = enum.auto()
    """Both legs run at the same time and meet."""
    IN_TURN = enum.auto()
    """The prefill leg ends first; its answer says where the cache is."""
    NONE = enum.auto()
    """The decode worker computes the prompt itself."""


class PairExchange(Exchange):
    """Tries pairs of workers until one answers, then lets the decode worker's bytes pass.

    A failure of either leg before the answer's first byte ends the other leg and is tried again
    with another pair. Once the answer has begun, the prefill leg's fate no longer matters.
    """

    backend = "pd"

    __slots__ = (
        "_choices",
        "_decode",
        "_decode_started",
        "_handoff",
        "_leg",
        "_leg_answer",
        "_leg_body",
        "_leg_deadline",
        "_leg_started",
        "_logprobs",
        "_members",
        "_plane",
        "_waiting_since",
        "_wants_logprobs",
    )

    def __init__(
        self,
        lane: RelayLane,
        plane: PairPlane,
        request: InboundRequest,
        client: Client,
        route: RelayRoute,
        intake: RequestView,
        routing: RoutingRequest,
        model_label: str,
        body: bytes,
    ) -> None:
        super().__init__(lane, request, client, route, intake, routing, model_label, body)
        self._plane = plane
        self._decode_started = 0.0
        self._leg: PrefillLeg | None = None
        self._leg_answer: bytes | None = None
        self._leg_body = b""
        self._leg_deadline = 0.0
        self._leg_started = 0.0
        self._decode: Selection | None = None
        self._handoff: Handoff | None = None
        self._members: dict[str, object] = {}
        self._logprobs: LogprobStream | None = None
        self._waiting_since: float | None = None
        self._choices: int = getattr(intake, "choices", 1)
        self._wants_logprobs = getattr(intake.request, "return_logprob", None) is True

    # --- attempts ------------------------------------------------------------------------

    def _next_attempt(self) -> None:
        self._timer = None
        prefills, decodes = self._plane.candidates(self.routing.model)
        try:
            pair = self._plane.selector.select(self.routing, prefills, decodes, self._tried)
        except PairBusy as busy:
            self._wait(busy.leg)
            return
        except PairRefused as refused:
            self._attempt_number += 1
            self._refuse_or_retry(self._plane.refusal(self.routing.model, refused.leg))
            return
        self._waiting_since = None
        self._attempt_number += 1
        self._start(pair)

    def _start(self, pair: Pair) -> None:
        lane = self._lane
        prefill, self._decode = pair.prefill.worker, pair.decode
        self._tried.append(prefill)
        handover = self._handover(prefill)
        lane.selected(self, pair.prefill, "prefill")
        lane.selected(self, pair.decode, "decode")
        self._leg_answer = None
        self._members = {}
        self._handoff = None
        if handover is Handover.NONE:
            self._plane.selector.prefill.settle(self.routing.model, pair.prefill.decision)
            self._start_decode()
            return
        if handover is Handover.AT_ONCE:
            batch = batch_size(self.intake.request, self._choices)
            self._members = bootstrap_members(prefill, batch, lane.rng)
            self._leg_body = with_members(self._body, self._members)
        else:
            self._handoff = Handoff(prefill, self._plane.new_transfer_id)
            self._plane.telemetry.connector_used(self._handoff.mode)
            self._leg_body = self._handoff.prefill_body(self._body, self.route.path)
        wanted = handover is Handover.IN_TURN or self._wants_logprobs
        self._leg_started = lane.clock()
        self._leg_deadline = self._leg_started + lane.timeout_of(prefill)
        leg = self._leg = PrefillLeg(self, prefill, pair.prefill.decision, wanted=wanted)
        lane.telemetry.sent(prefill, self.model_label)
        leg.start()
        if handover is Handover.AT_ONCE and self._leg is leg:
            self._start_decode()

    def _start_decode(self) -> None:
        assert self._decode is not None
        lane, worker = self._lane, self._decode.worker
        self._tried.append(worker)
        lane.telemetry.sent(worker, self.model_label)
        now = self._decode_started = lane.clock()
        deadline = now + lane.timeout_of(worker)
        self._attempt = Attempt(self, worker, self._decode.decision, deadline)
        self._attempt.start()

    def _handover(self, prefill: Worker) -> Handover:
        if prefill.runtime != SEQUENTIAL_RUNTIME:
            return Handover.AT_ONCE
        # A cache can be fetched once; several answers would have to share it.
        several = self._choices > 1
        return Handover.NONE if several else Handover.IN_TURN

    def _wait(self, leg: str) -> None:
        """All workers of a leg are at their limits: try again when a request has ended."""
        lane = self._lane
        first = self._waiting_since is None
        since = self._waiting_since if self._waiting_since is not None else lane.clock()
        self._waiting_since = since
        refusal = self._plane.queue.enter(self, leg, since, first=first)
        if refusal is not None:
            self._waiting_since = None
            self.refuse(refusal)

    def admit(self) -> None:
        """The queue says that there may be room."""
        self._next_attempt()

    # --- what the decode attempt asks and tells ------------------------------------------

    def request_bytes(self, worker: Worker) -> list[bytes]:
        body = with_members(self._body, self._members) if self._members else self._body
        return self._request_to(worker, body)

    def decision_settled(self, decision: Decision) -> None:
        self._plane.selector.decode.settle(self.routing.model, decision)

    def head_received(self, attempt: Attempt, connection: UpstreamConnection, rest: bytes) -> None:
        if connection.status >= 400:
            self._drop_leg(blame=False)
        elif self._leg_started:
            now = self._lane.clock()
            self._plane.telemetry.first_byte(
                self.model_label,
                attempt.worker.runtime,
                now - self._leg_started,
                self._handoff is not None,
                now - self._decode_started,
            )
        super().head_received(attempt, connection, rest)

    def attempt_failed(self, error: UpstreamError) -> None:
        self._plane.telemetry.leg_failed("decode", self._phase())
        self._drop_leg(blame=False)
        super().attempt_failed(error)

    def client_left(self) -> None:
        self._plane.queue.leave(self)
        self._drop_leg(blame=False)
        super().client_left()

    def crash(self) -> None:
        self._plane.queue.leave(self)
        self._drop_leg(blame=False)
        super().crash()

    # --- what the prefill leg asks and tells ---------------------------------------------

    def prefill_request(self, worker: Worker) -> list[bytes]:
        return self._request_to(worker, self._leg_body)

    def prefill_settled(self, leg: PrefillLeg, status: int | None) -> None:
        lane = self._lane
        self._plane.selector.prefill.settle(self.routing.model, leg.decision)
        lane.judge_status(leg.worker, status)
        self._plane.queue.pump()

    def prefill_done(self, answer: bytes) -> None:
        leg, self._leg = self._leg, None
        assert leg is not None
        took_s = self._lane.clock() - self._leg_started
        self._plane.telemetry.prefilled(self.model_label, leg.worker.runtime, took_s)
        self._leg_answer = answer
        if self._handoff is not None:
            self._members = self._handoff.decode_members(answer)
            if not self._members:
                self._plane.telemetry.transfer_failed()
            began = self._lane.clock()
            self._start_decode()
            label, runtime = self.model_label, leg.worker.runtime
            self._plane.telemetry.handed_over(label, runtime, self._decode_started - began)

    def prefill_refused(self, status: int, answer: bytes, pressure_s: float | None) -> None:
        self._leg = None
        self._lane.telemetry.upstream_responded(status)
        if self.stage in (Stage.RELAYING, Stage.DONE):
            return
        self._drop_decode()
        self._reset()
        delay_s = self._retry_delay_s(pressure_s) if self._retries(status) else None
        if delay_s is not None:
            self._schedule_retry(delay_s)
            return
        text = answer.decode("utf-8", "replace")
        reason = _REASONS.get(status, "")
        message = f"Prefill server error ({status}{reason}): {text}"
        self.refuse(_leg_error("prefill", status, message))

    def prefill_failed(self, error: UpstreamError) -> None:
        self._leg = None
        lane = self._lane
        lane.telemetry.worker_failed(
            "timeout" if error.fault is UpstreamFault.TIMEOUT else "backend_error"
        )
        lane.note_failure(self, error)
        self._plane.telemetry.leg_failed("prefill", self._phase())
        if self.stage in (Stage.RELAYING, Stage.DONE):
            return
        self._drop_decode()
        self._reset()
        if self.route.retryable and lane.retry.retries_failure(self._attempt_number):
            self._schedule_retry()
            return
        timed_out = error.fault is UpstreamFault.TIMEOUT
        self.refuse(
            ErrorRecord(
                status=504 if timed_out else 502,
                code="prefill_request_failed",
                message=f"Prefill transport error: {error.detail}",
            )
        )

    # --- what the lane's clock tells -----------------------------------------------------

    def tick(self, now: float) -> None:
        leg = self._leg
        if leg is not None and now >= self._leg_deadline and self.stage is Stage.WAITING:
            leg.abandon(blame=True)
            late = f"no prefill within {self._lane.timeout_s:g} s"
            self.prefill_failed(UpstreamError(UpstreamFault.TIMEOUT, late))
            return
        super().tick(now)

    # --- the response --------------------------------------------------------------------

    def _others_left(self) -> bool:
        _, decodes = self._plane.candidates(self.routing.model)
        return self._plane.selector.decode.untried_left(decodes, self._tried)

    def _retries(self, status: int) -> bool:
        if not self.route.retryable:
            return False
        return (status == 500 or status in RETRYABLE_STATUSES) and self._lane.retry.retries_failure(
            self._attempt_number
        )

    def _reshapes(self, status: int) -> bool:
        # Errors get a code of their own; log-probabilities of the prompt are merged in.
        return status >= 400 or (self._wants_logprobs and not self.intake.stream)

    def _reshaped(self, body: bytes) -> bytes:
        return merge_logprobs(self._leg_answer or b"", body)

    def _error_of(self, status: int, body: bytes) -> ErrorRecord | None:
        return _leg_error("decode", status, upstream_message(body))

    def _rewrites_stream(self) -> bool:
        return self._wants_logprobs and self.intake.stream

    def _passed(self, body: bytes) -> bytes:
        if not self._wants_logprobs:
            return body
        if self._logprobs is None:
            if self._leg_answer is None:
                return body
            self._logprobs = LogprobStream(self._leg_answer)
        return self._logprobs.feed(body)

    def _left_over(self) -> bytes:
        return b"" if self._logprobs is None else self._logprobs.finish()

    def _finish(self, status: int, error_code: str) -> None:
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.dismiss()
        super()._finish(status, error_code)
        self._plane.queue.pump()

    # --- internals -----------------------------------------------------------------------

    def _phase(self) -> str:
        """How far the legs are: before or after the answer's first byte."""
        return "transfer" if self.stage is Stage.RELAYING else "bootstrap"

    def _drop_leg(self, *, blame: bool) -> None:
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.abandon(blame=blame)

    def _drop_decode(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.abandon(blame=False)


_REASONS = {400: " Bad Request", 404: " Not Found", 500: " Internal Server Error",
            502: " Bad Gateway", 503: " Service Unavailable"}  # fmt: skip


def _leg_error(leg: str, status: int, message: str) -> ErrorRecord:
    known = _CODES.get(status)
    code = f"{leg}_{known}" if known else f"{leg}_error"
    return ErrorRecord(status=status, code=code, message=message)
