"""What happens to workers, as metrics and log lines."""

from __future__ import annotations

from ..workers import BreakerState, RankLoad, Registry, Stall, Worker
from .logs import get_logger
from .telemetry import Telemetry

REMOVED = -1.0

_RANK_LABELS = ("worker", "model", "dp_rank")
_FIGURES = (
    ("running_requests", "num_running_reqs", "Requests that the engine works on."),
    ("waiting_requests", "num_waiting_reqs", "Requests that wait in the engine."),
    ("token_usage", "token_usage", "Share of the KV cache in use."),
    ("gen_throughput", "gen_throughput", "Tokens generated per second."),
    ("cache_hit_rate", "cache_hit_rate", "Share of prompt tokens found in the cache."),
)
_LEG_FIGURES = (
    ("kv_transfer_latency_ms", "Milliseconds of a KV cache transfer."),
    ("kv_transfer_speed_gb_s", "Gigabytes per second of KV cache transfers."),
    ("prefill_queue_reqs", "Requests that wait for prefill."),
    ("decode_queue_reqs", "Requests that wait for decoding."),
)


class FleetTelemetry:
    """The `FleetEvents` of a running gateway."""

    def __init__(self, telemetry: Telemetry, registry: Registry) -> None:
        self._telemetry = telemetry
        self._registry = registry
        self._log = get_logger("smg_gateway.workers")
        exposition = telemetry.exposition
        counter, gauge = exposition.counter, exposition.gauge
        self._http2 = gauge("smg_worker_http2", "1 where HTTP/2 is spoken.", ("worker",))
        self._stalled = gauge(
            "smg_worker_stalled", "1 while a worker is avoided.", ("worker", "reason")
        )
        self._stalls = counter(
            "smg_worker_stall_transitions_total",
            "Times a worker began to be avoided.",
            ("worker", "reason"),
        )
        self._overloaded = gauge(
            "smg_workers_overloaded", "Workers that report too much load.", ("model",)
        )
        self._polls = counter(
            "smg_engine_load_polls_total", "Questions for engines' load.", ("worker", "mode")
        )
        self._figures = {
            field: gauge(f"smg_engine_{name}", help_text, _RANK_LABELS)
            for name, field, help_text in _FIGURES
        }
        self._leg_figures = {
            name: gauge(f"smg_engine_pd_{name}", help_text, ("worker", "role", "dp_rank"))
            for name, help_text in _LEG_FIGURES
        }
        self._shown: dict[str, set[tuple[str, ...]]] = {}
        self._shown_legs: dict[str, set[tuple[str, ...]]] = {}
        self._models_overloaded: set[str] = set()
        exposition.on_scrape(self._refresh)

    # --- FleetEvents ---------------------------------------------------------------------

    def registered(self, worker: Worker) -> None:
        """A worker takes requests from now on."""
        self._http2.of(worker.url).set(0)
        self._log.info(
            "worker registered",
            worker=worker.url,
            models=worker.models or "any",
            runtime=worker.runtime,
        )

    def given_up(self, url: str, reason: str) -> None:
        """A worker never became one."""
        self._log.error("worker given up", worker=url, reason=reason)

    def removed(self, worker: Worker) -> None:
        """A worker has left for good: its gauges say so, its series stay."""
        self._log.info("worker removed", worker=worker.url, in_flight=worker.load)
        if self._registry.find(worker.url) is not None:
            return  # Somebody else is at the same URL by now, and the series are theirs.
        self._telemetry.worker_removed(worker)
        self._http2.of(worker.url).set(REMOVED)
        for labels in self._shown.pop(worker.url, ()):
            for family in self._figures.values():
                family.of(*labels).set(REMOVED)
        for labels in self._shown_legs.pop(worker.url, ()):
            for family in self._leg_figures.values():
                family.of(*labels).set(REMOVED)
        for reason in Stall:
            if worker.stalled is reason:
                self._stalled.of(worker.url, reason.value).set(0)

    def probed(self, worker: Worker, healthy: bool) -> None:
        """A health probe has an answer."""
        self._telemetry.probed(healthy, worker.worker_type)

    def status_changed(self, worker: Worker) -> None:
        """Probes have changed a worker's status."""
        self._log.warning("worker status changed", worker=worker.url, status=worker.status.value)

    def breaker_moved(self, url: str, old: BreakerState, new: BreakerState) -> None:
        """A circuit breaker has changed its state."""
        self._telemetry.breaker_moved(url, old, new)
        self._log.warning(
            "circuit breaker moved", worker=url, old=old.name.lower(), new=new.name.lower()
        )

    def breaker_readmitted(self, worker: Worker) -> None:
        """A health promotion let an open breaker try again."""
        self._telemetry.breaker_readmitted(worker)

    def stall_changed(self, worker: Worker, before: Stall | None) -> None:
        """A worker is avoided from now on, or no longer."""
        if before is not None:
            self._stalled.of(worker.url, before.value).set(0)
        now = worker.stalled
        if now is None:
            self._log.info("worker is back", worker=worker.url)
            return
        self._stalled.of(worker.url, now.value).set(1)
        self._stalls.of(worker.url, now.value).inc()
        self._log.warning("worker avoided", worker=worker.url, reason=now.value)

    def polled(self, worker: Worker) -> None:
        """A worker is about to be asked for its load."""
        self._polls.of(worker.url, "poll").inc()

    def reported(self, worker: Worker) -> None:
        """A worker's load figures are new."""
        for load in worker.engine_loads:
            self._show(worker, load)

    def visit_failed(self, error: Exception) -> None:
        """A probe or poll broke by a defect of the gateway's own."""
        self._log.error("visit of a worker failed", exc_info=error)

    # --- internals -----------------------------------------------------------------------

    def _show(self, worker: Worker, load: RankLoad) -> None:
        model = self._telemetry.model_label(
            worker.models[0] if worker.models else None, served=True
        )
        labels = (worker.url, model, str(load.dp_rank))
        self._shown.setdefault(worker.url, set()).add(labels)
        for field, family in self._figures.items():
            value = getattr(load, field)
            if value is not None:
                family.of(*labels).set(value)
        leg = load.disaggregation
        if leg is None:
            return
        leg_labels = (worker.url, leg.role, str(load.dp_rank))
        self._shown_legs.setdefault(worker.url, set()).add(leg_labels)
        for name, family in self._leg_figures.items():
            value = getattr(leg, name)
            if value is not None:
                family.of(*leg_labels).set(value)

    def _refresh(self) -> None:
        """Count flagged workers by model."""
        counts = dict.fromkeys(self._models_overloaded, 0)
        for worker in self._registry.snapshot.workers:
            if worker.overloaded:
                for name in worker.models or (None,):
                    label = self._telemetry.model_label(name, served=True)
                    counts[label] = counts.get(label, 0) + 1
        for label, number in counts.items():
            self._models_overloaded.add(label)
            self._overloaded.of(label).set(number)
