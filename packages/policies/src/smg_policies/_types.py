"""What a policy sees and what it answers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable


class Candidate(Protocol):
    """A worker that may take the request: healthy, breaker not open, serving the model.

    A candidate may also carry `report`, the engine's latest `LoadReport` or None (a new object
    per poll: policies notice a poll by the object's identity), and `weight`, a positive number
    for weighted_round_robin. Without them a policy works from `load` alone, with weight 1.
    """

    @property
    def id(self) -> str:
        """Stable identity, the worker's base URL (`url@rank` for a data-parallel rank)."""
        ...

    @property
    def load(self) -> int:
        """Requests in flight from this gateway, until their response bodies ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadReport:
    """What an engine said about itself at one poll, summed over its ranks.

    Counts are requests and tokens, `used_tokens` those in the KV cache, `token_usage` is the mean share of the KV cache in use (0 to
    1), `throughput` is prefill tokens per second (0: unknown). None means not reported.
    """

    running_requests: int = 0
    waiting_requests: int | None = None
    waiting_uncached_tokens: int | None = None
    used_tokens: int | None = None
    token_usage: float | None = None
    throughput: float = 0.0


@dataclass(slots=True, eq=False)
class PlainCandidate:
    """A candidate whose figures are set by hand: for simulations, and for testing policies."""

    id: str
    load: int = 0
    report: LoadReport | None = None
    weight: float = 1.0


@dataclass(slots=True, kw_only=True)
class RoutingRequest:
    """The part of a request that a routing choice may depend on.

    `text` is filled only for policies whose `needs_text` is true, because working it out costs
    more than most policies do. `tokens` are token ids when the caller knows them.
    `routing_key` is the client's key header, `rid` the key in the body, `implicit_key` a stand-in
    (client address, cookie). `target` names the worker the client insists on: an id, or "" when
    what the client named does not exist. Requests of different `partition` (cache salt, adapter)
    never share a cached prefix.
    """

    model: str | None = None
    text: str | None = None
    tokens: Sequence[int] | None = None
    routing_key: str | None = None
    rid: str | None = None
    implicit_key: str | None = None
    target: str | None = None
    partition: str | None = None


class Decision(NamedTuple):
    """One routing choice and why it was made.

    `branch` is the label under which metrics count the choice ("" where there are none).
    `matched` of `total` units (`unit`: "characters", "tokens" or "blocks") were believed cached on
    the worker. `scores` are (worker id, score) pairs where the policy compared any. A decision
    with a `ticket` must be given to the policy's `settle` once, when the request has ended.
    """

    worker: Candidate
    policy: str
    reason: str
    branch: str = ""
    matched: int = 0
    total: int = 0
    unit: str = ""
    scores: tuple[tuple[str, float], ...] = ()
    ticket: object = None


@runtime_checkable
class Policy(Protocol):
    """A load-balancing policy.

    Calls are synchronous and come from one thread at a time; nothing in them does I/O. Deriving
    from `BasePolicy` supplies everything but `name` and `select`. A policy may also have a
    `preview`, with the parameters and the contract of `BasePolicy.preview`; one without it still
    routes, it only cannot be asked beforehand.
    """

    @property
    def name(self) -> str:
        """The name it goes by on command lines and in metrics."""
        ...

    @property
    def needs_text(self) -> bool:
        """Whether `RoutingRequest.text` must be filled in."""
        ...

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose one of `candidates`; None when there is none to choose."""
        ...

    def settle(self, decision: Decision) -> None:
        """The request of a decision that carries a ticket has ended, one way or another."""
        ...

    def worker_removed(self, worker_id: str) -> None:
        """Forget a worker that has left for good."""
        ...

    def sweep(self, now: float) -> None:
        """Periodic upkeep (about once a second): expire and evict what is due at `now`."""
        ...


class _Selects(Protocol):
    def select(
        self, request: RoutingRequest, candidates: Sequence[Candidate]
    ) -> Decision | None: ...


class BasePolicy:
    """The parts of a policy that most policies leave as they are."""

    needs_text: bool = False

    def preview(
        self: _Selects, request: RoutingRequest, candidates: Sequence[Candidate]
    ) -> Decision | None:
        """What the next `select` with the same arguments will answer, but without a ticket.

        Nothing is remembered, counted or drawn: no later choice differs for it. This one asks a
        deep copy of the policy (which shares the candidates and their reports), so it is right
        for every policy that can be copied, and cheap for those that keep little. A policy that
        keeps much should override it. Raises `NotImplementedError` when there is no telling
        beforehand: here, when some part of the policy cannot be copied.
        """
        shared = [*candidates, *(getattr(each, "report", None) for each in candidates)]
        try:
            twin = copy.deepcopy(self, {id(each): each for each in shared if each is not None})
        except (TypeError, NotImplementedError, RecursionError, copy.Error) as error:
            name = type(self).__name__
            raise NotImplementedError(f"{name} cannot be previewed: {error}") from error
        return without_ticket(twin.select(request, candidates))

    def settle(self, decision: Decision) -> None:
        """Nothing to release."""

    def worker_removed(self, worker_id: str) -> None:
        """Nothing remembered of workers."""

    def sweep(self, now: float) -> None:
        """Nothing expires."""


def without_ticket(decision: Decision | None) -> Decision | None:
    """The decision as a preview shows it: nothing was taken, so nothing is to be given back."""
    if decision is None or decision.ticket is None:
        return decision
    return decision._replace(ticket=None)
