"""A routing policy for fleets where a few very long prompts would hold up many short ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from smg_policies import BasePolicy, Candidate, Decision, PolicyConfig, RoutingRequest

__all__ = ("LengthSplitPolicy",)

CHARACTERS_PER_TOKEN = 4


class LengthSplitPolicy(BasePolicy):
    """Long prompts share one part of the fleet, short ones the rest; least loaded within each.

    Options: `long_characters` (default 8000), the length from which a prompt is long, and
    `long_share` (default 0.25), the part of the workers that long prompts have, at least one.
    """

    name = "length_split"
    needs_text = True

    def __init__(self, *, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> None:
        """Raises ValueError for options that make no sense."""
        self._long_characters = int(config.options.get("long_characters", "8000"))
        self._long_share = float(config.options.get("long_share", "0.25"))
        if not 0 < self._long_share < 1:
            raise ValueError(f"long_share must lie between 0 and 1, not {self._long_share:g}")

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        is_long = _characters(request) >= self._long_characters
        count = max(1, round(len(candidates) * self._long_share))
        part = candidates[:count] if is_long else candidates[count:] or candidates
        worker = min(part, key=lambda candidate: candidate.load)
        branch = "long" if is_long else "short"
        return Decision(worker, self.name, f"least loaded for {branch} prompts", branch)


def _characters(request: RoutingRequest) -> int:
    if request.tokens is not None:
        return len(request.tokens) * CHARACTERS_PER_TOKEN
    return len(request.text or "")
