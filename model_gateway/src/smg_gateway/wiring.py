"""From flat settings to the configuration of each part."""

from __future__ import annotations

import ssl
from dataclasses import fields

from smg_policies import PolicyConfig
from smg_tokenizer import CacheLimits

from .admission import Limits, concurrency_bound
from .dialects import SessionKeys
from .discovery import FileDiscovery, KubernetesDiscovery, PodRules, Selector
from .edge import EdgeLimits
from .lanes import RelayConfig
from .lanes.pair_plane import PairConfig
from .lanes.pair_queue import PairQueueLimits
from .selection import RetryPolicy
from .settings import Settings
from .settings.rules.conditions import is_disaggregated, is_discovering
from .tokenizers import CatalogueConfig
from .upstream import PoolLimits
from .workers import (
    BreakerConfig,
    FleetConfig,
    HealthConfig,
    LivenessLimits,
    OverloadLimits,
    WorkerSpec,
)
from .workers.spec import WorkerType

LOAD_POLICIES = frozenset({"least_load", "power_of_two", "cache_aware", "dp_min_token"})
"""Policies that look at what engines report."""


def retry_policy(settings: Settings) -> RetryPolicy:
    """Attempts and backoff."""
    return RetryPolicy(
        max_attempts=settings.attempt_limit,
        initial_backoff_s=settings.retry_initial_backoff_ms / 1e3,
        max_backoff_s=settings.retry_max_backoff_ms / 1e3,
        multiplier=settings.retry_backoff_multiplier,
        jitter=settings.retry_jitter_factor,
    )


def breaker_config(settings: Settings) -> BreakerConfig:
    """Circuit breaker thresholds."""
    return BreakerConfig(
        failure_threshold=settings.cb_failure_threshold,
        success_threshold=settings.cb_success_threshold,
        open_s=settings.cb_timeout_duration_secs,
        enabled=not settings.disable_circuit_breaker,
    )


def health_config(settings: Settings) -> HealthConfig:
    """Health probes."""
    return HealthConfig(
        path=settings.health_check_endpoint,
        interval_s=settings.health_check_interval_secs,
        timeout_s=settings.health_check_timeout_secs,
        failure_threshold=settings.health_failure_threshold,
        success_threshold=settings.health_success_threshold,
        enabled=not settings.disable_health_check,
    )


def policy_config(settings: Settings) -> PolicyConfig:
    """Policy parameters: they are named like the flags."""
    names = (field.name for field in fields(PolicyConfig))
    return PolicyConfig(
        **{name: getattr(settings, name) for name in names if hasattr(settings, name)},
        options=dict(settings.policy_options),
    )


def catalogue_config(settings: Settings) -> CatalogueConfig:
    """Which tokenizer is loaded at start-up, and how its encodings are kept."""
    source = settings.tokenizer_path or settings.model_path
    exact, pieces = settings.tokenizer_cache_enable_l0, settings.tokenizer_cache_enable_l1
    limits = CacheLimits(
        exact=exact,
        exact_max_entries=settings.tokenizer_cache_l0_max_entries,
        exact_max_bytes=settings.tokenizer_cache_l0_max_memory,
        pieces=pieces,
        pieces_max_bytes=settings.tokenizer_cache_l1_max_memory,
    )
    return CatalogueConfig(
        source=None if settings.disable_tokenizer_autoload else source,
        chat_template=settings.chat_template,
        cache=limits if exact or pieces else None,
        max_open_loads=settings.job_queue_capacity,
    )


def policy_settings(settings: Settings) -> tuple[object, ...]:
    """Everything that policies are made from."""
    return (
        settings.policy,
        settings.prefill_policy,
        settings.decode_policy,
        settings.routing_key_override,
        policy_config(settings),
    )


def relay_config(settings: Settings) -> RelayConfig:
    """How requests are relayed and read for routing."""
    names = settings.routing_key_headers or ("x-smg-routing-key",)
    sticky = settings.routing_key_override
    return RelayConfig(
        request_timeout_s=settings.request_timeout_secs,
        keepalive_s=settings.sse_keepalive_secs,
        aliases=dict(settings.model_alias),
        routing_key_headers=tuple(name.lower().encode() for name in names),
        sessions=SessionKeys(settings.session_key_sources) if sticky else None,
        requires_model=settings.enable_igw or is_discovering(settings),
    )


def overload_limits(settings: Settings) -> OverloadLimits:
    """From which reported load on a worker is left out."""
    if settings.disable_worker_overload_protection:
        return OverloadLimits(waiting_requests=None, token_usage=None)
    return OverloadLimits(
        waiting_requests=settings.worker_overload_waiting_requests,
        token_usage=settings.worker_overload_token_usage,
    )


def shed_retry_after_s(settings: Settings) -> int | None:
    """When to try again after a refusal for overload: the next reports decide. None refuses none."""
    return settings.load_monitor_interval if settings.worker_overload_shed else None


