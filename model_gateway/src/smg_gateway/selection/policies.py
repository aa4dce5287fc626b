"""How the gateway makes policies: the configured one, with session affinity where asked for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from smg_policies import DpMinTokenPolicy, Policy, PolicyConfig, StickySessions, create_policy

from .ranks import RankScheduler

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
        by_rank: bool = False,
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._config = config
        self._sticky = sticky
        self._by_rank = by_rank
        self._rng = rng
        self._clock = clock

    def create(self, name: str | None = None) -> Policy:
        """A policy by name, the configured one by default.

        Raises `PolicyUnknown` or `PolicyInvalid`; see `smg_policies.create_policy`.
        """
        name = name or self._name
        policy = create_policy(name, self._new_rng(), self._config, self._clock)
        if self._by_rank:
            policy = RankScheduler(policy, DpMinTokenPolicy(self._config))
        if not self._sticky or name in _STICKY_BY_THEMSELVES:
            return policy
        return StickySessions(policy, self._new_rng(), self._config, self._clock)

    def _new_rng(self) -> Random:
        return Random(self._rng.random())
