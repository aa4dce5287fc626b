"""From a snapshot and a request to a decision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple, cast

from smg_policies import (
    Decision,
    Policy,
    PolicyInvalid,
    PolicyUnknown,
    RoutingRequest,
    StickySessions,
    preview,
)

from ..errors import NO_AVAILABLE_WORKERS, ErrorRecord, overload_shed
from ..observability.logs import get_logger
from ..workers import Worker

MAX_MODEL_CHARACTERS = 256
"""Wildcard workers take whatever name clients write; longer ones share a policy."""

FALLBACK_REASON = "the policy failed; fewest requests in flight"


class Selection(NamedTuple):
    """A decision, the usable workers it was made among, and the policy's time in seconds.

    `veto` says why the one candidate is one that is otherwise avoided, "overload" or "liveness",
    and is empty where somebody else was left.
    """

    decision: Decision
    considered: Sequence[Worker]
    took_s: float
    veto: str = ""

    @property
    def worker(self) -> Worker:
        """The chosen worker."""
        return cast(Worker, self.decision.worker)


class PreviewUnsupported(Exception):
    """The policy of this name cannot say where a request would go without sending it there."""


class Selector:
    """Keeps one policy per model, made when the first request for the model comes.

    `max_models` bounds the table: beyond it, further models share one policy. A policy that raises
    or answers with something that is no candidate is logged and overruled: the gateway serves on.
    """

    def __init__(
        self,
        create_policy: Callable[..., Policy],
        *,
        clock: Callable[[], float],
        max_models: int = 1024,
        label_of: Callable[[str | None], str | None] = lambda model: None,
    ) -> None:
        self._create_policy = create_policy
        self._clock = clock
        self._max_models = max_models
        self._label_of = label_of
        self._labels: dict[str | None, str | None] = {}
        self._made: dict[str | None, str | None] = {}
        self._labels_need_text = False
        self.shed_retry_after_s: int | None = None
        """Where set, a request is refused when all workers are overloaded, to be tried again after
        so many seconds; otherwise the least loaded one takes it."""
        self._policies: dict[str | None, Policy] = {}
        self._shared = create_policy()
        self._log = get_logger("smg_gateway.selection")

    def renew(self, create_policy: Callable[..., Policy]) -> None:
        """Choose by other policies from now on, which begin without any memory.

        Raises whatever `create_policy` raises, and then nothing has changed.
        """
        self._shared = create_policy()
        self._create_policy = create_policy
        self._policies = {}
        self._made = {}

    @property
    def policies(self) -> Collection[Policy]:
        """Every policy in use."""
        return (self._shared, *self._policies.values())

    @property
    def by_model(self) -> Mapping[str | None, Policy]:
        """The policies by the model they serve; the one under None serves all others."""
        return {None: self._shared, **self._policies}

    @property
    def needs_text(self) -> bool:
        """Whether requests must bring their routing text."""
        return self._shared.needs_text or self._labels_need_text

    def select(
        self,
        request: RoutingRequest,
        workers: Sequence[Worker],
        tried: Collection[Worker] = (),
    ) -> Selection | None:
        """Choose among the usable ones of `workers`, preferring those not in `tried`."""
        usable = self.usable(workers, tried)
        if not usable:
            return None
        veto = "" if len(usable) > 1 else _veto(usable[0])
        policy = self._policy(request.model)
        began = perf_counter()
        try:
            decision = policy.select(request, usable)
        except Exception as error:  # noqa: BLE001 - the border to third-party policies
            self._log.error("policy failed", policy=policy.name, exc_info=error)
            decision = _fallback(policy, usable)
        if decision is None:
            return None
        if decision.worker not in usable:
            self._log.error("policy chose no candidate", policy=policy.name)
            decision = _fallback(policy, usable)
        return Selection(decision, usable, perf_counter() - began, veto)

    def preview(self, request: RoutingRequest, workers: Sequence[Worker]) -> Selection | None:
        """What `select` would answer now, with nothing remembered of it.

        Raises `PreviewUnsupported` when the policy cannot tell without choosing.
        """
        usable = self.usable(workers)
        if not usable:
            return None
        policy = self._policy(request.model)
        began = perf_counter()
        try:
            decision = preview(policy, request, usable)
        except NotImplementedError:
            raise PreviewUnsupported(policy.name) from None
        except Exception as error:  # noqa: BLE001 - the border to third-party policies
            self._log.error("policy failed", policy=policy.name, exc_info=error)
            decision = _fallback(policy, usable)
        if decision is None:
            return None
        if decision.worker not in usable:
            decision = _fallback(policy, usable)
        return Selection(decision, usable, perf_counter() - began)

    def usable(self, workers: Sequence[Worker], tried: Collection[Worker] = ()) -> Sequence[Worker]:
        """The candidates among `workers`; those in `tried` only when there are no others.

        Workers that are overloaded or have stalled are left out. When that leaves nobody, the least
        loaded one of them is the only candidate.
        """
        now = self._clock()
        # Most are routable: that is an attribute, where asking costs a call for each.
        usable = [worker for worker in workers if worker.routable or worker.usable(now)]
        if tried:
            usable = [worker for worker in usable if worker not in tried] or usable
        return usable or self._least_loaded(workers, tried, now)

    def _least_loaded(
        self, workers: Sequence[Worker], tried: Collection[Worker], now: float
    ) -> Sequence[Worker]:
        rest = [worker for worker in workers if worker.available(now)]
        if self.shed_retry_after_s is not None:
            rest = [worker for worker in rest if not worker.overloaded]
        rest = [worker for worker in rest if worker not in tried] or rest
        return [min(rest, key=lambda worker: worker.load)] if rest else []

    def refusal(self, model: str | None, workers: Sequence[Worker]) -> ErrorRecord:
        """Why none of `workers` can have a request now."""
        now = self._clock()
        if self.shed_retry_after_s is not None and any(each.available(now) for each in workers):
            return overload_shed(model, self.shed_retry_after_s)
        return NO_AVAILABLE_WORKERS

    def models_changed(self, models: Collection[str]) -> None:
        """Other workers serve from now on: follow the policies that their labels name."""
        for gone in [model for model in self._labels if model not in models]:
            del self._labels[gone]
        for model in models:
            if model in self._labels:
                continue
            label = self._labels[model] = self._label_of(model)
            if self._made.get(model) != label:
                self._policies.pop(model, None)
            if label is not None:
                self._policy(model)
        labelled = [self._policies.get(model) for model, label in self._labels.items() if label]
        self._labels_need_text = any(policy.needs_text for policy in labelled if policy)

    def untried_left(self, workers: Sequence[Worker], tried: Collection[Worker]) -> bool:
        """Whether some usable worker has not had this request yet."""
        now = self._clock()
        return any(
            worker not in tried and (worker.routable or worker.usable(now)) for worker in workers
        )

    def settle(self, model: str | None, decision: Decision) -> None:
        """The request of a decision has ended."""
        if decision.ticket is None:
            return
        policy = self._policies.get(model, self._shared)
        try:
            policy.settle(decision)
        except Exception as error:  # noqa: BLE001 - the border to third-party policies
            self._log.error("policy settlement failed", policy=policy.name, exc_info=error)

    def remember(self, model: str | None, key: str, worker: Worker) -> None:
        """Requests that carry this key from now on belong to `worker`."""
        policy = self._policies.get(model, self._shared)
        if isinstance(policy, StickySessions):
            policy.remember(key, worker.id)

    def worker_removed(self, worker: Worker) -> None:
        """Let every policy forget a worker that has left."""
        for policy in self.policies:
            try:
                policy.worker_removed(worker.id)
            except Exception as error:  # noqa: BLE001 - the border to third-party policies
                self._log.error("policy upkeep failed", policy=policy.name, exc_info=error)

    def sweep(self, now: float) -> None:
        """Periodic upkeep of all policies."""
        for policy in self.policies:
            try:
                policy.sweep(now)
            except Exception as error:  # noqa: BLE001 - the border to third-party policies
                self._log.error("policy upkeep failed", policy=policy.name, exc_info=error)

    def _policy(self, model: str | None) -> Policy:
        policy = self._policies.get(model)
        if policy is None:
            too_long = model is not None and len(model) > MAX_MODEL_CHARACTERS
            if too_long or len(self._policies) >= self._max_models:
                return self._shared
            known = model in self._labels
            label = self._labels[model] if known else self._label_of(model)
            policy = self._policies[model] = self._make(label)
            self._made[model] = label
        return policy

    def _make(self, label: str | None) -> Policy:
        if label is not None:
            try:
                return self._create_policy(label)
            except (PolicyUnknown, PolicyInvalid) as error:
                self._log.error("a worker's label names no policy", label=label, reason=str(error))
        return self._create_policy()


def _veto(worker: Worker) -> str:
    if worker.routable:
        return ""
    if worker.overloaded:
        return "overload"
    return "liveness" if worker.stalled is not None else ""


def _fallback(policy: Policy, usable: Sequence[Worker]) -> Decision:
    return Decision(min(usable, key=lambda worker: worker.load), policy.name, FALLBACK_REASON)
