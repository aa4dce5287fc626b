"""Load-balancing policies for LLM workers.

One synchronous call, `Policy.select`, chooses among candidates that the caller has already
filtered for health; it does no I/O and keeps bounded memory, so the same object serves a
gateway, a simulator or a foreign serving stack.
"""

from ._bucket import BucketPolicy
from ._cache_aware import CacheAwarePolicy
from ._config import PolicyConfig
from ._hashing import ConsistentHashingPolicy, PrefixHashPolicy
from ._least_load import LeastLoadPolicy, PowerOfTwoPolicy
from ._manual import ManualPolicy, StickySessions, base_key, session_key
from ._preview import preview
from ._ranks import DpMinTokenPolicy
from ._registry import (
    ENTRY_POINT_GROUP,
    POLICY_NAMES,
    PolicyFactory,
    PolicyInvalid,
    PolicyUnknown,
    create_policy,
)
from ._ring import HashRing
from ._simple import (
    PassthroughPolicy,
    RandomPolicy,
    RoundRobinPolicy,
    WeightedRoundRobinPolicy,
)
from ._types import (
    BasePolicy,
    Candidate,
    Decision,
    LoadReport,
    PlainCandidate,
    Policy,
    RoutingRequest,
)

__all__ = (
    "ENTRY_POINT_GROUP",
    "POLICY_NAMES",
    "BasePolicy",
    "BucketPolicy",
    "CacheAwarePolicy",
    "Candidate",
    "ConsistentHashingPolicy",
    "Decision",
    "DpMinTokenPolicy",
    "HashRing",
    "LeastLoadPolicy",
    "LoadReport",
    "ManualPolicy",
    "PassthroughPolicy",
    "PlainCandidate",
    "Policy",
    "PolicyConfig",
    "PolicyFactory",
    "PolicyInvalid",
    "PolicyUnknown",
    "PowerOfTwoPolicy",
    "PrefixHashPolicy",
    "RandomPolicy",
    "RoundRobinPolicy",
    "RoutingRequest",
    "StickySessions",
    "WeightedRoundRobinPolicy",
    "base_key",
    "create_policy",
    "preview",
    "session_key",
)
