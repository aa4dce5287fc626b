"""Settings of limits, retries, circuit breakers, health probes and worker start-up."""

from __future__ import annotations

from dataclasses import dataclass

from smg_gateway.settings.declaration import Group, Status
from smg_gateway.settings.shapes import FLAG, FLOAT, I32, TOGGLE, U32, U64

__all__ = ("ResilienceSettings",)

_LIMITS = Group("Rate Limiting")
_RETRY = Group("Retry Configuration")
_BREAKER = Group("Circuit Breaker")
_HEALTH = Group("Health Checks")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ResilienceSettings:
    """What protects the gateway from its clients, and requests from failing workers."""

    __slots__ = ()

    max_concurrent_requests: int = _LIMITS.setting(
        -1,
        "--max-concurrent-requests",
        shape=I32,
        live_reload=True,
        help="Requests served at once; -1 chooses the larger of 4096 and 1024 per core, "
        "0 sets no bound.",
    )
    queue_size: int = _LIMITS.setting(
        100,
        "--queue-size",
        shape=U64,
        live_reload=True,
        help="Requests that may wait for their turn; with 0 the surplus gets 429 at once.",
    )
    queue_timeout_secs: int = _LIMITS.setting(
        60,
        "--queue-timeout-secs",
        shape=U64,
        live_reload=True,
        help="Longest wait of a queued request.",
    )
    rate_limit_tokens_per_second: int | None = _LIMITS.setting(
        None,
        "--rate-limit-tokens-per-second",
        shape=I32,
        live_reload=True,
        help="Requests admitted per second in the long run; unset or 0 sets no rate.",
    )
    body_memory_bytes: int = _LIMITS.setting(
        1073741824,
        "--body-memory-bytes",
        shape=U64,
        own=True,
        live_reload=True,
        help="Bytes that the bodies of all requests may take together, beyond which new ones "
        "get 503; 0 sets no bound.",
    )
    max_background_responses: int = _LIMITS.setting(
        1024,
        "--max-background-responses",
        shape=U64,
        status=Status.TUNING,
        help="Background responses computed at once; 0 computes them in the foreground.",
    )

    retry_max_retries: int = _RETRY.setting(
        5,
        "--retry-max-retries",
        shape=U32,
        live_reload=True,
        help="Attempts per request, the first one included.",
    )
    retry_initial_backoff_ms: int = _RETRY.setting(
        50,
        "--retry-initial-backoff-ms",
        shape=U64,
        live_reload=True,
        help="Pause before the second attempt.",
    )
    retry_max_backoff_ms: int = _RETRY.setting(
        30000,
        "--retry-max-backoff-ms",
        shape=U64,
        live_reload=True,
        help="Longest pause between two attempts.",
    )
    retry_backoff_multiplier: float = _RETRY.setting(
        1.5,
        "--retry-backoff-multiplier",
        shape=FLOAT,
        live_reload=True,
        help="Factor by which the pause grows with each attempt, at least 1.",
    )
    retry_jitter_factor: float = _RETRY.setting(
        0.2,
        "--retry-jitter-factor",
        shape=FLOAT,
        live_reload=True,
        help="Share of the pause that is randomised in both directions, 0 to 1.",
    )
    disable_retries: bool = _RETRY.setting(
        False,
        "--disable-retries",
        shape=FLAG,
        live_reload=True,
        help="Try every request exactly once.",
    )

    cb_failure_threshold: int = _BREAKER.setting(
        10,
        "--cb-failure-threshold",
        shape=U32,
        live_reload=True,
        help="Failures in a row after which a worker's circuit opens.",
    )
    cb_success_threshold: int = _BREAKER.setting(
        3,
        "--cb-success-threshold",
        shape=U32,
        live_reload=True,
        help="Successes of a half-open circuit that close it again.",
    )
    cb_timeout_duration_secs: int = _BREAKER.setting(
        60,
        "--cb-timeout-duration-secs",
        shape=U64,
        live_reload=True,
        help="Seconds a circuit stays open before trial requests are let through.",
    )
    cb_window_duration_secs: int = _BREAKER.setting(
        120,
        "--cb-window-duration-secs",
        shape=U64,
        live_reload=True,
        help="Length of the failure window; reported, but no decision depends on it.",
    )
    disable_circuit_breaker: bool = _BREAKER.setting(
        False,
        "--disable-circuit-breaker",
        shape=FLAG,
        live_reload=True,
        help="Never open a circuit.",
    )

    health_failure_threshold: int = _HEALTH.setting(
        3,
        "--health-failure-threshold",
        shape=U32,
        live_reload=True,
        help="Failed probes in a row that take a worker out of service.",
    )
    health_success_threshold: int = _HEALTH.setting(
        2,
        "--health-success-threshold",
        shape=U32,
        live_reload=True,
        help="Good probes in a row that bring a worker back.",
    )
    health_check_timeout_secs: int = _HEALTH.setting(
        5,
        "--health-check-timeout-secs",
        shape=U64,
        live_reload=True,
        help="Seconds a probe may take.",
    )
    health_check_interval_secs: int = _HEALTH.setting(
        60,
        "--health-check-interval-secs",
        shape=U64,
        live_reload=True,
        help="Seconds between two probes.",
    )
    health_check_endpoint: str = _HEALTH.setting(
        "/health",
        "--health-check-endpoint",
        live_reload=True,
        help="Path that is probed on each worker; it begins with a slash.",
    )
    disable_health_check: bool = _HEALTH.setting(
        False,
        "--disable-health-check",
        shape=FLAG,
        live_reload=True,
        help="Send no probes and take every worker for healthy.",
    )
    remove_unhealthy_workers: bool | None = _HEALTH.setting(
        None,
        "--remove-unhealthy-workers",
        "--worker-auto-recovery",
        shape=TOGGLE,
        live_reload=True,
        help="Forget workers that fail their probes; unset does so only for discovered ones.",
    )

    @property
    def attempt_limit(self) -> int:
        """Attempts per request that the retry settings together allow."""
        return 1 if self.disable_retries else self.retry_max_retries
