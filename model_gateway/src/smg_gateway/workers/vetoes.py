"""Reasons to leave a ready worker out for a while: pure rules, time and figures passed in."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from smg_policies import LoadReport

MAX_WEDGE_S = 120.0
"""However much prompt is pending, silence for this long is not explained by it."""

ASSUMED_PREFILL_TOKENS_PER_S = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverloadLimits:
    """A worker that reports this much, or more, is overloaded; None sets no limit."""

    waiting_requests: int | None = 8
    token_usage: float | None = 0.8


def is_overloaded(report: LoadReport | None, limits: OverloadLimits) -> bool:
    """Whether a worker's latest report reaches a limit."""
    if report is None:
        return False
    waiting, usage = report.waiting_requests, report.token_usage
    if limits.waiting_requests is not None and (waiting or 0) >= limits.waiting_requests:
        return True
    return limits.token_usage is not None and usage is not None and usage >= limits.token_usage


class Stall(enum.Enum):
    """Why a worker that is not known to be ill is avoided."""

    UNREACHABLE = "unreachable"
    """The transport failed, and nothing has been heard of it since."""
    WEDGED = "wedged"
    """It holds streams that say nothing, while work for it piles up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LivenessLimits:
    """Patience in seconds."""

    unreachable_s: float = 2.0
    wedge_s: float = 3.0


@dataclass(slots=True)
class Pulse:
    """What was seen of a worker at the looks so far; times are monotonic seconds."""

    contact_at: float
    progress_at: float
    contacts: int = 0
    failures: int = 0
    load_at_progress: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A worker at one moment.

    `contacts` and `failures` count answers and transport failures ever. `streams` are the
    responses under way, `moved` tells whether one of them has grown since the look before, `load`
    is the number of requests in flight.
    """

    contacts: int
    failures: int
    streams: int = 0
    moved: bool = False
    load: int = 0
    report: LoadReport | None = None


def feel(pulse: Pulse, look: Look, now: float, limits: LivenessLimits) -> Stall | None:
    """Take a look into account; the reason to avoid the worker from now on, if there is one."""
    if look.moved or look.contacts != pulse.contacts:
        pulse.contact_at = now
        pulse.failed = False
    elif look.failures != pulse.failures:
        pulse.failed = True
    pulse.contacts, pulse.failures = look.contacts, look.failures
    if look.moved or not look.streams:
        pulse.progress_at = now
        pulse.load_at_progress = look.load
    if pulse.failed and now - pulse.contact_at >= limits.unreachable_s:
        return Stall.UNREACHABLE
    patience_s = min(limits.wedge_s + _prefill_s(look.report), MAX_WEDGE_S)
    if look.load > pulse.load_at_progress and now - pulse.progress_at >= patience_s:
        return Stall.WEDGED
    return None


def _prefill_s(report: LoadReport | None) -> float:
    """How long the prompts that wait may explain a silence."""
    if report is None or not report.waiting_uncached_tokens:
        return 0.0
    return report.waiting_uncached_tokens / (report.throughput or ASSUMED_PREFILL_TOKENS_PER_S)
