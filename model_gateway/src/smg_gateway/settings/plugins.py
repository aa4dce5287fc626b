"""Names of policies: the built-in ones, and those that other distributions bring along."""

from __future__ import annotations

__all__ = ("OWN_POLICIES", "PolicyNames", "is_plugin")

OWN_POLICIES = frozenset({"weighted_round_robin"})
"""Policies that this gateway has besides those of the program it is compatible with."""


class PolicyNames(tuple[str, ...]):
    """Built-in names, as which the words of plugins count too.

    A plugin is `module:Class`, or an entry point of the group `smg.policies`.
    """

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name) or name in OWN_POLICIES:
            return True
        return isinstance(name, str) and is_plugin(name)


def is_plugin(name: str) -> bool:
    """Whether another distribution's policy is meant."""
    if ":" in name:
        return True
    # Asked for names that are not built in alone: it reads the metadata of all distributions.
    from importlib.metadata import entry_points

    from smg_policies import ENTRY_POINT_GROUP

    return name in entry_points(group=ENTRY_POINT_GROUP).names
