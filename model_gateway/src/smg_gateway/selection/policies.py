"""How the gateway makes policies: the configured one, with session affinity where asked for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from smg_policies import Policy, PolicyConfig, StickySessions, create_policy

_STICKY_BY_THEMSELVES = frozenset({"manual", "consistent_hashing"})
"""Policies that follow the routing key anyway."""


class PolicyMaker:
    """Makes a fresh policy object for each model that needs one."""

    def __init__(
        self,
        name: str,
        config: PolicyConfig,
        *,
        sticky: bool,
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._config = config
        self._sticky = sticky
        self._rng = rng
        self._clock = clock

    def create(self, name: str | None = None) -> Policy:
        """A policy by name, the configured one by default.

        Raises `PolicyUnknown` or `PolicyInvalid`; see `smg_policies.create_policy`.
        """
        name = name or self._name
        policy = create_policy(name, self._new_rng(), self._config, self._clock)
        if not self._sticky or name in _STICKY_BY_THEMSELVES:
            return policy
        return StickySessions(policy, self._new_rng(), self._config, self._clock)

    def _new_rng(self) -> Random:
        return Random(self._rng.random())
