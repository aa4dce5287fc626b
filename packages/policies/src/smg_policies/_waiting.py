"""How long a request would wait at a worker, judged from engine load reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

from ._bounds import make_room
from ._config import PolicyConfig
from ._types import Candidate, LoadReport


def reports_of(candidates: Sequence[Candidate]) -> list[LoadReport | None]:
    """Each candidate's latest report; None for a candidate without one."""
    return [getattr(candidate, "report", None) for candidate in candidates]


class _Charge:
    """What was sent to a worker since its last report."""

    __slots__ = ("expires_at", "report", "requests", "tokens")

    def __init__(self, report: LoadReport | None) -> None:
        self.report = report
        self.tokens = 0
        self.requests = 0
        self.expires_at = float("inf")


class WaitEstimator:
    """Seconds of expected wait per worker, with the work sent since the last report on top.

    A report that is a different object than before wipes the charge of that worker. With `ttl_s`
    a charge is also dropped that long after the last addition. Charges are kept for workers
    that were charged and not forgotten; `forget` removes one.
    """

    def __init__(
        self,
        config: PolicyConfig,
        *,
        clock: Callable[[], float] | None = None,
        ttl_s: float | None = None,
        evenly: bool = False,
    ) -> None:
        """With `evenly`, what is charged is divided by the mean speed of all workers.

        Engines report what they generate, which is little where there is little to do: by its own
        figure an idle worker would seem to be the slowest one.
        """
        self._kv_weight = config.least_load_kv_pressure_weight
        self._throughput = config.least_load_default_throughput
        self._mean_tokens = config.least_load_mean_prefill_tokens
        self._clock = clock
        self._ttl_s = ttl_s
        self._evenly = evenly
        self._charges: dict[str, _Charge] = {}

    def __len__(self) -> int:
        return len(self._charges)

    def scores(
        self, candidates: Sequence[Candidate], reports: Sequence[LoadReport | None]
    ) -> list[float]:
        """Expected waits in the candidates' order; plain loads when no candidate has a report."""
        speeds = [report.throughput for report in reports if report and report.throughput > 0]
        if not any(reports):
            return [candidate.load for candidate in candidates]
        nominal = sum(speeds) / len(speeds) if speeds else self._throughput
        return [
            candidate.load * self._mean_tokens / nominal
            if report is None
            else self._wait_s(candidate.id, report, nominal)
            for candidate, report in zip(candidates, reports, strict=True)
        ]

    def dispatched(self, candidate: Candidate, report: LoadReport | None) -> int:
        """Requests charged to a worker since its latest report."""
        charge = self._charge(candidate.id, report)
        return charge.requests if charge else 0

    def charge(self, candidate: Candidate, report: LoadReport | None, tokens: int | None) -> None:
        """A request of that many prompt tokens (None: the assumed mean) goes to the worker."""
        charge = self._charge(candidate.id, report)
        if charge is None:
            make_room(self._charges)
            charge = self._charges[candidate.id] = _Charge(report)
        charge.tokens += self._mean_tokens if tokens is None else tokens
        charge.requests += 1
        if self._ttl_s is not None and self._clock is not None:
            charge.expires_at = self._clock() + self._ttl_s

    def forget(self, worker_id: str) -> None:
        """Drop what is charged to a worker."""
        self._charges.pop(worker_id, None)

    def twin(self) -> WaitEstimator:
        """A copy that can be charged without charging this one."""
        twin = copy(self)
        twin._charges = {worker_id: copy(charge) for worker_id, charge in self._charges.items()}
        return twin

    def _charge(self, worker_id: str, report: LoadReport | None) -> _Charge | None:
        charge = self._charges.get(worker_id)
        if charge is None:
            return None
        if charge.report is not report or (
            self._clock is not None and self._clock() >= charge.expires_at
        ):
            del self._charges[worker_id]
            return None
        return charge

    def _wait_s(self, worker_id: str, report: LoadReport, nominal: float) -> float:
        queued = report.waiting_uncached_tokens
        if queued is None:
            queued = (report.waiting_requests or 0) * self._mean_tokens
        speed = report.throughput if report.throughput > 0 else self._throughput
        usage = min(max(report.token_usage or 0.0, 0.0), 0.999)
        wait_s = self._kv_weight * usage / (1 - usage)
        charge = self._charge(worker_id, report) if self._charges else None
        if charge is None:
            return queued / speed + wait_s
        if self._evenly:
            return queued / speed + charge.tokens / nominal + wait_s
        return (queued + charge.tokens) / speed + wait_s
