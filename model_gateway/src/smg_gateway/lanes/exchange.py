"""One request on the relay lane, from its arrival to the last byte of its response."""

from __future__ import annotations

import enum
from asyncio import TimerHandle
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smg_policies import Decision, RoutingRequest

from ..dialects import RelayRoute, RequestView
from ..errors import (
    INTERNAL_ERROR,
    OVERLOAD_SHED_CODE,
    Envelope,
    ErrorRecord,
    anthropic_body,
    render,
    stream_error_frame,
)
from ..observability.recording import Recording
from ..selection import RETRYABLE_STATUSES, back_pressure_s
from ..upstream import (
    Framing,
    UpstreamConnection,
    UpstreamError,
    UpstreamFault,
    ends_event,
)
from ..upstream.fetch import BodyDecoder
from ..workers import Worker
from .attempt import Attempt
from .client import Client
from .headers import request_block, response_headers, upstream_message
from .ranks import RANK_HEADER, ranked_body, without_rank
from .request import InboundRequest

if TYPE_CHECKING:
    from .relay import RelayLane

MAX_COLLECTED_BYTES = 64 * 1024 * 1024
"""Bound of a response that must be held whole to be reshaped."""

CLIENT_CLOSED_REQUEST = 499

_FAULT_CODES: dict[UpstreamFault, tuple[int, str]] = {
    UpstreamFault.CONNECT: (500, "call_upstream_connection_failed"),
    UpstreamFault.DROPPED: (500, "call_upstream_request_error"),
    UpstreamFault.PROTOCOL: (500, "call_upstream_request_error"),
    UpstreamFault.BROKEN: (500, "call_upstream_body_error"),
    UpstreamFault.TIMEOUT: (504, "call_upstream_timeout"),
    UpstreamFault.TOO_LARGE: (502, "upstream_response_too_large"),
}


class Stage(enum.Enum):
    """How far a response is."""

    WAITING = enum.auto()
    """No answer that is wanted yet."""
    HOLDING = enum.auto()
    """A head has come, its first body byte has not: a retry is still possible."""
    COLLECTING = enum.auto()
    """The body is read whole to be reshaped: a retry is still possible."""
    RELAYING = enum.auto()
    """The head has gone out: the status is spent."""
    DONE = enum.auto()


