"""A worker's own numbers over those of the fleet."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ..upstream import PoolLimits
from .breaker import FAILURE_STATUSES, NEUTRAL_STATUSES, BreakerConfig
from .health import HealthConfig
from .spec import HealthSpec, WorkerSpec
from .vetoes import OverloadLimits

_T = TypeVar("_T")


def _given(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def health_of(spec: HealthSpec | None, fleet: HealthConfig) -> HealthConfig:
    """How a worker is probed."""
    if spec is None:
        return fleet
    enabled = fleet.enabled
    if spec.disable_health_check is not None:
        enabled = not spec.disable_health_check
    return replace(
        fleet,
        timeout_s=_given(spec.timeout_secs, fleet.timeout_s),
        interval_s=_given(spec.check_interval_secs, fleet.interval_s),
        success_threshold=_given(spec.success_threshold, fleet.success_threshold),
        failure_threshold=_given(spec.failure_threshold, fleet.failure_threshold),
        drain_settle_s=_given(spec.drain_settle_secs, fleet.drain_settle_s),
        enabled=enabled,
    )


def breaker_of(spec: WorkerSpec, fleet: BreakerConfig) -> BreakerConfig:
    """When a worker's circuit opens and closes."""
    own = spec.resilience
    if own is None:
        return fleet
    enabled = fleet.enabled
    if own.disable_circuit_breaker is not None:
        enabled = not own.disable_circuit_breaker
    return replace(
        fleet,
        failure_threshold=_given(own.cb_failure_threshold, fleet.failure_threshold),
        success_threshold=_given(own.cb_success_threshold, fleet.success_threshold),
        open_s=_given(own.cb_timeout_secs, fleet.open_s),
        enabled=enabled,
    )


def pool_limits_of(spec: WorkerSpec, fleet: PoolLimits) -> PoolLimits:
    """Bounds of a worker's connection pool."""
    own = spec.http_pool
    if own is None:
        return fleet
    return replace(
        fleet,
        idle_timeout_s=_given(own.pool_idle_timeout_secs, fleet.idle_timeout_s),
        connect_timeout_s=_given(own.connect_timeout_secs, fleet.connect_timeout_s),
        max_idle=_given(own.pool_max_idle_per_host, fleet.max_idle),
    )


def overload_of(spec: WorkerSpec, fleet: OverloadLimits) -> OverloadLimits:
    """From which load on a worker is left out."""
    own = spec.overload
    if own is None:
        return fleet
    return OverloadLimits(
        waiting_requests=_given(own.waiting_requests, fleet.waiting_requests),
        token_usage=_given(own.token_usage, fleet.token_usage),
    )


def statuses_of(spec: WorkerSpec) -> tuple[frozenset[int], frozenset[int]]:
    """The statuses that count against a worker, and those that say nothing about it."""
    own = spec.resilience
    failures, neutral = FAILURE_STATUSES, NEUTRAL_STATUSES
    if own is not None and own.retryable_status_codes is not None:
        failures = frozenset(own.retryable_status_codes)
    if own is not None and own.capacity_status_codes is not None:
        neutral = frozenset(own.capacity_status_codes)
    return failures - neutral, neutral


def weight_of(spec: WorkerSpec) -> float:
    """A worker's share under weighted_round_robin.

    The label `weight` says it; without one, priority over cost does, so that a worker with neither
    has weight 1.
    """
    label = spec.labels.get("weight")
    if label is not None:
        try:
            weight = float(label)
        except ValueError:
            weight = 0.0
        if 0 < weight < float("inf"):
            return weight
    return max(spec.priority, 1) / 50 / spec.cost if spec.cost > 0 else max(spec.priority, 1) / 50
