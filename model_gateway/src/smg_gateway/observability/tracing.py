"""Spans of requests and of their attempts, for whoever collects OpenTelemetry traces.

Whether a request is traced is decided by its head and one random number, before any span exists;
what is not traced costs nothing more. The OpenTelemetry packages are loaded when tracing is on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING

from ..settings import ConfigError
from .logs import get_logger

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Status, Tracer

SERVICE_NAME = "smg"
MAX_QUEUED_SPANS = 2048
EXPORT_TIMEOUT_S = 10
SHUTDOWN_S = 3.0
COMPLAINT_PAUSE_S = 60.0
"""A collector that is away is mentioned in the log this often, not at every export."""

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 0x01


class TraceParent:
    """A `traceparent` header: ids as integers, and whether the trace is recorded."""

    __slots__ = ("sampled", "span_id", "trace_id")

    def __init__(self, trace_id: int, span_id: int, sampled: bool) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.sampled = sampled

    @classmethod
    def parse(cls, header: bytes) -> TraceParent | None:
        """The parent that a header names; None for one that is not valid (W3C, level 1)."""
        value = header.strip()
        found = _TRACEPARENT.match(value)
        if found is None:
            return None
        rest = value[found.end() :]
        if rest and (value.startswith(b"00") or not rest.startswith(b"-")):
            return None
        trace_id, span_id, flags = (int(group, 16) for group in found.groups())
        if not trace_id or not span_id:
            return None
        return cls(trace_id, span_id, bool(flags & _SAMPLED))


class RequestTrace:
    """The server span of one request, and the client span of its current attempt."""

    __slots__ = ("_api", "_attempt", "_below", "_span")

    def __init__(self, api: _Api, span: Span) -> None:
        self._api = api
        self._span = span
        self._below = api.set_span_in_context(span, api.no_context)
        self._attempt: Span | None = None

    def attempt_began(self, worker_url: str, number: int) -> None:
        """The request goes to a worker; `number` counts from 1."""
        self._attempt = self._api.tracer.start_span(
            "POST",
            context=self._below,
            kind=self._api.client,
            attributes={
                "http.request.method": "POST",
                "http.request.resend_count": number - 1,
                "smg.attempt": number,
                "smg.worker": worker_url,
            },
        )

    def resent(self) -> None:
        """The attempt sends its request once more, on another connection."""
        if self._attempt is not None:
            self._attempt.add_event("resent")

    def attempt_ended(self, status: int | None) -> None:
        """The worker has answered: None is a transport failure, 0 an attempt given up."""
        span, self._attempt = self._attempt, None
        if span is not None:
            failed = "transport_failure" if status is None else ""
            self._finish(span, status or 0, failed, {})

    def header_line(self) -> bytes:
        """What tells the worker which attempt its spans belong to."""
        context = (self._attempt or self._span).get_span_context()
        ids = b"00-%032x-%016x-01" % (context.trace_id, context.span_id)
        return b"traceparent: " + ids + b"\r\n"

    def end(
        self,
        status: int,
        error_code: str,
        *,
        worker_url: str | None = None,
        model: str | None = None,
        attempts: int = 0,
        stream: bool = False,
    ) -> None:
        """The response has ended; a second call changes nothing."""
        if not self._span.is_recording():
            return
        self.attempt_ended(0)
        found: dict[str, str | int] = {"smg.attempts": attempts, "smg.stream": stream}
        if model is not None:
            found["gen_ai.request.model"] = model
        if worker_url is not None:
            found["smg.worker"] = worker_url
        self._finish(self._span, status, error_code, found)

    def _finish(
        self, span: Span, status: int, error_code: str, found: dict[str, str | int]
    ) -> None:
        if status:
            found["http.response.status_code"] = status
        if error_code:
            found["error.type"] = error_code
        span.set_attributes(found)
        if status >= 500 or error_code:
            span.set_status(self._api.error(error_code or None))
        span.end()


class _Api:
    """What is needed of the OpenTelemetry packages, which are loaded when tracing is on."""

    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context

        self.tracer = tracer
        self.no_context = Context()
        self.server, self.client = trace.SpanKind.SERVER, trace.SpanKind.CLIENT
        self.set_span_in_context = trace.set_span_in_context
        self._trace = trace

    def error(self, description: str | None) -> Status:
        """The status of a span that failed."""
        return self._trace.Status(self._trace.StatusCode.ERROR, description)

    def below(self, parent: TraceParent, state: bytes) -> Context:
        """The context of a span that goes on where the client is."""
        trace = self._trace
        text = [state.decode("latin-1")] if state else []
        remote = trace.SpanContext(
            parent.trace_id,
            parent.span_id,
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
            trace_state=trace.TraceState.from_header(text),
        )
        context: Context = trace.set_span_in_context(
            trace.NonRecordingSpan(remote), self.no_context
        )
        return context


class RequestTracer:
    """Begins the trace of a request, where it is to be traced.

    A client's own decision stands (parent-based sampling); where there is none, `ratio` of the
    requests are traced.
    """

    def __init__(self, tracer: Tracer, ratio: float, rng: Random) -> None:
        self._api = _Api(tracer)
        self._random = rng.random
        self.ratio = ratio

    def begin(
        self, fields: Mapping[bytes, bytes], path: str, request_id: str, age_s: float
    ) -> RequestTrace | None:
        """The trace of a request that came in `age_s` seconds ago; None: it is not traced."""
        header = fields.get(b"traceparent")
        parent = TraceParent.parse(header) if header is not None else None
        context = self._api.no_context
        if parent is None:
            if self._random() >= self.ratio:
                return None
        elif not parent.sampled:
            return None
        else:
            context = self._api.below(parent, fields.get(b"tracestate", b""))
        span = self._api.tracer.start_span(
            f"POST {path}",
            context=context,
            kind=self._api.server,
            start_time=time.time_ns() - int(age_s * 1e9),
            attributes={
                "http.request.method": "POST",
                "http.route": path,
                "url.path": path,
                "smg.request_id": request_id,
            },
        )
        return RequestTrace(self._api, span)


class Tracing:
    """Everything that tracing needs while it is on."""

    def __init__(self, provider: TracerProvider, ratio: float, rng: Random) -> None:
        self._provider = provider
        self.requests = RequestTracer(provider.get_tracer("smg_gateway"), ratio, rng)

    async def close(self) -> None:
        """Export what is left, for at most `SHUTDOWN_S`; a slow collector holds up nothing."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            try:
                loop.call_soon_threadsafe(ended.set)
            except RuntimeError:
                return  # Too late: the loop is closed, and nobody waits any more.

        # Not a thread of the loop's executor: the loop would wait for it before it closes.
        threading.Thread(target=shut_down, name="smg-trace-end", daemon=True).start()
        try:
            async with asyncio.timeout(SHUTDOWN_S):
                await ended.wait()
        except TimeoutError:
            get_logger("smg_gateway.tracing").warning("traces could not be exported in time")


