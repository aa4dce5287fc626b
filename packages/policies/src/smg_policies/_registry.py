"""From a policy's name to a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from ._simple import PassthroughPolicy, PowerOfTwoPolicy, RandomPolicy, RoundRobinPolicy
from ._types import Policy


class PolicyUnknown(ValueError):
    """No policy goes by that name."""


_FACTORIES: Mapping[str, Callable[[Random], Policy]] = MappingProxyType({
    "random": RandomPolicy,
    "round_robin": lambda rng: RoundRobinPolicy(),
    "passthrough": lambda rng: PassthroughPolicy(),
    "power_of_two": PowerOfTwoPolicy,
})

POLICY_NAMES: tuple[str, ...] = tuple(_FACTORIES)


def create_policy(name: str, rng: Random | None = None) -> Policy:
    """A fresh policy object; raises `PolicyUnknown` for a name that is not in `POLICY_NAMES`."""
    factory = _FACTORIES.get(name)
    if factory is None:
        raise PolicyUnknown(f"unknown policy {name!r}; known: {', '.join(POLICY_NAMES)}")
    return factory(rng or Random())
