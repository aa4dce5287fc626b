"""What this version refuses, and what it warns about."""

from __future__ import annotations

import shlex

import pytest
from smg_gateway.settings import (
    AVAILABLE_POLICIES,
    ConfigError,
    Settings,
    Status,
    check_available,
    declarations,
    ineffective,
    read_launch,
    unavailable,
)

REFUSED = [
    ("--enable-mesh", "--enable-mesh"),
    ("--backend openai", "--backend openai"),
    ("--history-backend postgres", "--history-backend postgres"),
    ("--worker-urls http://a grpc://b:1", "--worker-urls grpc://b:1"),
    ("--worker-urls grpcs://b", "--worker-urls grpcs://b"),
    ("--worker-urls ipc:///run/engine", "--worker-urls ipc:///run/engine"),
    ("--cors-allowed-origins http://a", "--cors-allowed-origins"),
    ("--tenant-api-key acme:hush", "--tenant-api-key"),
    ("--prefill grpc://a 9000", "--prefill grpc://a"),
    ("--decode ipc:///run/engine", "--decode ipc:///run/engine"),
    ("--encode http://a", "--encode"),
    ("--enable-wasm", "--enable-wasm"),
]


@pytest.mark.parametrize(("words", "asked"), REFUSED)
def test_asking_for_something_absent_is_refused(words: str, asked: str) -> None:
    settings = read_launch(shlex.split(words), {}).settings

    with pytest.raises(ConfigError) as refusal:
        check_available(settings)

    assert unavailable(settings) == (f"{asked} is not available in this version",)
    assert refusal.value.line == (
        f"ValueError: Configuration error: Incompatible configuration: {asked} "
        "is not available in this version"
    )


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--worker-urls http://a https://b",
        "--backend vllm --history-backend none",
        "--max-concurrent-requests 5 --rate-limit-tokens-per-second 5",
        "--max-concurrent-requests -5",
        "--no-remove-unhealthy-workers",
        "--remove-unhealthy-workers",
        "--policy weighted_round_robin",
        "--pd-disaggregation --prefill http://a 9000 --decode http://b",
        "--enable-igw --dp-aware --dp-minimum-tokens-scheduler --worker-overload-shed",
        "--cors-allowed-origins",
        *(f"--policy {name}" for name in AVAILABLE_POLICIES),
    ],
)
def test_asking_for_nothing_absent_is_fine(words: str) -> None:
    settings = read_launch(shlex.split(words), {}).settings

    check_available(settings)
    assert unavailable(settings) == ()


def test_a_secret_is_not_repeated_when_it_is_refused() -> None:
    assert "hush" not in str(unavailable(Settings(tenant_api_key=(("acme", "hush"),))))


def test_each_given_knob_without_effect_earns_one_warning() -> None:
    launch = read_launch(
        shlex.split(
            "--max-background-responses 5 --max-background-responses 1024 --port 1 --parser symphony"
        ),
        {},
    )

    assert ineffective(launch.settings, launch.explicit) == [
        "--max-background-responses has no effect in this version",
        "--parser has no effect in this version",
    ]


def test_a_default_said_aloud_is_warned_about_and_a_variable_is_not() -> None:
    launch = read_launch(["--max-background-responses", "1024"], {"REDIS_POOL_MAX": "3"})

    assert ineffective(launch.settings, launch.explicit) == [
        "--max-background-responses has no effect in this version"
    ]


def test_embedders_are_warned_about_what_differs_from_the_defaults() -> None:
    assert ineffective(Settings(max_background_responses=7, port=1)) == [
        "--max-background-responses has no effect in this version"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "host", "port", "worker_urls", "health_check_port", "policy", "cache_threshold",
        "balance_abs_threshold", "balance_rel_threshold", "assignment_mode", "max_idle_secs",
        "eviction_interval_secs", "max_tree_size", "routing_key_headers", "max_payload_size",
        "stream_body_stall_timeout_secs", "sse_keepalive_secs", "worker_startup_timeout_secs",
        "log_level", "prometheus_port", "request_id_headers", "request_timeout_secs",
        "shutdown_grace_period_secs", "header_read_timeout_secs", "idle_connection_timeout_secs",
        "retry_max_retries", "disable_retries", "cb_failure_threshold", "disable_circuit_breaker",
        "health_check_endpoint", "disable_health_check", "tls_cert_path", "client_cert_path",
        "ca_cert_paths", "api_key", "model_alias", "backend", "max_concurrent_requests",
        "queue_size", "queue_timeout_secs", "rate_limit_tokens_per_second", "body_memory_bytes",
    ],
)  # fmt: skip
def test_what_the_gateway_honours_is_live(name: str) -> None:
    status = {declaration.name: declaration.status for declaration in declarations()}

    assert status[name] is Status.LIVE