def fleet_config(settings: Settings) -> FleetConfig:
    """How workers come, are watched and go."""
    protects = not settings.disable_worker_overload_protection
    needs_load = protects or settings.policy in LOAD_POLICIES
    removes_failed = settings.remove_unhealthy_workers
    if removes_failed is None:
        # Discovery brings them back once they are well again.
        removes_failed = is_discovering(settings)
    return FleetConfig(
        health=health_config(settings),
        breaker=breaker_config(settings),
        pool=PoolLimits(idle_timeout_s=settings.upstream_pool_idle_timeout_secs),
        overload=overload_limits(settings),
        liveness=LivenessLimits(
            unreachable_s=settings.worker_stall_secs, wedge_s=settings.worker_wedge_secs
        ),
        api_key=settings.api_key,
        startup_timeout_s=settings.worker_startup_timeout_secs,
        startup_delay_s=settings.worker_startup_delay,
        startup_interval_s=settings.worker_startup_check_interval,
        job_capacity=settings.job_queue_capacity,
        job_concurrency=settings.job_queue_concurrency,
        load_interval_s=settings.load_monitor_interval,
        monitors_load=needs_load or not settings.disable_load_monitoring,
        removes_failed=removes_failed,
        dp_aware=settings.dp_aware,
    )


def static_workers(settings: Settings) -> list[WorkerSpec]:
    """The workers that the settings name; with discovery they name none."""
    if is_discovering(settings):
        return []
    if not settings.pd_disaggregation:
        return [WorkerSpec(url=url) for url in settings.worker_urls]
    prefills = [
        WorkerSpec(url=url, worker_type="prefill", bootstrap_port=port)
        for url, port in settings.prefill or ()
    ]
    decodes = [WorkerSpec(url=url, worker_type="decode") for url in settings.decode or ()]
    return [*prefills, *decodes]


def discovery_config(settings: Settings) -> FileDiscovery | KubernetesDiscovery | None:
    """Where workers are found; None when the settings name them."""
    if not is_discovering(settings):
        return None
    paired = is_disaggregated(settings)
    if settings.discovery_provider == "file":
        interval_s = settings.discovery_check_interval_secs
        return FileDiscovery(
            path=settings.discovery_file or "",
            interval_s=30 if interval_s is None else interval_s,
            paired=paired,
        )
    roles: tuple[tuple[WorkerType, Selector | None], ...] = (("regular", settings.selector),)
    if paired:
        roles = (
            ("encode", settings.encode_selector),
            ("prefill", settings.prefill_selector),
            ("decode", settings.decode_selector),
        )
    return KubernetesDiscovery(
        namespace=settings.service_discovery_namespace,
        rules=PodRules(
            roles=tuple((role, selector) for role, selector in roles if selector),
            port=settings.service_discovery_port,
            model_id_from=settings.model_id_from,
            kv_connector_annotation=settings.kv_connector_annotation,
            kv_engine_id_annotation=settings.kv_engine_id_annotation,
        ),
    )


def pair_config(settings: Settings) -> PairConfig:
    """Requests on pairs of workers."""
    queue, wait_s = settings.prefill_queue_size, settings.prefill_queue_timeout_secs
    return PairConfig(
        always=settings.pd_disaggregation,
        queue=PairQueueLimits(
            prefill_queue=100 if queue is None else queue,
            prefill_wait_s=60 if wait_s is None else wait_s,
            decode_wait_s=settings.pd_admission_wait_secs,
        ),
        shed_retry_after_s=settings.load_monitor_interval,
    )


def limits(settings: Settings) -> Limits:
    """Admission of requests."""
    return Limits(
        max_concurrent=concurrency_bound(settings.max_concurrent_requests),
        rate_per_s=settings.rate_limit_tokens_per_second or 0,
        queue_size=settings.queue_size,
        queue_timeout_s=settings.queue_timeout_secs,
    )


def edge_limits(settings: Settings) -> EdgeLimits:
    """Bounds towards clients."""
    return EdgeLimits(
        max_body_bytes=settings.max_payload_size,
        header_read_timeout_s=settings.header_read_timeout_secs,
        idle_timeout_s=settings.idle_connection_timeout_secs,
        body_timeout_s=settings.request_timeout_secs,
        body_stall_timeout_s=settings.stream_body_stall_timeout_secs,
    )


def worker_tls(settings: Settings) -> ssl.SSLContext:
    """TLS towards `https://` workers: system trust, extra authorities, client certificate."""
    context = ssl.create_default_context()
    for path in settings.ca_cert_paths:
        context.load_verify_locations(cafile=path)
    if settings.client_cert_path is not None:
        context.load_cert_chain(settings.client_cert_path, settings.client_key_path)
    return context


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """TLS towards clients, where a certificate is configured."""
    if settings.tls_cert_path is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert_path, settings.tls_key_path)
    context.set_alpn_protocols(["http/1.1"])
    return context