class Exchange:
    """Tries workers until one answers, then lets bytes pass."""

    backend = "regular"
    """The kind of backend, as metrics call it."""

    __slots__ = (
        "_attempt",
        "_attempt_number",
        "_block",
        "_body",
        "_client",
        "_collected",
        "_collected_bytes",
        "_decoder",
        "_event_stream",
        "_held_since",
        "_lane",
        "_reads_seen",
        "_silent_since",
        "_status",
        "_stream",
        "_timer",
        "_tried",
        "intake",
        "model_label",
        "recording",
        "request",
        "route",
        "routing",
        "stage",
    )

    def __init__(
        self,
        lane: RelayLane,
        request: InboundRequest,
        client: Client,
        route: RelayRoute,
        intake: RequestView,
        routing: RoutingRequest,
        model_label: str,
        body: bytes,
    ) -> None:
        self._lane = lane
        self._client = client
        self._body = body
        self._block = b""
        self._attempt: Attempt | None = None
        self._attempt_number = 0
        self._tried: list[Worker] = []
        self._timer: TimerHandle | None = None
        self._decoder: BodyDecoder | None = None
        self._collected: list[bytes] = []
        self._collected_bytes = 0
        self._stream: UpstreamConnection | None = None
        self._status = 0
        self._event_stream = False
        self._held_since = 0.0
        self._reads_seen = 0
        self._silent_since = 0.0
        self.request = request
        self.route = route
        self.intake = intake
        self.routing = routing
        self.model_label = model_label
        self.stage = Stage.WAITING
        self.recording: Recording | None = None

    def start(self) -> None:
        """Begin the first attempt."""
        self._lane.active.add(self)
        self._next_attempt()

    @property
    def worker(self) -> Worker | None:
        """The worker of the latest attempt."""
        return self._tried[-1] if self._tried else None

    @property
    def attempts(self) -> int:
        """Attempts so far."""
        return self._attempt_number

    # --- what attempts ask and tell ------------------------------------------------------

    def request_bytes(self, worker: Worker) -> list[bytes]:
        """The request as this worker gets it."""
        return self._request_to(worker, self._body)

    def _request_to(self, worker: Worker, body: bytes) -> list[bytes]:
        if not self._block:
            self._block = request_block(self.request.headers)
        block, rank = self._block, worker.dp_rank
        if rank is not None:
            if RANK_HEADER in self.request.fields:
                block = request_block(without_rank(self.request.headers))
            block += b"%b: %d\r\n" % (RANK_HEADER, rank)
            body = ranked_body(body, rank)
        origin = worker.pool.origin
        target = self.route.upstream_path
        if self.request.query:
            target += b"?" + self.request.query
        head = b"POST %b%b HTTP/1.1\r\nhost: %b\r\n%b" % (
            origin.prefix,
            target,
            origin.host_header,
            block,
        )
        if worker.api_key is not None and b"authorization" not in self.request.fields:
            head += b"authorization: Bearer %b\r\n" % worker.api_key.encode()
        if self.request.trace is not None:
            head += self.request.trace.header_line()
        head += b"content-length: %d\r\n\r\n" % len(body)
        return [head, body]

    def resending(self, worker: Worker) -> None:
        """The attempt sends once more after a dropped connection."""
        if self.request.trace is not None:
            self.request.trace.resent()
        self._lane.telemetry.send_retries.inc()
        self._lane.telemetry.sent(worker, self.model_label)

    def decision_settled(self, decision: Decision) -> None:
        """The attempt that a decision led to has ended."""
        self._lane.selector.settle(self.routing.model, decision)

    def worker_judged(self, worker: Worker, status: int | None) -> None:
        """An attempt has ended; see `RelayLane.judge_status`."""
        self._lane.judge_status(worker, status)

    def head_received(self, attempt: Attempt, connection: UpstreamConnection, rest: bytes) -> None:
        """A worker's status and headers are there."""
        status = connection.status
        self._lane.telemetry.upstream_responded(status)
        if status >= 400 and self._retries(status):
            delay_s = self._retry_delay_s(back_pressure_s(status, connection.headers))
            if delay_s is not None:
                self._attempt = None
                attempt.answered()
                self._schedule_retry(delay_s)
                return
        if status in RETRYABLE_STATUSES and 1 < self._attempt_number:
            self._lane.telemetry.retries_exhausted(self.route.endpoint)
        if self._reshapes(status):
            self.stage = Stage.COLLECTING
            self._decoder = BodyDecoder()
            connection.sink = self._collect
            self._keep(self._decoder.start(connection, rest))
        elif rest or connection.complete:
            self._commit(connection, rest)
        else:
            self.stage = Stage.HOLDING
            self._held_since = self._lane.clock()
            connection.sink = self._first_bytes

    def response_completed(self) -> None:
        """The worker's response has ended cleanly."""
        attempt, self._attempt = self._attempt, None
        assert attempt is not None and attempt.connection is not None
        connection = attempt.connection
        if self.stage is Stage.COLLECTING:
            self._respond_collected(connection)
            return
        if self.stage is Stage.HOLDING:
            self._commit(connection, b"")
        rest = self._left_over()
        if rest:
            self._client.write(rest)
        self._finish(connection.status, "")
        self._client.end()

    def attempt_failed(self, error: UpstreamError) -> None:
        """No clean response came from this attempt."""
        self._attempt = None
        self._lane.telemetry.worker_failed(
            "timeout" if error.fault is UpstreamFault.TIMEOUT else "backend_error"
        )
        self._lane.note_failure(self, error)
        if self.stage is Stage.RELAYING:
            self._break_off(error)
            return
        self._reset()
        if self.route.retryable and self._lane.retry.retries_failure(self._attempt_number):
            self._schedule_retry()
            return
        self._fail(error)

    # --- what the server tells (Job) -----------------------------------------------------

    def client_left(self) -> None:
        """Close the upstream side at once; nobody is there to read."""
        if self.stage is Stage.DONE:
            return
        if self._timer is not None:
            self._timer.cancel()
        attempt, self._attempt = self._attempt, None
        self._finish(CLIENT_CLOSED_REQUEST, "client_closed_request")
        if attempt is not None:
            attempt.abandon(blame=False)

    def pause(self) -> None:
        """The client is slow: stop reading from the worker."""
        if self._attempt is not None and self._attempt.connection is not None:
            self._attempt.connection.pause_reading()

    def resume(self) -> None:
        """The client takes data again."""
        if self._attempt is not None and self._attempt.connection is not None:
            self._attempt.connection.resume_reading()

    # --- what the lane's clock tells -----------------------------------------------------

    def tick(self, now: float) -> None:
        """Look at deadlines and silence; called a few times per second."""
        attempt = self._attempt
        if attempt is None:
            return
        if now >= attempt.deadline:
            attempt.abandon(blame=True)
            self.attempt_failed(
                UpstreamError(
                    UpstreamFault.TIMEOUT,
                    f"no complete answer within {self._lane.timeout_of(attempt.worker):g} s",
                )
            )
            return
        connection = attempt.connection
        if connection is None:
            return
        if self.stage is Stage.HOLDING and now - self._held_since >= self._lane.hold_s:
            self._commit(connection, b"")
        if self.stage is Stage.RELAYING and self._event_stream and self._lane.keepalive_s:
            self._keep_alive(connection, now)

    def refuse(self, error: ErrorRecord) -> None:
        """Answer with an error of the gateway's own."""
        headers, body = render(error, self.route.envelope, self.request.id)
        headers.append((b"x-request-id", self.request.id.encode()))
        if not self._tried:
            self._lane.telemetry.upstream_responded(error.status, error.code or "")
        self._finish(error.status, error.code or "")
        self._client.respond(error.status, headers, body)

    def crash(self) -> None:
        """A defect of the gateway's own stops this exchange; the client must not wait for ever."""
        if self.stage is Stage.DONE:
            return
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.abandon(blame=False)
        if self.stage is Stage.RELAYING:
            self._finish(self._status, "stream_error")
            self._client.break_off(b"")
        else:
            self.refuse(INTERNAL_ERROR)

    # --- attempts ------------------------------------------------------------------------

    def _refuse_or_retry(self, refusal: ErrorRecord) -> None:
        """Nobody can have the request now."""
        lane = self._lane
        sheds = refusal.code == OVERLOAD_SHED_CODE
        if sheds:
            lane.telemetry.load_shed("dispatch" if self._tried else "selection")
        # Where workers come and go, one may be back before the attempts are used up.
        if not sheds and self._tried and lane.retry.retries_failure(self._attempt_number):
            self._schedule_retry()
        else:
            self.refuse(refusal)

    def _next_attempt(self) -> None:
        self._timer = None
        lane = self._lane
        model = self.routing.model
        workers = lane.serving(model)
        selection = lane.selector.select(self.routing, workers, self._tried)
        self._attempt_number += 1
        if selection is None:
            self._refuse_or_retry(lane.selector.refusal(model, workers))
            return
        decision, worker = selection.decision, selection.worker
        self._tried.append(worker)
        lane.selected(self, selection)
        lane.telemetry.sent(worker, self.model_label)
        self._attempt = Attempt(self, worker, decision, lane.clock() + lane.timeout_of(worker))
        self._attempt.start()

    def _retries(self, status: int) -> bool:
        if not self.route.retryable:
            return False
        lane = self._lane
        untried_left = status == 500 and self._others_left()
        return lane.retry.retries_status(status, self._attempt_number, untried_left=untried_left)

    def _retry_delay_s(self, pressure_s: float | None) -> float | None:
        """The pause before the next attempt; None when there is no time left for it.

        A worker that asks to be left alone for `pressure_s` is, unless another one is there to be
        asked meanwhile.
        """
        lane = self._lane
        backoff_s = lane.retry.backoff_s(self._attempt_number, lane.rng)
        if pressure_s is None or self._others_left():
            return backoff_s
        delay_s = max(backoff_s, pressure_s)
        left_s = self.request.started + lane.timeout_s - lane.clock()
        return delay_s if delay_s < left_s else None

    def _others_left(self) -> bool:
        lane = self._lane
        return lane.selector.untried_left(lane.serving(self.routing.model), self._tried)

    def _schedule_retry(self, backoff_s: float | None = None) -> None:
        lane = self._lane
        if backoff_s is None:
            backoff_s = lane.retry.backoff_s(self._attempt_number, lane.rng)
        lane.telemetry.retried(self.route.endpoint, self._attempt_number, backoff_s)
        self._timer = lane.call_later(backoff_s, self._next_attempt)

    def _reset(self) -> None:
        self.stage = Stage.WAITING
        self._decoder = None
        self._collected.clear()
        self._collected_bytes = 0

    # --- the response --------------------------------------------------------------------

    def _reshapes(self, status: int) -> bool:
        if self.route.envelope is Envelope.ANTHROPIC and status >= 400:
            return True
        return self.route.reshape is not None and status < 400

    def _first_bytes(self, raw: bytes) -> None:
        attempt = self._attempt
        assert attempt is not None and attempt.connection is not None
        self._commit(attempt.connection, raw)

    def _commit(self, connection: UpstreamConnection, raw: bytes) -> None:
        """Send the head: from here on the status is spent."""
        self.stage = Stage.RELAYING
        self._stream = connection
        # No retry will need it again, and a stream may last for minutes.
        self._body = b""
        self.request.drop_body()
        self._status = connection.status
        lane, client = self._lane, self._client
        headers = response_headers(connection.headers)
        headers.append((b"x-request-id", self.request.id.encode()))
        worker = self.worker
        if worker is not None and self.route.names_worker:
            headers.append((b"x-smg-routed-worker-id", worker.url.encode()))
        if lane.follows_responses and self.route.endpoint == "responses":
            lane.response_seen(self, raw)
        now = self._silent_since = lane.clock()
        lane.head_sent(self, now)
        self._event_stream = _is_event_stream(connection.headers)
        rewrites = self._rewrites_stream()
        if rewrites:
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        elif client.takes_raw and connection.framing is not Framing.CLOSE:
            chunked = connection.framing is Framing.CHUNKED
            connection.sink = client.begin_raw(
                connection.status, connection.reason, headers, raw, chunked=chunked
            )
            if self.recording is not None:
                self._record(self.recording, connection, raw)
            return
        self._decoder = BodyDecoder()
        connection.sink = self._relay_decoded
        if self.recording is not None:
            self._record(self.recording, connection, raw)
        first = self._decoder.start(connection, raw)
        client.begin(connection.status, headers, self._passed(first) if rewrites else first)

    @staticmethod
    def _record(recording: Recording, connection: UpstreamConnection, raw: bytes) -> None:
        recording.see(raw)
        connection.sink = recording.watch(connection.sink)

    def _relay_decoded(self, raw: bytes) -> None:
        assert self._decoder is not None
        self._client.write(self._passed(self._decoder.feed(raw)))

    def _rewrites_stream(self) -> bool:
        """Whether a stream's bytes change on their way."""
        return False

    def _passed(self, body: bytes) -> bytes:
        """Decoded bytes of a stream as the client gets them."""
        return body

    def _left_over(self) -> bytes:
        """What a stream's end still owes the client."""
        return b""

    def _collect(self, raw: bytes) -> None:
        assert self._decoder is not None
        self._keep(self._decoder.feed(raw))

    def _keep(self, body: bytes) -> None:
        self._collected.append(body)
        self._collected_bytes += len(body)
        if self._collected_bytes > MAX_COLLECTED_BYTES and self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            attempt.abandon(blame=False)
            self._fail(UpstreamError(UpstreamFault.TOO_LARGE, "the answer is too large"))

    def _respond_collected(self, connection: UpstreamConnection) -> None:
        body = b"".join(self._collected)
        headers = [
            pair
            for pair in response_headers(connection.headers)
            if pair[0] not in (b"content-length", b"content-type")
        ]
        headers.append((b"content-type", b"application/json"))
        headers.append((b"x-request-id", self.request.id.encode()))
        if self.worker is not None and self.route.names_worker:
            headers.append((b"x-smg-routed-worker-id", self.worker.url.encode()))
        status = connection.status
        if status >= 400:
            error = self._error_of(status, body)
            if error is not None:
                self.refuse(error)
                return
            body = anthropic_body(status, upstream_message(body), self.request.id)
        else:
            try:
                body = self._reshaped(body)
            except ValueError as nonsense:
                self.refuse(
                    ErrorRecord(
                        status=502,
                        code="parse_error",
                        message=f"The worker's answer could not be understood: {nonsense}",
                    )
                )
                return
        self._lane.head_sent(self, self._lane.clock())
        self._finish(status, "")
        self._client.respond(status, headers, body)

    def _reshaped(self, body: bytes) -> bytes:
        """The answer in the client's shape; raises ValueError when it makes no sense."""
        return body if self.route.reshape is None else self.route.reshape(self.intake, body)

    def _error_of(self, status: int, body: bytes) -> ErrorRecord | None:
        """The gateway's own error for a worker's; None when the worker's is to be passed on."""
        return None

    def _fail(self, error: UpstreamError) -> None:
        status, code = _FAULT_CODES[error.fault]
        worker = self.worker
        where = f" {worker.url}" if worker is not None else ""
        message = f"Failed to get an answer from worker{where}: {error.detail}"
        self.refuse(ErrorRecord(status=status, code=code, message=message))

    def _break_off(self, error: UpstreamError) -> None:
        frame = b""
        if self._event_stream and self._between_events():
            frame = stream_error_frame(error.detail, self.route.envelope)
        self._finish(self._status, "stream_error")
        self._client.break_off(frame)

    def _keep_alive(self, connection: UpstreamConnection, now: float) -> None:
        if connection.reads != self._reads_seen:
            self._reads_seen = connection.reads
            self._silent_since = now
        elif now - self._silent_since >= self._lane.keepalive_s and self._between_events():
            self._silent_since = now
            self._client.insert(self.route.keepalive_frame)

    def _between_events(self) -> bool:
        """Whether an event of our own can be put into the stream without tearing one apart."""
        stream = self._stream
        if stream is None or stream.framing is Framing.LENGTH:
            return False
        if self._decoder is not None:
            return self._decoder.tail.endswith((b"\n\n", b"\r\n\r\n")) or not self._decoder.tail
        if stream.framing is not Framing.CHUNKED or not stream.at_chunk_boundary:
            return False
        nothing_yet = stream.reads <= 1 and not stream.tail
        return nothing_yet or ends_event(stream.tail)

    def _finish(self, status: int, error_code: str) -> None:
        self.stage = Stage.DONE
        self._lane.finished(self, status, error_code)


def _is_event_stream(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """A text/event-stream whose bytes are not compressed: frames may be inserted."""
    event_stream = False
    for name, value in headers:
        if name == b"content-type":
            event_stream = value[:17].lower() == b"text/event-stream"
        elif name == b"content-encoding":
            return False
    return event_stream
