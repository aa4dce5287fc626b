"""What discovery does, as metrics and log lines."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ..observability.logs import get_logger
from ..observability.metrics import Exposition
from .worker import DiscoveredWorker

MAX_COMPLAINTS = 1024
"""Complaints that are remembered so as not to be repeated."""


class DiscoveryTelemetry:
    """Counts and logs for one source; it is the `SnapshotWatcher` of its provider too."""

    def __init__(
        self, exposition: Exposition, source: str, duration_bounds_s: Sequence[float]
    ) -> None:
        self.source = source
        self._log = get_logger("smg_gateway.discovery")
        counter = exposition.counter
        self._registrations = counter(
            "smg_discovery_registrations_total",
            "Registrations of discovered workers.",
            ("source", "result"),
        )
        self._deregistrations = counter(
            "smg_discovery_deregistrations_total",
            "Removals of workers that are not wanted any more.",
            ("source", "reason"),
        )
        self._duration = exposition.histogram(
            "smg_discovery_sync_duration_seconds",
            "Time to compare wanted workers with those there are, and to act on it.",
            ("source",),
            duration_bounds_s,
        ).of(source)
        self._discovered = exposition.gauge(
            "smg_discovery_workers_discovered", "Workers that the source wants.", ("source",)
        ).of(source)
        self._errors = counter(
            "smg_discovery_snapshot_errors_total",
            "Times that a source could not be read.",
            ("source", "reason"),
        )
        self._failure: str | None = None
        self._complaints: OrderedDict[tuple[str, str], None] = OrderedDict()

    # --- SnapshotWatcher -----------------------------------------------------------------

    def snapshot_failed(self, reason: str, detail: str) -> None:
        """No snapshot could be had; only news about that is a warning."""
        self._errors.of(self.source, reason).inc()
        if detail == self._failure:
            self._log.debug("discovery source still unreadable", source=self.source, reason=detail)
            return
        self._failure = detail
        self._log.warning(
            "discovery source unreadable, the last workers stay", source=self.source, reason=detail
        )

    def snapshot_read(self, workers: int) -> None:
        """The source could be read."""
        if self._failure is not None:
            self._failure = None
            self._log.info("discovery source is back", source=self.source)
        self._log.debug("discovery source read", source=self.source, workers=workers)

    def complain(self, place: str, detail: str) -> None:
        """Something is odd; the same oddity is told once."""
        if (place, detail) in self._complaints:
            return
        if len(self._complaints) >= MAX_COMPLAINTS:
            self._complaints.popitem(last=False)
        self._complaints[place, detail] = None
        self._log.warning("discovery", source=self.source, place=place, reason=detail)

    # --- reconciliation ------------------------------------------------------------------

    def synced(self, wanted: int, duration_s: float) -> None:
        """The workers there are have been compared with those wanted."""
        self._discovered.set(wanted)
        self._duration.observe(duration_s)

    def submitted(self, worker: DiscoveredWorker, *, replaces: bool) -> None:
        """A registration has begun."""
        self._log.info(
            "registering discovered worker",
            source=self.source,
            worker=worker.url,
            id=worker.id,
            worker_type=worker.worker_type,
            replaces=replaces,
        )

    def registered(self) -> None:
        """A registration has succeeded."""
        self._registrations.of(self.source, "success").inc()

    def registration_failed(self) -> None:
        """A registration was refused or given up."""
        self._registrations.of(self.source, "failed").inc()

    def deregistered(self, url: str) -> None:
        """A worker is drained because the source does not want it any more."""
        self._deregistrations.of(self.source, "reconciled").inc()
        self._log.info("removing discovered worker", source=self.source, worker=url)
