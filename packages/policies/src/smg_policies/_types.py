"""What a policy sees and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable


class Candidate(Protocol):
    """A worker that may take the request: healthy, breaker not open, serving the model."""

    @property
    def id(self) -> str:
        """Stable identity, the worker's base URL."""
        ...

    @property
    def load(self) -> int:
        """Requests in flight from this gateway, until their response bodies ended."""
        ...


@dataclass(slots=True, kw_only=True)
class RoutingRequest:
    """The part of a request that a routing choice may depend on.

    `text` is filled only for policies whose `needs_text` is true, because working it out costs
    more than most policies do. `tokens` are token ids when the caller knows them.
    """

    model: str | None = None
    text: str | None = None
    tokens: Sequence[int] | None = None
    routing_key: str | None = None


class Decision(NamedTuple):
    """One routing choice and why it was made."""

    worker: Candidate
    policy: str
    reason: str


@runtime_checkable
class Policy(Protocol):
    """A load-balancing policy."""

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
