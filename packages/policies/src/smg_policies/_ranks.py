"""Choosing among data-parallel ranks of one engine."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

from ._bounds import make_room
from ._config import PolicyConfig
from ._types import (
    BasePolicy,
    Candidate,
    Decision,
    LoadReport,
    RoutingRequest,
    without_ticket,
)
from ._waiting import reports_of

_CHARACTERS_PER_TOKEN = 4


class _Booking(NamedTuple):
    rank_id: str
    tokens: int


class _Estimate:
    __slots__ = ("report", "tokens")

    def __init__(self, report: LoadReport | None) -> None:
        self.report = report
        self.tokens = 0


class DpMinTokenPolicy(BasePolicy):
    """The rank with the fewest estimated tokens at work.

    A request's prompt counts from its choice until it is settled; a new report of a rank
    replaces the estimate by what the rank says it has. Decisions carry tickets.
    """

    name = "dp_min_token"
    needs_text = True

    def __init__(self, config: PolicyConfig) -> None:
        self._mean_tokens = config.least_load_mean_prefill_tokens
        self._estimates: dict[str, _Estimate] = {}

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates. Ties go to the first."""
        if not candidates:
            return None
        estimates = [
            self._estimate(rank.id, report)
            for rank, report in zip(candidates, reports_of(candidates), strict=True)
        ]
        place = min(range(len(candidates)), key=lambda index: estimates[index].tokens)
        rank = candidates[place]
        seen = tuple(
            (each.id, float(estimate.tokens))
            for each, estimate in zip(candidates, estimates, strict=True)
        )
        tokens = self._tokens(request)
        estimates[place].tokens += tokens
        return Decision(
            rank,
            self.name,
            "fewest tokens at work",
            scores=seen,
            ticket=_Booking(rank.id, tokens),
        )

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is booked."""
        twin = copy(self)
        twin._estimates = {rank_id: copy(each) for rank_id, each in self._estimates.items()}
        return without_ticket(twin.select(request, candidates))

    def settle(self, decision: Decision) -> None:
        """A request has ended: its tokens are no longer at work."""
        booking = decision.ticket
        if isinstance(booking, _Booking):
            estimate = self._estimates.get(booking.rank_id)
            if estimate is not None:
                estimate.tokens = max(estimate.tokens - booking.tokens, 0)

    def worker_removed(self, worker_id: str) -> None:
        """Forget a rank."""
        self._estimates.pop(worker_id, None)

    def _estimate(self, rank_id: str, report: LoadReport | None) -> _Estimate:
        estimate = self._estimates.get(rank_id)
        if estimate is None:
            make_room(self._estimates)
            estimate = self._estimates[rank_id] = _Estimate(None)
        if report is not None and report is not estimate.report:
            estimate.report = report
            if report.used_tokens is not None:
                estimate.tokens = report.used_tokens + (report.waiting_uncached_tokens or 0)
        return estimate

    def _tokens(self, request: RoutingRequest) -> int:
        if request.tokens:
            return len(request.tokens)
        if request.text:
            return len(request.text) // _CHARACTERS_PER_TOKEN + 1
        return self._mean_tokens
