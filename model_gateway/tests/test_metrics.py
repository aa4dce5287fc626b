"""Counters, and what a scrape of them looks like."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from smg_gateway.observability.metrics import DURATION_BUCKETS_S, MAX_MODEL_LABELS, Exposition
from smg_gateway.observability.telemetry import Telemetry, error_type

CHAT = "/v1/chat/completions"


def samples(page: bytes) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def test_series_appear_with_their_first_use_and_parse_as_prometheus_text() -> None:
    exposition = Exposition()
    calls = exposition.counter("calls_total", "Calls.", ("path",))
    exposition.gauge("unused", "Never set.")
    seconds = exposition.histogram("seconds", "Time.", ("path",), (0.1, 1.0))

    assert exposition.render() == b""
    calls.of('/odd"\\\n').inc(2)
    for value in (0.05, 0.1, 0.5, 7.0):
        seconds.of("/a").observe(value)

    page = samples(exposition.render())
    assert page["calls_total"] == [({"path": '/odd"\\\n'}, 2.0)]
    buckets = [(labels["le"], value) for labels, value in page["seconds_bucket"]]
    assert buckets == [("0.1", 2.0), ("1", 3.0), ("+Inf", 4.0)]
    assert page["seconds_sum"] == [({"path": "/a"}, 7.65)]
    assert page["seconds_count"] == [({"path": "/a"}, 4.0)]


def test_model_labels_are_bounded() -> None:
    telemetry = Telemetry()
    labels = {telemetry.model_label(f"m{i}", served=True) for i in range(3 * MAX_MODEL_LABELS)}
    assert len(labels) == MAX_MODEL_LABELS + 1
    assert telemetry.model_label("m0", served=True) == "m0"
    assert telemetry.model_label("made-up", served=False) == "other"
    assert telemetry.model_label(None, served=True) == "unknown"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "validation_error"),
        (404, "no_workers"),
        (408, "timeout"),
        (504, "timeout"),
        (503, "unavailable"),
        (500, "backend_error"),
        (502, "backend_error"),
        (409, "internal_error"),
    ],
)
def test_error_types_follow_the_status(status: int, expected: str) -> None:
    assert error_type(status) == expected


@pytest.mark.anyio
async def test_traffic_shows_in_the_families_operators_know(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker) as running:
        for body in (chat(), chat(stream=True), chat(model="nope"), chat(n=0)):
            async with http.post(running.url + CHAT, json=body) as answer:
                await answer.read()
        async with http.get(running.url + "/readiness"), http.get(running.url + "/made/up"):
            pass
        await running.settled()
        page = samples(running.gateway.telemetry.exposition.render())

    assert ({"method": "POST", "path": CHAT}, 4.0) in page["smg_http_requests_total"]
    assert ({"method": "GET", "path": "other"}, 1.0) in page["smg_http_requests_total"]
    responses = {
        (labels["path"], labels["status_code"], labels["error_code"]): value
        for labels, value in page["smg_http_responses_total"]
    }
    assert responses[CHAT, "200", ""] == 2
    assert responses[CHAT, "404", "model_not_found"] == 1
    assert responses[CHAT, "400", "integer_below_min_value"] == 1
    assert responses["/readiness", "200", ""] == 1
    assert responses["other", "404", "unknown_url"] == 1

    routed = {
        "router_type": "http",
        "backend_type": "regular",
        "connection_mode": "http",
        "model": "mock-model",
        "endpoint": "chat",
    }
    for streaming in ("true", "false"):
        assert ({**routed, "streaming": streaming}, 1.0) in page["smg_router_requests_total"]
    unserved = {**routed, "model": "other", "error_type": "no_workers"}
    assert (unserved, 1.0) in page["smg_router_request_errors_total"]
    counted = {**routed}
    assert (counted, 2.0) in page["smg_router_request_duration_seconds_count"]

    where = {"worker": worker.url}
    assert page["smg_worker_requests_active"] == [(where, 0.0)]
    assert page["smg_worker_health"] == [(where, 1.0)]
    assert page["smg_worker_cb_state"] == [(where, 0.0)]
    assert ({**where, "model": "mock-model"}, 2.0) in page["smg_worker_requests_total"]
    assert ({**where, "outcome": "success"}, 2.0) in page["smg_worker_cb_outcomes_total"]
    assert page["smg_worker_selection_total"][0][0]["policy"] == "round_robin"
    bounds = {labels["le"] for labels, _ in page["smg_http_request_duration_seconds_bucket"]}
    assert bounds == {f"{bound:g}" for bound in DURATION_BUCKETS_S} | {"+Inf"}


@pytest.mark.anyio
async def test_durations_are_measured_to_the_head_of_the_response(
    start: Any, http: Any, chat: Any
) -> None:
    from smg_mock_worker import EngineTiming, MockWorker

    async with (
        MockWorker(timing=EngineTiming(inter_token_latency_s=0.2)) as slow,
        start(slow) as running,
    ):
        began = time.monotonic()
        async with http.post(running.url + CHAT, json=chat(stream=True, max_tokens=4)) as answer:
            await answer.read()
        await asyncio.sleep(0)
        total_s = running.metric("smg_router_request_duration_seconds_sum")

    assert total_s < time.monotonic() - began - 0.3
