"""One worker: identity, condition and the means to reach it."""

from __future__ import annotations

from collections.abc import Mapping

from smg_policies import LoadReport

from ..upstream import Pool
from .breaker import FAILURE_STATUSES, NEUTRAL_STATUSES, BreakerState, CircuitBreaker
from .health import HealthConfig
from .identity import worker_id
from .load_answers import RankLoad
from .spec import ModelCard, WorkerSpec
from .status import WorkerStatus
from .vetoes import OverloadLimits, Stall


class Worker:
    """A registered worker, or one data-parallel rank of it.

    Identity never changes: `id` is what policies and rings know it by, its URL (`url@rank` for a
    rank); `uuid` is what the control plane calls it. `models` is empty for a worker that takes any
    model. Condition changes: `status`, `overloaded`, `stalled` and the breaker decide together
    whether it is `routable`, which is kept up to date so that choosing among many is cheap.
    `load` counts requests in flight, `contacts` answers of any kind, `faults` transport failures.
    """

    __slots__ = (
        "_overloaded",
        "_stalled",
        "_status",
        "api_key",
        "base_url",
        "breaker",
        "cards",
        "contacts",
        "dp_rank",
        "engine_loads",
        "failure_statuses",
        "faults",
        "health",
        "id",
        "labels",
        "load",
        "load_form",
        "models",
        "neutral_statuses",
        "overload",
        "pool",
        "probe_failures",
        "probe_successes",
        "report",
        "routable",
        "runtime",
        "spec",
        "timeout_s",
        "url",
        "uuid",
        "weight",
    )

    def __init__(
        self,
        *,
        url: str,
        models: tuple[str, ...],
        pool: Pool,
        breaker: CircuitBreaker,
        api_key: str | None = None,
        spec: WorkerSpec | None = None,
        cards: tuple[ModelCard, ...] = (),
        labels: Mapping[str, str] | None = None,
        runtime: str = "unspecified",
        base_url: str | None = None,
        dp_rank: int | None = None,
        health: HealthConfig | None = None,
        overload: OverloadLimits | None = None,
        weight: float = 1.0,
    ) -> None:
        self.id = url
        self.uuid = worker_id(url)
        self.url = url
        self.base_url = base_url or url
        self.dp_rank = dp_rank
        self.models = models
        self.cards = cards
        self.pool = pool
        self.api_key = api_key
        self.spec = spec or WorkerSpec(url=url)
        self.labels: Mapping[str, str] = labels if labels is not None else self.spec.labels
        self.runtime = runtime
        self.health = health or HealthConfig()
        self.overload = overload or OverloadLimits()
        self.failure_statuses = FAILURE_STATUSES
        self.neutral_statuses = NEUTRAL_STATUSES
        self.timeout_s: float | None = None
        self.weight = weight
        self.load = 0
        self.contacts = 0
        self.faults = 0
        self.report: LoadReport | None = None
        self.engine_loads: tuple[RankLoad, ...] = ()
        self.load_form: str | None = None
        self.probe_failures = 0
        self.probe_successes = 0
        self._status = WorkerStatus.READY
        self._overloaded = False
        self._stalled: Stall | None = None
        self.breaker = breaker
        breaker.follow = self._reconsider
        self.routable = True
        self._reconsider()

    @property
    def worker_type(self) -> str:
        """regular, prefill, decode or encode."""
        return self.spec.worker_type

    @property
    def connection_mode(self) -> str:
        """How the worker is spoken to."""
        return self.spec.connection_mode or "http"

    @property
    def status(self) -> WorkerStatus:
        """Where in its life the worker is."""
        return self._status

    @status.setter
    def status(self, status: WorkerStatus) -> None:
        self._status = status
        self._reconsider()

    @property
    def overloaded(self) -> bool:
        """Whether its latest load report says that it has enough."""
        return self._overloaded

    @overloaded.setter
    def overloaded(self, overloaded: bool) -> None:
        self._overloaded = overloaded
        self._reconsider()

    @property
    def stalled(self) -> Stall | None:
        """Why it is avoided although its probes are good."""
        return self._stalled

    @stalled.setter
    def stalled(self, stalled: Stall | None) -> None:
        self._stalled = stalled
        self._reconsider()

    def usable(self, now: float) -> bool:
        """Whether a request may be sent: ready, not vetoed, and the breaker lets it pass."""
        if self.routable:
            return True
        if self._overloaded or self._stalled is not None:
            return False
        return self._status is WorkerStatus.READY and self.breaker.allows(now)

    def available(self, now: float) -> bool:
        """Whether a request may be sent when all workers are vetoed: ready, breaker not open."""
        return self._status is WorkerStatus.READY and self.breaker.allows(now)

    def _reconsider(self) -> None:
        self.routable = (
            self._status is WorkerStatus.READY
            and not self._overloaded
            and self._stalled is None
            and self.breaker.state is not BreakerState.OPEN
        )

    def __repr__(self) -> str:
        return (
            f"<Worker {self.url} {self.status.value} load={self.load} "
            f"breaker={self.breaker.state.name.lower()}>"
        )
