"""An engine first, by any policy; then the rank of it that has the least to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from smg_policies import (
    BasePolicy,
    Candidate,
    Decision,
    LoadReport,
    PlainCandidate,
    Policy,
    RoutingRequest,
    preview,
)


class _Tickets(NamedTuple):
    engine: Decision
    rank: Decision


class _Engine(NamedTuple):
    candidate: PlainCandidate
    ranks: list[Candidate]
    reports: tuple[LoadReport | None, ...]


class RankScheduler(BasePolicy):
    """Shows its first policy one candidate per engine, and its second one that engine's ranks.

    So what the first one remembers, a cached prefix say, is about engines. A candidate belongs to
    the engine that its `base_url` names; without one it is an engine of its own.
    """

    def __init__(self, engines: Policy, ranks: Policy) -> None:
        self._engine_policy = engines
        self._rank_policy = ranks
        self._seen: dict[str, _Engine] = {}

    @property
    def name(self) -> str:
        """The name of the policy that chooses engines."""
        return self._engine_policy.name

    @property
    def needs_text(self) -> bool:
        """Whether one of the two needs it."""
        return self._engine_policy.needs_text or self._rank_policy.needs_text

    @needs_text.setter
    def needs_text(self, wanted: bool) -> None:
        raise AttributeError("needs_text follows from the two policies")

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None when one of the two does not."""
        engines = self._engines(candidates)
        first = self._engine_policy.select(
            request, [engine.candidate for engine in engines.values()]
        )
        if first is None:
            return None
        second = self._rank_policy.select(request, engines[first.worker.id].ranks)
        if second is None:
            self._engine_policy.settle(first)
            return None
        return _joined(first, second)

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer; raises `NotImplementedError` where a policy cannot tell."""
        engines = self._engines(candidates)
        first = preview(
            self._engine_policy, request, [engine.candidate for engine in engines.values()]
        )
        if first is None:
            return None
        second = preview(self._rank_policy, request, engines[first.worker.id].ranks)
        return _joined(first, second) if second is not None else None

    def settle(self, decision: Decision) -> None:
        """Let both policies know."""
        tickets = decision.ticket
        if isinstance(tickets, _Tickets):
            if tickets.engine.ticket is not None:
                self._engine_policy.settle(tickets.engine)
            if tickets.rank.ticket is not None:
                self._rank_policy.settle(tickets.rank)

    def worker_removed(self, worker_id: str) -> None:
        """Forget a rank, and its engine when this was the last one seen of it."""
        self._rank_policy.worker_removed(worker_id)
        for url, engine in list(self._seen.items()):
            left = [rank for rank in engine.ranks if rank.id != worker_id]
            if not left:
                del self._seen[url]
                self._engine_policy.worker_removed(url)
            elif len(left) < len(engine.ranks):
                self._seen[url] = engine._replace(ranks=left, reports=())

    def sweep(self, now: float) -> None:
        """Upkeep of both."""
        self._engine_policy.sweep(now)
        self._rank_policy.sweep(now)

    def _engines(self, candidates: Sequence[Candidate]) -> dict[str, _Engine]:
        grouped: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            grouped.setdefault(getattr(candidate, "base_url", candidate.id), []).append(candidate)
        return {url: self._engine(url, ranks) for url, ranks in grouped.items()}

    def _engine(self, url: str, ranks: list[Candidate]) -> _Engine:
        known = self._seen.get(url)
        reports = tuple(getattr(rank, "report", None) for rank in ranks)
        # Policies tell a new report by its identity, so the sum stays the same object meanwhile.
        same = known is not None and all(
            a is b for a, b in zip(known.reports, reports, strict=False)
        )
        if known is None or not same or len(known.reports) != len(reports):
            weight = sum(float(getattr(rank, "weight", 1.0)) for rank in ranks) / len(ranks)
            candidate = PlainCandidate(url, report=_summed(reports), weight=weight)
            known = _Engine(candidate, ranks, reports)
        else:
            known = known._replace(ranks=ranks)
        known.candidate.load = sum(rank.load for rank in ranks)
        self._seen[url] = known
        return known


def _joined(engine: Decision, rank: Decision) -> Decision:
    ticket = None
    if engine.ticket is not None or rank.ticket is not None:
        ticket = _Tickets(engine, rank)
    reason = engine.reason
    if rank.reason != "only candidate":
        reason = f"{engine.reason}; rank: {rank.reason}"
    return engine._replace(worker=rank.worker, reason=reason, ticket=ticket)


def _summed(reports: Sequence[LoadReport | None]) -> LoadReport | None:
    known = [report for report in reports if report is not None]
    if not known:
        return None
    usages = [report.token_usage for report in known if report.token_usage is not None]
    return LoadReport(
        running_requests=sum(report.running_requests for report in known),
        waiting_requests=sum(report.waiting_requests or 0 for report in known),
        waiting_uncached_tokens=sum(report.waiting_uncached_tokens or 0 for report in known),
        used_tokens=sum(report.used_tokens or 0 for report in known),
        token_usage=sum(usages) / len(usages) if usages else None,
        throughput=sum(report.throughput for report in known),
    )
