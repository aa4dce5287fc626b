"""What is counted about admission."""

from __future__ import annotations

from collections.abc import Callable

from .metrics import Exposition


class AdmissionMetrics:
    """SMG's families of the admission queue."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        decisions = exposition.counter(
            "smg_http_rate_limit_total", "Admission decisions.", ("result",)
        )
        self.allowed = decisions.of("allowed")
        self._rejected = decisions.of("rejected")
        self._refusals = exposition.counter(
            "smg_admission_queue_rejected_total", "Requests that were not admitted.", ("reason",)
        )
        self._inflight = exposition.gauge("smg_admission_inflight", "Permits held.").of()
        self._depth = exposition.gauge("smg_admission_queue_depth", "Requests that wait.").of()

    def rejected(self, reason: str) -> None:
        """A request was not admitted: `full` or `timeout`."""
        self._rejected.inc()
        self._refusals.of(reason).inc()

    def watch(self, state: Callable[[], tuple[int, int]]) -> None:
        """Show permits held and requests waiting, as `state` tells them at each scrape."""

        def refresh() -> None:
            inflight, depth = state()
            self._inflight.set(inflight)
            self._depth.set(depth)

        self._exposition.on_scrape(refresh)
