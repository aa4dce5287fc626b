"""Sticky routing by the client's key: as a policy, and as a layer over another policy."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from random import Random
from typing import NamedTuple

from ._config import PolicyConfig
from ._preview import preview
from ._sticky import Assigner, StickyKeys, first_present
from ._types import BasePolicy, Candidate, Decision, Policy, RoutingRequest, without_ticket

KEY_CAP = 2
"""Requests of one key in flight from which further ones need not follow its pin."""

_SUFFIXES = re.compile(r"(?:_[tr]\d+)+\Z")


def base_key(key: str) -> str:
    """A key without its trailing turn and retry numbers (`_t3`, `_r1`).

    A key that consists of nothing else is left as it is.
    """
    return _SUFFIXES.sub("", key) or key


def session_key(request: RoutingRequest) -> str | None:
    """Where SMG looks for a session's key: in the header, then in the body."""
    return request.routing_key or request.rid


class ManualPolicy(BasePolicy):
    """A routing key stays with the worker it was first given, while that one is usable."""

    name = "manual"

    def __init__(self, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._keys = StickyKeys(config)
        self._assigner = Assigner(config.assignment_mode or "random", rng, self._keys)

    @property
    def entries_count(self) -> int:
        """How many keys are remembered."""
        return len(self._keys)

    def keys_by_worker(self) -> dict[str, int]:
        """How many keys are pinned to each worker; workers without any are absent."""
        return self._keys.held_by_worker()

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        key = request.routing_key
        if not key:
            worker = self._assigner.assign(candidates)
            return Decision(worker, self.name, "no routing key", "no_routing_id")
        now = self._clock()
        pins = self._keys.pins(key, now)
        workers = {candidate.id: candidate for candidate in candidates}
        pinned = first_present(pins, workers)
        if pinned is not None:
            return Decision(pinned, self.name, "pinned to its key", "occupied_hit")
        worker = self._assigner.assign(candidates)
        branch = "occupied_miss" if pins else "vacant"
        reason = "its key's workers are not usable" if pins else "first request of its key"
        self._keys.pin(key, worker.id, now, front=False)
        return Decision(worker, self.name, reason, branch)

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is pinned or drawn."""
        twin = copy(self)
        twin._keys = self._keys.frozen()
        twin._assigner = self._assigner.twin(twin._keys)
        return twin.select(request, candidates)

    def sweep(self, now: float) -> None:
        """Forget idle keys."""
        self._keys.sweep(now)


class _Flight(NamedTuple):
    """What `settle` needs: whose request ended, and the decision of the policy below, if any."""

    key: str
    worker_id: str
    below: Decision | None


class StickySessions:
    """Keeps requests of one routing key together, over any other policy.

    The key is what `key_of` finds in a request, without turn and retry numbers: by default the
    `routing_key`, else the `rid`. At most `max_sticky_keys` are remembered. A key's first request
    goes where the policy below says ("delegate", the default) or where `assignment_mode` says,
    and later ones follow while fewer than `KEY_CAP` requests of the key are in flight; beyond
    that the choice is made anew, and the pin moves if the new worker has room for the key.
    Requests without a key are the policy's alone. Decisions carry tickets: see `Policy.settle`.
    """

    def __init__(
        self,
        policy: Policy,
        rng: Random,
        config: PolicyConfig,
        clock: Callable[[], float],
        *,
        key_of: Callable[[RoutingRequest], str | None] = session_key,
    ) -> None:
        self._policy = policy
        self._select_below = policy.select
        self._key_of = key_of
        self._clock = clock
        self._keys = StickyKeys(config)
        mode = config.assignment_mode or "delegate"
        self._assigner = None if mode == "delegate" else Assigner(mode, rng, self._keys)
        self._max_keys = config.max_sticky_keys
        # Key -> worker -> requests in flight; keys with none are absent.
        self._flights: dict[str, dict[str, int]] = {}

    @property
    def name(self) -> str:
        """The name of the policy below."""
        return self._policy.name

    @property
    def needs_text(self) -> bool:
        """Whether the policy below needs text."""
        return self._policy.needs_text

    @property
    def policy(self) -> Policy:
        """The policy below."""
        return self._policy

    @property
    def entries_count(self) -> int:
        """How many keys are remembered."""
        return len(self._keys)

    def keys_by_worker(self) -> dict[str, int]:
        """How many keys are pinned to each worker; workers without any are absent."""
        return self._keys.held_by_worker()

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None when there is no candidate or the policy below has none."""
        key = self._key(request)
        if not key:
            return self._select_below(request, candidates)
        if not candidates:
            return None
        now = self._clock()
        pins = self._keys.pins(key, now)
        pinned = first_present(pins, {candidate.id: candidate for candidate in candidates})
        flights = self._flights.get(key, {})
        if pinned is not None and sum(flights.values()) < KEY_CAP:
            return self._take_off(
                key, Decision(pinned, self.name, "pinned to its key", "occupied_hit"), None
            )
        choice = self._choose(request, candidates)
        if choice is None:
            return None
        worker_id = choice.worker.id
        below = choice if choice.ticket is not None else None
        if pinned is None:
            branch = "occupied_miss" if pins else "vacant"
        elif worker_id == pinned.id:
            return self._take_off(key, choice._replace(branch="occupied_hit"), below)
        elif flights.get(worker_id, 0) < KEY_CAP:
            branch = "cap_respill"
        else:
            return self._take_off(key, choice._replace(branch="occupied_miss"), below)
        self._keys.pin(key, worker_id, now, front=True)
        return self._take_off(key, choice._replace(branch=branch), below)

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is pinned, nor counted as in flight.

        Raises `NotImplementedError` when the choice is up to a policy below that cannot tell.
        """
        twin = copy(self)
        twin._select_below = partial(preview, self._policy)
        twin._keys = self._keys.frozen()
        if self._assigner is not None:
            twin._assigner = self._assigner.twin(twin._keys)
        key = self._key(request)
        twin._flights = {key: self._flights[key].copy()} if key in self._flights else {}
        return without_ticket(twin.select(request, candidates))

    def settle(self, decision: Decision) -> None:
        """A request has ended: its key has one less in flight."""
        flight = decision.ticket
        if not isinstance(flight, _Flight):
            self._policy.settle(decision)
            return
        flights = self._flights.get(flight.key, {})
        left = flights.get(flight.worker_id, 0) - 1
        if left > 0:
            flights[flight.worker_id] = left
        else:
            flights.pop(flight.worker_id, None)
            if not flights:
                self._flights.pop(flight.key, None)
        if flight.below is not None:
            self._policy.settle(flight.below)

    def remember(self, key: str, worker_id: str) -> None:
        """Pin a key that was learned in another way than from a request of its own."""
        self._keys.pin(base_key(key), worker_id, self._clock(), front=True)

    def worker_removed(self, worker_id: str) -> None:
        """Tell the policy below; pins stay for the worker's return."""
        self._policy.worker_removed(worker_id)

    def sweep(self, now: float) -> None:
        """Forget idle keys; sweep below."""
        self._keys.sweep(now)
        self._policy.sweep(now)

    def _key(self, request: RoutingRequest) -> str:
        return base_key(self._key_of(request) or "")

    def _choose(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        if self._assigner is None:
            return self._select_below(request, candidates)
        return Decision(self._assigner.assign(candidates), self.name, "assigned to its key")

    def _take_off(self, key: str, decision: Decision, below: Decision | None) -> Decision:
        worker_id = decision.worker.id
        flights = self._flights.get(key)
        if flights is None:
            if len(self._flights) >= self._max_keys:
                del self._flights[next(iter(self._flights))]
            flights = self._flights[key] = {}
        flights[worker_id] = flights.get(worker_id, 0) + 1
        return decision._replace(ticket=_Flight(key, worker_id, below))
