"""Load-balancing policies for LLM workers.

One synchronous call, `Policy.select`, chooses among candidates that the caller has already
filtered for health; it does no I/O and keeps bounded memory, so the same object serves a
gateway, a simulator or a foreign serving stack.
"""

from ._registry import POLICY_NAMES, PolicyUnknown, create_policy
from ._simple import PassthroughPolicy, PowerOfTwoPolicy, RandomPolicy, RoundRobinPolicy
from ._types import Candidate, Decision, Policy, RoutingRequest

__all__ = (
    "POLICY_NAMES",
    "Candidate",
    "Decision",
    "PassthroughPolicy",
    "Policy",
    "PolicyUnknown",
    "PowerOfTwoPolicy",
    "RandomPolicy",
    "RoundRobinPolicy",
    "RoutingRequest",
    "create_policy",
)
