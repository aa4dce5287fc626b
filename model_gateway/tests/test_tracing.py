"""Traces, as a collector receives them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from random import Random
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from smg_gateway.observability.tracing import RequestTracer, TraceParent
from smg_mock_worker import AnswerStatus, ResetConnection

# Neither of them has types.
grpc: Any = import_module("grpc")
trace_service: Any = import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc")

CHAT = "/v1/chat/completions"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01"
UNSAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-00"


class Collector:
    """Keeps what was exported to it."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.status = 200
        self.release = threading.Event()
        self.release.set()

    def keep(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            self.services |= {
                one.value.string_value
                for one in resource.resource.attributes
                if one.key == "service.name"
            }
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def of_kind(self, kind: int) -> list[Span]:
        return [span for span in self.spans if span.kind == kind]

    @property
    def servers(self) -> list[Span]:
        return self.of_kind(Span.SPAN_KIND_SERVER)

    @property
    def clients(self) -> list[Span]:
        return self.of_kind(Span.SPAN_KIND_CLIENT)


@asynccontextmanager
async def http_collector() -> AsyncIterator[Collector]:
    """A collector that speaks OTLP over HTTP."""
    collector = Collector()

    async def export(request: web.Request) -> web.Response:
        collector.keep(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(status=collector.status, content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", export)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()


@contextmanager
def grpc_collector() -> Iterator[Collector]:
    """A collector that speaks OTLP over gRPC."""
    collector = Collector()

    class Service:
        def Export(
            self, request: ExportTraceServiceRequest, context: object
        ) -> ExportTraceServiceResponse:
            collector.release.wait()
            collector.keep(request)
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    trace_service.add_TraceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    collector.endpoint = f"127.0.0.1:{port}"
    try:
        yield collector
    finally:
        server.stop(None).wait()


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@pytest.mark.anyio
async def test_a_request_is_one_span_and_each_attempt_another_below_it(
    start: Any, worker: Any, other: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(AnswerStatus(path=CHAT, code=503))
    async with http_collector() as collector:
        tracing = {"otlp_traces_endpoint": collector.endpoint, "otlp_traces_protocol": "http"}
        async with start(worker, other, enable_trace=True, **tracing) as running:
            async with http.post(
                running.url + CHAT, json=chat(stream=True), headers={"x-request-id": "r-1"}
            ) as answer:
                await answer.read()
            await running.settled()

    (server,), clients = collector.servers, collector.clients
    found = attributes(server)
    assert collector.services == {"smg"}
    assert (server.name, server.parent_span_id) == (f"POST {CHAT}", b"")
    assert {
        "http.response.status_code": 200,
        "http.route": CHAT,
        "smg.request_id": "r-1",
        "smg.attempts": len(clients),
        "smg.stream": True,
        "smg.worker": other.url,
        "gen_ai.request.model": "mock-model",
    }.items() <= found.items()
    assert {span.trace_id for span in collector.spans} == {server.trace_id}
    assert {span.parent_span_id for span in clients} == {server.span_id}
    last = attributes(clients[-1])
    assert (last["smg.worker"], last["http.response.status_code"]) == (other.url, 200)
    assert all(
        server.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        and span.end_time_unix_nano <= server.end_time_unix_nano
        for span in clients
    )


@pytest.mark.anyio
async def test_a_trace_goes_on_from_the_client_to_the_worker_over_grpc(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    headers = {"traceparent": SAMPLED, "tracestate": "vendor=1,other=2"}
    with grpc_collector() as collector:
        async with start(
            worker,
            enable_trace=True,
            otlp_traces_endpoint=collector.endpoint,
            trace_sample_ratio=0.0,
        ) as running:
            async with http.post(running.url + CHAT, json=chat(), headers=headers) as answer:
                assert answer.status == 200
            await running.settled()

    (server,), (client,) = collector.servers, collector.clients
    assert server.trace_id.hex() == TRACE_ID
    assert server.parent_span_id.hex() == SPAN_ID
    seen = worker.requests.to(CHAT)[-1]
    assert seen.header("traceparent") == f"00-{TRACE_ID}-{client.span_id.hex()}-01"
    assert seen.header("tracestate") == "vendor=1,other=2"


@pytest.mark.anyio
@pytest.mark.parametrize("traceparent", [UNSAMPLED, None, "nonsense"])
async def test_a_request_that_is_not_sampled_passes_untouched(
    start: Any, worker: Any, http: Any, chat: Any, traceparent: str | None
) -> None:
    headers = {"traceparent": traceparent} if traceparent else {}
    async with http_collector() as collector:
        tracing = {"otlp_traces_endpoint": collector.endpoint, "otlp_traces_protocol": "http"}
        async with start(worker, enable_trace=True, trace_sample_ratio=0.0, **tracing) as running:
            async with http.post(running.url + CHAT, json=chat(), headers=headers) as answer:
                assert answer.status == 200
            await running.settled()

    assert collector.spans == []
    assert worker.requests.to(CHAT)[-1].header("traceparent") == traceparent


@pytest.mark.anyio
async def test_failures_are_marked_on_both_spans(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(ResetConnection(path=CHAT))
    async with http_collector() as collector:
        tracing = {"otlp_traces_endpoint": collector.endpoint, "otlp_traces_protocol": "http"}
        once = {"disable_retries": True, "policy": "cache_aware"}
        async with start(worker, enable_trace=True, **once, **tracing) as running:
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.status == 500
            async with http.post(running.url + CHAT, json={**chat(), "model": "none"}) as answer:
                assert answer.status == 404
            await running.settled()

    broken, unknown = collector.servers
    (client,) = collector.clients
    assert broken.status.code == client.status.code == Status.STATUS_CODE_ERROR
    assert attributes(broken)["error.type"] == "call_upstream_request_error"
    assert attributes(client)["error.type"] == "transport_failure"
    assert [event.name for event in client.events] == ["resent"]
    assert attributes(unknown)["error.type"] == "model_not_found"
    assert attributes(unknown)["smg.attempts"] == 0


@pytest.mark.anyio
async def test_a_queued_client_that_leaves_ends_its_span(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with http_collector() as collector:
        tracing = {"otlp_traces_endpoint": collector.endpoint, "otlp_traces_protocol": "http"}
        async with start(
            worker, enable_trace=True, max_concurrent_requests=1, **tracing
        ) as running:
            assert running.gateway.gate.take()
            async with asyncio.TaskGroup() as group:
                leaving = group.create_task(http.post(running.url + CHAT, json=chat()).__aenter__())
                async with asyncio.timeout(5):
                    while not len(running.gateway.gate):
                        await asyncio.sleep(0.002)
                leaving.cancel()
            await running.settled()
            running.gateway.gate.release()

    (server,) = collector.servers
    assert attributes(server)["http.response.status_code"] == 499


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_a_collector_that_is_away_harms_no_request(
    start: Any, worker: Any, http: Any, chat: Any, protocol: str
) -> None:
    async with start(
        worker,
        enable_trace=True,
        otlp_traces_endpoint="127.0.0.1:1",
        otlp_traces_protocol=protocol,
    ) as running:
        for _ in range(20):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.status == 200
        await running.settled()


@pytest.mark.anyio
async def test_a_collector_that_hangs_does_not_hold_up_the_end(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    with grpc_collector() as collector:
        collector.release.clear()
        try:
            async with start(
                worker, enable_trace=True, otlp_traces_endpoint=collector.endpoint
            ) as running:
                async with http.post(running.url + CHAT, json=chat()) as answer:
                    assert answer.status == 200
                await running.settled()
        finally:
            collector.release.set()


def test_without_tracing_no_opentelemetry_package_is_loaded() -> None:
    program = (
        "import sys; from smg_gateway import Settings, create_app; create_app(Settings());"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in ('opentelemetry', 'grpc')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


# --- the decision by itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00",
        b"ff-" + SAMPLED[3:].encode(),
        b"00-" + b"0" * 32 + SAMPLED[35:].encode(),
        f"00-{TRACE_ID}-{'0' * 16}-01".encode(),
        SAMPLED.upper().encode(),
        SAMPLED.encode() + b"-more",
        b"01" + SAMPLED[2:].encode() + b"more",
    ],
)
def test_an_invalid_parent_is_no_parent(header: bytes) -> None:
    assert TraceParent.parse(header) is None


def test_a_later_version_of_the_header_is_read_as_far_as_it_is_known() -> None:
    parent = TraceParent.parse(b"01" + SAMPLED[2:].encode() + b"-what-comes-later")

    assert parent is not None
    assert (parent.trace_id, parent.sampled) == (int(TRACE_ID, 16), True)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 255))
def test_a_valid_parent_is_read_exactly(trace_id: int, span_id: int, flags: int) -> None:
    parent = TraceParent.parse(b"00-%032x-%016x-%02x" % (trace_id, span_id, flags))

    assert parent is not None
    assert (parent.trace_id, parent.span_id) == (trace_id, span_id)
    assert parent.sampled is bool(flags & 1)


def test_the_clients_decision_stands_and_the_ratio_decides_the_rest() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = RequestTracer(provider.get_tracer("t"), 0.25, Random(7))

    def traced(*headers: bytes) -> int:
        fields = {b"traceparent": headers[0]} if headers else {}
        return sum(tracer.begin(fields, CHAT, "r", 0.0) is not None for _ in range(400))

    assert traced(SAMPLED.encode()) == 400
    assert traced(UNSAMPLED.encode()) == 0
    assert 60 < traced() < 140
    tracer.ratio = 0.0
    assert traced() == 0
