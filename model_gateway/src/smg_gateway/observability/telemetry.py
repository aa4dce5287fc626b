"""SMG's metric families for what exists so far, and the handles the hot path uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from smg_policies import Decision

from ..workers import BreakerState, Registry, Snapshot, Worker, WorkerStatus
from .metrics import (
    BACKOFF_BUCKETS_S,
    DURATION_BUCKETS_S,
    MATCH_RATIO_BUCKETS,
    MAX_MODEL_LABEL_CHARACTERS,
    MAX_MODEL_LABELS,
    Cell,
    Exposition,
    HistogramCell,
)

_HTTP = "http"
_REGULAR = "regular"
_REMOVED = -1.0

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are label values of their own; clients can make up any others."""


class PathSeries(NamedTuple):
    """Series of one method and route template."""

    requests: Cell
    duration_s: HistogramCell


class RouterSeries(NamedTuple):
    """Series of one model, endpoint and streaming flag."""

    requests: Cell
    duration_s: HistogramCell


def error_type(status: int) -> str:
    """The `error_type` label for a failed request's status."""
    if status == 400:
        return "validation_error"
    if status == 404:
        return "no_workers"
    if status in (408, 504):
        return "timeout"
    if status == 503:
        return "unavailable"
    return "backend_error" if status >= 500 else "internal_error"


