"""From flat settings to the configuration of each part."""

from __future__ import annotations

import ssl
from dataclasses import fields

from smg_policies import PolicyConfig

from .edge import EdgeLimits
from .selection import RetryPolicy
from .settings import Settings
from .workers import BreakerConfig, HealthConfig, RegistrationConfig


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
    return PolicyConfig(**{
        name: getattr(settings, name) for name in names if hasattr(settings, name)
    })


def registration_config(settings: Settings) -> RegistrationConfig:
    """Registration of the workers given at start-up."""
    return RegistrationConfig(
        startup_timeout_s=settings.worker_startup_timeout_secs,
        startup_delay_s=settings.worker_startup_delay,
        interval_s=settings.worker_startup_check_interval,
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