def open_tracing(endpoint: str, protocol: str, ratio: float, rng: Random) -> Tracing:
    """Tracing to a collector at `host:port` or an http(s) URL; `protocol` is grpc or http.

    Raises ConfigError where the OpenTelemetry packages are not installed.
    """
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ConfigError.startup(
            "--enable-trace needs the OpenTelemetry packages: pip install 'smg-gateway[otel]'"
        )
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    _complain_rarely(time.monotonic)
    attributes = {"service.version": version("smg-gateway")}
    if "OTEL_SERVICE_NAME" not in os.environ:
        attributes["service.name"] = SERVICE_NAME
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=Resource.create(attributes), shutdown_on_exit=False
    )
    exporter = _exporter(endpoint, protocol)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MAX_QUEUED_SPANS))
    return Tracing(provider, ratio, rng)


def _exporter(endpoint: str, protocol: str) -> SpanExporter:
    secure = endpoint.startswith("https://")
    url = endpoint if secure or endpoint.startswith("http://") else f"http://{endpoint}"
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter as GrpcExporter,
        )

        return GrpcExporter(endpoint=url, insecure=not secure, timeout=EXPORT_TIMEOUT_S)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
        OTLPSpanExporter as HttpExporter,
    )

    return HttpExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT_S)


class _Complaints(logging.Handler):
    """Takes what the OpenTelemetry packages log into the gateway's own log, now and then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._silent_until = 0.0
        self._log = get_logger("smg_gateway.tracing")

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        if now >= self._silent_until:
            self._silent_until = now + COMPLAINT_PAUSE_S
            self._log.warning("trace export has trouble", reason=record.getMessage())


def _complain_rarely(clock: Callable[[], float]) -> None:
    logger = logging.getLogger("opentelemetry")
    if not any(isinstance(handler, _Complaints) for handler in logger.handlers):
        logger.addHandler(_Complaints(clock))
        logger.propagate = False