class Telemetry:
    """Everything that is counted. One per gateway."""

    def __init__(self, duration_buckets_s: Sequence[float] | None = None) -> None:
        buckets = self.duration_bounds_s = tuple(duration_buckets_s or DURATION_BUCKETS_S)
        self.exposition = exposition = Exposition()
        counter, gauge = exposition.counter, exposition.gauge
        self._http_requests = counter(
            "smg_http_requests_total", "Requests received.", ("method", "path")
        )
        self._http_duration = exposition.histogram(
            "smg_http_request_duration_seconds",
            "Seconds until the response head was ready.",
            ("method", "path"),
            buckets,
        )
        self._http_responses = counter(
            "smg_http_responses_total",
            "Responses that have gone out, or whose client left.",
            ("path", "status_code", "error_code"),
        )
        self._http_active = gauge("smg_http_connections_active", "Requests being handled.").of()
        self._connection_timeouts = counter(
            "smg_http_connection_timeouts_total",
            "Connections closed without a request.",
            ("reason",),
        )
        router = ("router_type", "backend_type", "connection_mode", "model", "endpoint")
        self._router_requests = counter(
            "smg_router_requests_total", "Routed requests.", (*router, "streaming")
        )
        self._router_duration = exposition.histogram(
            "smg_router_request_duration_seconds",
            "Seconds from routing to the response head.",
            router,
            buckets,
        )
        self._router_errors = counter(
            "smg_router_request_errors_total", "Failed requests.", (*router, "error_type")
        )
        self._upstream_responses = counter(
            "smg_router_upstream_responses_total",
            "Responses of workers.",
            ("router_type", "status_code", "error_code"),
        )
        self.send_retries = counter(
            "smg_router_upstream_send_retries_total",
            "Immediate resends after a transport failure.",
            ("router_type",),
        ).of(_HTTP)
        self._body_paths = counter(
            "smg_router_request_body_path_total",
            "How request bodies were handled.",
            ("path", "reason"),
        )
        self._declare_workers(exposition)
        self._declare_policies(exposition)
        self._models: set[str] = set()
        self._path_series: dict[tuple[str, str], PathSeries] = {}
        self._router_series: dict[tuple[str, str, bool, str], RouterSeries] = {}
        self.body_read = self._body_paths.of("buffered", "retryable")
        self.body_unread = self._body_paths.of("streamed", "pure_forward")

    def _declare_policies(self, exposition: Exposition) -> None:
        self._policy_branches = {
            policy: exposition.counter(
                f"smg_{policy}_policy_branch_total",
                f"Which rule of {policy} decided.",
                ("branch",),
            )
            for policy in ("cache_aware", "consistent_hashing", "prefix_hash", "manual")
        }
        self._key_sources = exposition.counter(
            "smg_routing_key_source_total", "Where session keys came from.", ("source",)
        )
        self._match_ratio = exposition.histogram(
            "smg_cache_aware_match_ratio",
            "Share of the prompt believed to be cached on the chosen worker.",
            (),
            MATCH_RATIO_BUCKETS,
        ).of()

    def _declare_workers(self, exposition: Exposition) -> None:
        counter, gauge = exposition.counter, exposition.gauge
        self._pool_size = gauge(
            "smg_worker_pool_size",
            "Registered workers.",
            ("worker_type", "connection_mode", "model"),
        )
        self._worker_active = gauge(
            "smg_worker_requests_active", "Requests in flight.", ("worker",)
        )
        self._worker_requests = counter(
            "smg_worker_requests_total", "Requests sent.", ("worker", "model")
        )
        self._worker_health = gauge(
            "smg_worker_health", "1 healthy, 0 not, -1 removed.", ("worker",)
        )
        self._health_checks = counter(
            "smg_worker_health_checks_total", "Health probes.", ("worker_type", "result")
        )
        self._selections = counter(
            "smg_worker_selection_total",
            "Selections.",
            ("worker_type", "connection_mode", "model", "policy"),
        )
        self._worker_errors = counter(
            "smg_worker_errors_total",
            "Worker failures.",
            ("worker_type", "connection_mode", "error_type"),
        )
        self._breaker_state = gauge(
            "smg_worker_cb_state", "0 closed, 1 open, 2 half-open, -1 removed.", ("worker",)
        )
        self._breaker_moves = counter(
            "smg_worker_cb_transitions_total", "Breaker transitions.", ("worker", "from", "to")
        )
        self._breaker_outcomes = counter(
            "smg_worker_cb_outcomes_total", "Outcomes seen by breakers.", ("worker", "outcome")
        )
        self._breaker_failures = gauge(
            "smg_worker_cb_consecutive_failures", "Failures in a row.", ("worker",)
        )
        self._breaker_successes = gauge(
            "smg_worker_cb_consecutive_successes", "Successes in a row.", ("worker",)
        )
        self._readmissions = counter(
            "smg_worker_cb_health_readmissions_total",
            "Open breakers moved to half-open by a health promotion.",
            ("worker",),
        )
        self._overload_fallbacks = counter(
            "smg_worker_overload_fallback_total",
            "Requests sent to the least loaded worker because all were overloaded.",
            ("stage",),
        ).of("selection")
        self._stall_fallbacks = counter(
            "smg_worker_liveness_fallback_total",
            "Requests sent to the least loaded worker because all had stalled.",
            ("stage",),
        ).of("selection")
        self._sheds = counter(
            "smg_worker_overload_shed_total",
            "Requests refused because all workers were overloaded.",
            ("stage",),
        )
        for stage in ("selection", "dispatch", "pd_admission"):
            self._sheds.of(stage)
        self._retries = counter("smg_worker_retries_total", "Retries.", ("worker_type", "endpoint"))
        self._retries_exhausted = counter(
            "smg_worker_retries_exhausted_total",
            "Requests whose last attempt failed.",
            ("worker_type", "endpoint"),
        )
        self._backoff = exposition.histogram(
            "smg_worker_retry_backoff_seconds",
            "Backoff slept before a retry.",
            ("attempt",),
            BACKOFF_BUCKETS_S,
        )

    # --- HTTP layer ----------------------------------------------------------------------

    def path_series(self, method: str, path: str) -> PathSeries:
        """Handles for one method and route template."""
        key = (method if method in METHODS else "OTHER", path)
        series = self._path_series.get(key)
        if series is None:
            series = self._path_series[key] = PathSeries(
                self._http_requests.of(*key), self._http_duration.of(*key)
            )
        return series

    def responded(self, path: str, status: int, error_code: str) -> None:
        """A response has fully gone out, or ended early (499 `client_closed_request`)."""
        self._http_responses.of(path, str(status), error_code).value += 1

    def connection_timed_out(self, reason: str) -> None:
        """A client connection was closed for slowness: `header_read` or `idle`."""
        self._connection_timeouts.of(reason).inc()

    # --- routing -------------------------------------------------------------------------

    def model_label(self, model: str | None, served: bool) -> str:
        """`unknown` for no model, `other` for one nobody serves or past the bound."""
        if model is None:
            return "unknown"
        if not served or len(model) > MAX_MODEL_LABEL_CHARACTERS:
            return "other"
        if model in self._models:
            return model
        if len(self._models) >= MAX_MODEL_LABELS:
            return "other"
        self._models.add(model)
        return model

    def router_series(
        self, model: str, endpoint: str, streaming: bool, backend: str = _REGULAR
    ) -> RouterSeries:
        """Handles for one model label, endpoint, streaming flag and kind of backend."""
        key = (model, endpoint, streaming, backend)
        series = self._router_series.get(key)
        if series is None:
            labels = (_HTTP, backend, _HTTP, model, endpoint)
            series = self._router_series[key] = RouterSeries(
                self._router_requests.of(*labels, "true" if streaming else "false"),
                self._router_duration.of(*labels),
            )
        return series

    def request_failed(
        self, model: str, endpoint: str, status: int, backend: str = _REGULAR
    ) -> None:
        """A routed request ended in an error status."""
        self._router_errors.of(_HTTP, backend, _HTTP, model, endpoint, error_type(status)).inc()

    def requests_total(self) -> float:
        """Routed requests of all models and endpoints so far."""
        return sum(series.requests.value for series in self._router_series.values())

    def upstream_responded(self, status: int, error_code: str = "") -> None:
        """A worker answered, or the gateway in its place."""
        self._upstream_responses.of(_HTTP, str(status), error_code).value += 1

    def selected(self, model: str, decision: Decision, worker_type: str = _REGULAR) -> None:
        """A policy chose a worker."""
        self._selections.of(worker_type, _HTTP, model, decision.policy).value += 1
        if decision.branch:
            family = self._policy_branches.get(decision.policy)
            if family is not None:
                family.of(decision.branch).value += 1
            if decision.policy == "cache_aware" and decision.total:
                self._match_ratio.observe(decision.matched / decision.total)

    def veto_overruled(self, veto: str) -> None:
        """Everybody was avoided, for "overload" or "liveness", so the least loaded was used."""
        (self._overload_fallbacks if veto == "overload" else self._stall_fallbacks).inc()

    def load_shed(self, stage: str) -> None:
        """A request was refused because all workers are overloaded."""
        self._sheds.of(stage).inc()

    def session_key_found(self, source: str) -> None:
        """A request told which session it belongs to."""
        self._key_sources.of(source).value += 1

    def sent(self, worker: Worker, model: str) -> None:
        """A request goes to a worker."""
        self._worker_requests.of(worker.url, model).value += 1

    def worker_failed(self, kind: str) -> None:
        """A worker failed: `timeout`, `backend_error`, ..."""
        self._worker_errors.of(_REGULAR, _HTTP, kind).inc()

    def retried(self, endpoint: str, attempt: int, backoff_s: float) -> None:
        """Attempt number `attempt` is followed by another one after `backoff_s`."""
        self._retries.of(_REGULAR, endpoint).inc()
        self._backoff.of(str(attempt)).observe(backoff_s)

    def retries_exhausted(self, endpoint: str) -> None:
        """The last attempt failed too."""
        self._retries_exhausted.of(_REGULAR, endpoint).inc()

    # --- workers -------------------------------------------------------------------------

    def breaker_outcome(self, worker: Worker, success: bool) -> None:
        """A breaker saw an outcome."""
        outcome = "success" if success else "failure"
        self._breaker_outcomes.of(worker.url, outcome).value += 1

    def breaker_moved(self, url: str, old: BreakerState, new: BreakerState) -> None:
        """A breaker changed state."""
        self._breaker_moves.of(url, old.name.lower(), new.name.lower()).inc()

    def breaker_readmitted(self, worker: Worker) -> None:
        """A health promotion let an open breaker try again."""
        self._readmissions.of(worker.url).inc()

    def probed(self, healthy: bool, worker_type: str = _REGULAR) -> None:
        """A health probe has an answer."""
        self._health_checks.of(worker_type, "success" if healthy else "failure").inc()

    def worker_removed(self, worker: Worker) -> None:
        """A removed worker's gauges say so."""
        self._worker_health.of(worker.url).set(_REMOVED)
        self._breaker_state.of(worker.url).set(_REMOVED)
        for family in (self._worker_active, self._breaker_failures, self._breaker_successes):
            family.of(worker.url).set(0)

    def watch(self, registry: Registry, active_requests: Callable[[], int]) -> None:
        """Refresh the gauges of live state at each scrape."""
        self.exposition.on_scrape(lambda: self._refresh(registry, active_requests()))

    def _refresh(self, registry: Registry, active_requests: int) -> None:
        self._http_active.set(active_requests)
        snapshot = registry.snapshot
        for worker in snapshot.workers:
            self._worker_active.of(worker.url).set(worker.load)
            self._worker_health.of(worker.url).set(worker.status is WorkerStatus.READY)
            self._breaker_state.of(worker.url).set(worker.breaker.state)
            self._breaker_failures.of(worker.url).set(worker.breaker.failures)
            self._breaker_successes.of(worker.url).set(worker.breaker.successes)
        for kind, model, size in _pool_sizes(snapshot):
            label = self.model_label(model, served=True)
            self._pool_size.of(kind, _HTTP, label).set(size)


def _pool_sizes(snapshot: Snapshot) -> Iterator[tuple[str, str | None, int]]:
    """Type, model and number of registered workers; those that take any model go without one."""
    for model, workers in snapshot.by_model.items():
        yield _REGULAR, model, len(workers)
    if snapshot.wildcard:
        yield _REGULAR, None, len(snapshot.wildcard)
    for kind, leg in snapshot.legs.items():
        for model, workers in leg.by_model.items():
            yield kind, model, len(workers)
