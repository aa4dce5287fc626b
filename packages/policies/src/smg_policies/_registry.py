"""From a policy's name to a policy."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
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
"""Where other distributions offer policies: name = "module:attribute"."""


class PolicyUnknown(ValueError):
    """No policy goes by that name."""


class PolicyInvalid(TypeError):
    """A plugin could not be loaded, or what it made is not a `Policy`."""


class PolicyFactory(Protocol):
    """What makes a policy: a class or function taking the three as keyword arguments.

    Those that are loaded by name may take fewer.
    """

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

_NEEDED = ("name", "needs_text", "select", "settle", "worker_removed", "sweep")
_SPELLING = re.compile(r"[\w.]+:[\w.]+")


def create_policy(
    name: str,
    rng: Random | None = None,
    config: PolicyConfig | None = None,
    clock: Callable[[], float] | None = None,
) -> Policy:
    """A fresh policy object.

    `name` is one of `POLICY_NAMES`, the name of an entry point in the group "smg.policies", or
    "module:attribute", where the attribute is a class or function that makes a policy. A plugin
    is called with those of the keyword arguments `rng`, `config` and `clock` that it takes.
    `clock` returns seconds, only ever moves forward, and is the one that `sweep` is called by.
    Raises `PolicyUnknown` when nothing goes by the name, and `PolicyInvalid` when a plugin cannot
    be imported, fails, or makes something that is no policy; the message says which.
    """
    rng = rng or Random()
    config = config or PolicyConfig()
    clock = clock or time.monotonic
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        return built_in(rng, config, clock)
    factory = _load(name)
    arguments = _wanted(name, factory, {"rng": rng, "config": config, "clock": clock})
    try:
        policy = factory(**arguments)
    except Exception as error:
        raise PolicyInvalid(f"policy {name!r} could not be made: {_told(error)}") from error
    return _checked(name, policy)


def _load(name: str) -> Callable[..., object]:
    # Only for names that are not built in: it loads the mail and socket packages.
    from importlib.metadata import EntryPoint, entry_points

    if ":" in name:
        entry: EntryPoint | None = EntryPoint(name, name, ENTRY_POINT_GROUP)
    else:
        entry = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
    if entry is None:
        raise PolicyUnknown(f"unknown policy {name!r}; known: {', '.join(POLICY_NAMES)}")
    if not _SPELLING.fullmatch(entry.value):
        raise PolicyInvalid(f"cannot load policy {name!r}: {entry.value!r} is not module:attribute")
    try:
        found: object = entry.load()
    except Exception as error:
        raise PolicyInvalid(f"cannot load policy {name!r}: {_told(error)}") from error
    if not callable(found):
        raise PolicyInvalid(f"policy {name!r} is a {type(found).__name__}, not a factory")
    return found


def _wanted(
    name: str, factory: Callable[..., object], offered: Mapping[str, object]
) -> Mapping[str, object]:
    """The arguments among those offered that a factory takes."""
    from inspect import Parameter, signature

    try:
        parameters = signature(factory).parameters.values()
    except ValueError:  # compiled without a signature: it has to take all of them
        return offered
    if any(each.kind is Parameter.VAR_KEYWORD for each in parameters):
        return offered
    names = {each.name for each in parameters if each.kind is not Parameter.POSITIONAL_ONLY}
    missing = [
        each.name
        for each in parameters
        if each.default is Parameter.empty
        and each.kind is not Parameter.VAR_POSITIONAL
        and (each.name not in offered or each.kind is Parameter.POSITIONAL_ONLY)
    ]
    if missing:
        raise PolicyInvalid(
            f"policy {name!r} asks for {missing[0]!r}; there are only the keyword arguments "
            f"{', '.join(offered)}"
        )
    return {each: value for each, value in offered.items() if each in names}


def _checked(name: str, policy: object) -> Policy:
    if isinstance(policy, Policy):
        return policy
    lacks = [each for each in _NEEDED if not hasattr(policy, each)]
    raise PolicyInvalid(
        f"{name!r} made a {type(policy).__name__}, which is no policy: it lacks {', '.join(lacks)}"
    )


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
