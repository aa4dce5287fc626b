"""Retries, circuit breakers and health probes."""

from __future__ import annotations

from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.conditions import require, require_at_least, require_positive

__all__ = ("check_breaker", "check_health", "check_retries")


def check_retries(settings: Settings) -> None:
    """Backoff grows, stays below its ceiling, and at least one attempt is made."""
    require(
        settings.attempt_limit >= 1,
        "retry.max_retries",
        settings.retry_max_retries,
        "Must be >= 1 (set to 1 to effectively disable retries)",
    )
    initial_ms, max_ms = settings.retry_initial_backoff_ms, settings.retry_max_backoff_ms
    require_positive("retry.initial_backoff_ms", initial_ms)
    require(max_ms >= initial_ms, "retry.max_backoff_ms", max_ms, "Must be >= initial_backoff_ms")
    multiplier, jitter = settings.retry_backoff_multiplier, settings.retry_jitter_factor
    reason = "Must be finite and >= 1.0"
    require_at_least("retry.backoff_multiplier", multiplier, 1.0, reason)
    in_range = 0.0 <= jitter <= 1.0
    require(in_range, "retry.jitter_factor", jitter, "Must be between 0.0 and 1.0")


def check_breaker(settings: Settings) -> None:
    """Thresholds and times of the breaker; a disabled one never reaches its failure threshold."""
    failures = settings.cb_failure_threshold
    require(
        settings.disable_circuit_breaker or failures >= 1,
        "circuit_breaker.failure_threshold",
        failures,
        "Must be >= 1 (set to u32::MAX to effectively disable CB)",
    )
    successes = settings.cb_success_threshold
    require(successes >= 1, "circuit_breaker.success_threshold", successes, "Must be >= 1")
    require_positive("circuit_breaker.timeout_duration_secs", settings.cb_timeout_duration_secs)
    require_positive("circuit_breaker.window_duration_secs", settings.cb_window_duration_secs)


def check_health(settings: Settings) -> None:
    """Probes take time, happen at intervals, and ask for a path."""
    rules = (
        (
            "failure_threshold",
            settings.health_failure_threshold,
            "--health-failure-threshold 0 would take every worker out of service",
        ),
        (
            "success_threshold",
            settings.health_success_threshold,
            "--health-success-threshold 0 would bring workers back unprobed",
        ),
        (
            "timeout_secs",
            settings.health_check_timeout_secs,
            "--health-check-timeout-secs 0 would fail every probe",
        ),
        (
            "check_interval_secs",
            settings.health_check_interval_secs,
            "--health-check-interval-secs 0 would probe without pause",
        ),
    )
    for name, value, consequence in rules:
        require(value >= 1, f"health_check.{name}", value, f"Must be >= 1 ({consequence})")
    path = settings.health_check_endpoint
    require(
        path.startswith("/"),
        "health_check.endpoint",
        path,
        "must start with '/': it is appended to each worker's URL",
    )
