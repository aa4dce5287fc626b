"""Asking any policy beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ._types import Candidate, Decision, Policy, RoutingRequest


@runtime_checkable
class _Previewing(Protocol):
    def preview(
        self, request: RoutingRequest, candidates: Sequence[Candidate]
    ) -> Decision | None: ...


def preview(
    policy: Policy, request: RoutingRequest, candidates: Sequence[Candidate]
) -> Decision | None:
    """What `policy.select` would answer now, leaving the policy as it is; see `BasePolicy.preview`.

    Raises `NotImplementedError` when the policy cannot tell without choosing.
    """
    if not isinstance(policy, _Previewing):
        raise NotImplementedError(f"policy {policy.name!r} cannot be previewed")
    return policy.preview(request, candidates)
