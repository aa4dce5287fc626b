"""From a policy's name to a policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from random import Random
from types import MappingProxyType
from typing import Protocol

from ._bucket import BucketPolicy
from ._cache_aware import CacheAwarePolicy
from ._config import PolicyConfig
from ._hashing import ConsistentHashingPolicy, PrefixHashPolicy
from ._least_load import LeastLoadPolicy, PowerOfTwoPolicy
from ._manual import ManualPolicy
from ._ranks import DpMinTokenPolicy
from ._simple import (
    PassthroughPolicy,
    RandomPolicy,
    RoundRobinPolicy,
    WeightedRoundRobinPolicy,
)
from ._types import Policy

ENTRY_POINT_GROUP = "smg.policies"
"""Where other distributions offer policies: name = "module:factory"."""


class PolicyUnknown(ValueError):
    """No policy goes by that name."""


class PolicyInvalid(TypeError):
    """A plugin could not be loaded, or what it made is not a `Policy`."""


class PolicyFactory(Protocol):
    """What makes a policy: a class or function taking the three as keyword arguments."""

    def __call__(
        self, *, rng: Random, config: PolicyConfig, clock: Callable[[], float]
    ) -> Policy: ...


_BUILT_IN: Mapping[str, Callable[[Random, PolicyConfig, Callable[[], float]], Policy]] = (
    MappingProxyType({
        "random": lambda rng, config, clock: RandomPolicy(rng),
        "round_robin": lambda rng, config, clock: RoundRobinPolicy(),
        "passthrough": lambda rng, config, clock: PassthroughPolicy(),
        "cache_aware": CacheAwarePolicy,
        "power_of_two": lambda rng, config, clock: PowerOfTwoPolicy(rng, config),
        "least_load": lambda rng, config, clock: LeastLoadPolicy(rng, config),
        "manual": ManualPolicy,
        "consistent_hashing": lambda rng, config, clock: ConsistentHashingPolicy(rng),
        "prefix_hash": lambda rng, config, clock: PrefixHashPolicy(config),
        "bucket": BucketPolicy,
        "weighted_round_robin": lambda rng, config, clock: WeightedRoundRobinPolicy(),
        "dp_min_token": lambda rng, config, clock: DpMinTokenPolicy(config),
    })
)

POLICY_NAMES: tuple[str, ...] = tuple(_BUILT_IN)
"""The names of the built-in policies."""


def create_policy(
    name: str,
    rng: Random | None = None,
    config: PolicyConfig | None = None,
    clock: Callable[[], float] | None = None,
) -> Policy:
    """A fresh policy object.

    `name` is one of `POLICY_NAMES`, the name of an entry point in the group "smg.policies", or
    "module:factory". `clock` returns seconds, only ever moves forward, and is the one that
    `sweep` is called by. Raises `PolicyUnknown` when nothing goes by the name and
    `PolicyInvalid` when a plugin does not deliver a policy.
    """
    rng = rng or Random()
    config = config or PolicyConfig()
    clock = clock or time.monotonic
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        return built_in(rng, config, clock)
    policy = _load(name)(rng=rng, config=config, clock=clock)
    if not isinstance(policy, Policy):
        raise PolicyInvalid(f"{name!r} made a {type(policy).__name__}, which is no policy")
    return policy


def _load(name: str) -> PolicyFactory:
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PolicyInvalid(f"cannot load policy {name!r}: {error}") from error
        return _callable(name, found)
    # Only for names that are not built in: it loads the mail and socket packages.
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            return _callable(name, entry.load())
        except (ImportError, AttributeError) as error:
            raise PolicyInvalid(f"cannot load policy {name!r}: {error}") from error
    raise PolicyUnknown(f"unknown policy {name!r}; known: {', '.join(POLICY_NAMES)}")


def _callable(name: str, found: object) -> PolicyFactory:
    if not callable(found):
        raise PolicyInvalid(f"policy {name!r} is a {type(found).__name__}, not a factory")
    factory: PolicyFactory = found
    return factory
