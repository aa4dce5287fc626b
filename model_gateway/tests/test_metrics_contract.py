"""Metric families against SMG's: names, kinds and labels of everything that concerns HTTP workers."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from smg_gateway.app import Gateway
from smg_gateway.settings import Settings
from smg_mock_worker import MockWorker

from .conftest import Start

CONTRACT: dict[str, tuple[str, tuple[str, ...]]] = {
    "smg_http_requests_total": ("counter", ("method", "path")),
    "smg_http_request_duration_seconds": ("histogram", ("method", "path")),
    "smg_http_responses_total": ("counter", ("path", "status_code", "error_code")),
    "smg_http_connections_active": ("gauge", ()),
    "smg_http_connection_timeouts_total": ("counter", ("reason",)),
    "smg_http_inflight_request_age_count": ("gauge", ("gt", "le")),
    "smg_http_rate_limit_total": ("counter", ("result",)),
    "smg_admission_inflight": ("gauge", ()),
    "smg_admission_queue_depth": ("gauge", ()),
    "smg_admission_queue_rejected_total": ("counter", ("reason",)),
    "smg_router_requests_total": (
        "counter",
        ("router_type", "backend_type", "connection_mode", "model", "endpoint", "streaming"),
    ),
    "smg_router_request_duration_seconds": (
        "histogram",
        ("router_type", "backend_type", "connection_mode", "model", "endpoint"),
    ),
    "smg_router_request_errors_total": (
        "counter",
        ("router_type", "backend_type", "connection_mode", "model", "endpoint", "error_type"),
    ),
    "smg_router_upstream_responses_total": (
        "counter",
        ("router_type", "status_code", "error_code"),
    ),
    "smg_router_upstream_send_retries_total": ("counter", ("router_type",)),
    "smg_router_request_body_path_total": ("counter", ("path", "reason")),
    "smg_routing_key_source_total": ("counter", ("source",)),
    "smg_worker_pool_size": ("gauge", ("worker_type", "connection_mode", "model")),
    "smg_worker_requests_active": ("gauge", ("worker",)),
    "smg_worker_requests_total": ("counter", ("worker", "model")),
    "smg_worker_health": ("gauge", ("worker",)),
    "smg_worker_health_checks_total": ("counter", ("worker_type", "result")),
    "smg_worker_selection_total": (
        "counter",
        ("worker_type", "connection_mode", "model", "policy"),
    ),
    "smg_worker_errors_total": ("counter", ("worker_type", "connection_mode", "error_type")),
    "smg_worker_http2": ("gauge", ("worker",)),
    "smg_worker_cb_state": ("gauge", ("worker",)),
    "smg_worker_cb_transitions_total": ("counter", ("worker", "from", "to")),
    "smg_worker_cb_outcomes_total": ("counter", ("worker", "outcome")),
    "smg_worker_cb_consecutive_failures": ("gauge", ("worker",)),
    "smg_worker_cb_consecutive_successes": ("gauge", ("worker",)),
    "smg_worker_cb_health_readmissions_total": ("counter", ("worker",)),
    "smg_worker_retries_total": ("counter", ("worker_type", "endpoint")),
    "smg_worker_retries_exhausted_total": ("counter", ("worker_type", "endpoint")),
    "smg_worker_retry_backoff_seconds": ("histogram", ("attempt",)),
    "smg_worker_routing_keys_active": ("gauge", ("worker",)),
    "smg_worker_stalled": ("gauge", ("worker", "reason")),
    "smg_worker_stall_transitions_total": ("counter", ("worker", "reason")),
    "smg_worker_liveness_fallback_total": ("counter", ("stage",)),
    "smg_tokenizer_cache_lookups_total": ("counter", ("layer", "result")),
    "smg_tokenizer_cache_evictions_total": ("counter", ("layer",)),
    "smg_tokenizer_cache_reused_bytes_total": ("counter", ("layer",)),
    "smg_tokenizer_encode_path_loads_total": ("counter", ("path",)),
    "smg_tokenizer_encode_fallbacks_total": ("counter", ("reason",)),
    "smg_workers_overloaded": ("gauge", ("model",)),
    "smg_worker_overload_shed_total": ("counter", ("stage",)),
    "smg_worker_overload_fallback_total": ("counter", ("stage",)),
    "smg_engine_running_requests": ("gauge", ("worker", "model", "dp_rank")),
    "smg_engine_waiting_requests": ("gauge", ("worker", "model", "dp_rank")),
    "smg_engine_token_usage": ("gauge", ("worker", "model", "dp_rank")),
    "smg_engine_gen_throughput": ("gauge", ("worker", "model", "dp_rank")),
    "smg_engine_cache_hit_rate": ("gauge", ("worker", "model", "dp_rank")),
    "smg_engine_load_polls_total": ("counter", ("worker", "mode")),
    "smg_engine_pd_kv_transfer_latency_ms": ("gauge", ("worker", "role", "dp_rank")),
    "smg_engine_pd_kv_transfer_speed_gb_s": ("gauge", ("worker", "role", "dp_rank")),
    "smg_engine_pd_prefill_queue_reqs": ("gauge", ("worker", "role", "dp_rank")),
    "smg_engine_pd_decode_queue_reqs": ("gauge", ("worker", "role", "dp_rank")),
    "smg_pd_prefill_duration_seconds": ("histogram", ("backend_type", "model", "runtime")),
    "smg_pd_ttft_seconds": ("histogram", ("backend_type", "model", "runtime")),
    "smg_pd_kv_transfer_duration_seconds": ("histogram", ("backend_type", "model", "runtime")),
    "smg_pd_decode_ttft_seconds": ("histogram", ("backend_type", "model", "runtime")),
    "smg_pd_kv_connector_mode_total": ("counter", ("mode",)),
    "smg_pd_bootstrap_failures_total": ("counter", ()),
    "smg_pd_kv_transfer_failures_total": ("counter", ()),
    "smg_pd_rendezvous_failures_total": ("counter", ("leg", "phase")),
    "smg_pd_admission_window": ("gauge", ("worker",)),
    "smg_pd_admission_waits_total": ("counter", ()),
    "smg_pd_admission_sheds_total": ("counter", ()),
    "smg_pd_prefill_admission_inflight": ("gauge", ("worker",)),
    "smg_pd_prefill_admission_queued": ("gauge", ()),
    "smg_pd_prefill_admission_wait_seconds": ("summary", ()),
    "smg_pd_prefill_admission_rejections_total": ("counter", ("reason",)),
    "smg_kv_index_entries": ("gauge", ("model",)),
    "smg_cache_aware_policy_branch_total": ("counter", ("branch",)),
    "smg_cache_aware_match_ratio": ("histogram", ()),
    "smg_cache_tree_chars": ("gauge", ("model",)),
    "smg_cache_tree_tokens": ("gauge", ("model",)),
    "smg_cache_tree_tenants": ("gauge", ("model", "tree")),
    "smg_cache_placement_entries": ("gauge", ("model",)),
    "smg_consistent_hashing_policy_branch_total": ("counter", ("branch",)),
    "smg_prefix_hash_policy_branch_total": ("counter", ("branch",)),
    "smg_manual_policy_branch_total": ("counter", ("branch",)),
    "smg_manual_policy_cache_entries": ("gauge", ()),
    "smg_tokio_workers": ("gauge", ()),
    "smg_tokio_alive_tasks": ("gauge", ()),
    "smg_tokio_event_loop_delay_seconds": ("histogram", ()),
    "smg_tokio_event_loop_stalls_total": ("counter", ()),
    "smg_allocator_resident_bytes": ("gauge", ()),
}
"""What SMG 1.13.0 exposes for what this gateway does."""

OWN = frozenset({"smg_config_reloads_total"})
"""Families that SMG does not have."""

DISCOVERY = {
    "smg_discovery_registrations_total": ("counter", ("source", "result")),
    "smg_discovery_deregistrations_total": ("counter", ("source", "reason")),
    "smg_discovery_sync_duration_seconds": ("histogram", ("source",)),
    "smg_discovery_workers_discovered": ("gauge", ("source",)),
    "smg_discovery_snapshot_errors_total": ("counter", ("source", "reason")),
}


def declared() -> dict[str, tuple[str, tuple[str, ...]]]:
    families = Gateway(Settings()).telemetry.exposition.families
    return {family.name: (family.kind, family.labels) for family in families}


def test_every_family_has_smgs_kind_and_labels() -> None:
    ours = declared()

    assert {name: ours.get(name) for name in CONTRACT} == CONTRACT


def test_there_is_no_family_that_smg_does_not_have() -> None:
    assert declared().keys() - CONTRACT.keys() - DISCOVERY.keys() <= OWN


@pytest.mark.anyio
async def test_a_scrape_after_traffic_has_these_labels_and_no_others(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Any
) -> None:
    async with start(worker, policy="cache_aware") as running:
        for body in (chat(), chat(stream=True), {"model": "mock-model"}, chat(model="unknown")):
            async with http.post(running.url + "/v1/chat/completions", json=body) as answer:
                await answer.read()
        async with http.get(running.url + "/nowhere") as answer:
            assert answer.status == 404
        await running.settled()
        page = running.gateway.telemetry.exposition.render().decode()
    seen = 0
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            name = sample.name
            for ending in ("_bucket", "_sum", "_count"):
                stem = name.removesuffix(ending)
                if stem in CONTRACT:
                    name = stem
            labels = (
                set(sample.labels) - {"le", "quantile"}
                if name != sample.name
                else set(sample.labels)
            )
            assert labels == set(CONTRACT[name][1]), name
            seen += 1
    assert seen > 100
