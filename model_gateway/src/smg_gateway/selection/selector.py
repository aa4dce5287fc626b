"""From a snapshot and a request to a decision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import cast

from smg_policies import Decision, Policy, RoutingRequest

from ..workers import Worker


class Selector:
    """Keeps one policy per model, as the first request for the model asks for it.

    `max_models` bounds the table: beyond it, further models share one policy.
    """

    def __init__(
        self,
        create_policy: Callable[[], Policy],
        *,
        clock: Callable[[], float],
        max_models: int = 1024,
    ) -> None:
        self._create_policy = create_policy
        self._clock = clock
        self._max_models = max_models
        self._policies: dict[str | None, Policy] = {}
        self._shared = create_policy()

    @property
    def policies(self) -> Collection[Policy]:
        """Every policy in use."""
        return (self._shared, *self._policies.values())

    @property
    def needs_text(self) -> bool:
        """Whether requests must bring their routing text."""
        return self._shared.needs_text

    def select(
        self,
        request: RoutingRequest,
        workers: Sequence[Worker],
        tried: Collection[Worker] = (),
    ) -> Decision | None:
        """Choose among the usable ones of `workers`, preferring those not in `tried`."""
        now = self._clock()
        usable = [worker for worker in workers if worker.usable(now)]
        if tried:
            usable = [worker for worker in usable if worker not in tried] or usable
        if not usable:
            return None
        return self._policy(request.model).select(request, usable)

    def untried_left(self, workers: Sequence[Worker], tried: Collection[Worker]) -> bool:
        """Whether some usable worker has not had this request yet."""
        now = self._clock()
        return any(worker not in tried and worker.usable(now) for worker in workers)

    def settle(self, model: str | None, decision: Decision) -> None:
        """The request of a decision has ended."""
        if decision.ticket is not None:
            self._policies.get(model, self._shared).settle(decision)

    def worker_removed(self, worker: Worker) -> None:
        """Let every policy forget a worker that has left."""
        for policy in self.policies:
            policy.worker_removed(worker.id)

    def sweep(self, now: float) -> None:
        """Periodic upkeep of all policies."""
        for policy in self.policies:
            policy.sweep(now)

    def _policy(self, model: str | None) -> Policy:
        policy = self._policies.get(model)
        if policy is None:
            if len(self._policies) >= self._max_models:
                return self._shared
            policy = self._policies[model] = self._create_policy()
        return policy


def chosen(decision: Decision) -> Worker:
    """The worker of a decision made among workers."""
    return cast(Worker, decision.worker)
