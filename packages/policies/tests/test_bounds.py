"""Memory that stops growing: every policy, under traffic that never repeats itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest
from smg_policies import (
    POLICY_NAMES,
    CacheAwarePolicy,
    LoadReport,
    PlainCandidate,
    Policy,
    PolicyConfig,
    RoutingRequest,
    StickySessions,
    create_policy,
)

CONFIG = PolicyConfig(
    max_tree_size=4000,
    max_tree_holds=60,
    max_sticky_keys=50,
    max_idle_secs=10**9,
    bucket_adjust_interval_secs=20,
    cache_boundaries=(4, 16),
    cache_ttl_secs=20,
    selection_accounting_ttl_ms=60_000,
    worker_warmup_blocks=4,
)


class Traffic:
    """Requests of which each has a key, a prompt and sometimes a worker of its own."""

    def __init__(self, name: str, config: PolicyConfig, *, sticky: bool) -> None:
        self.now = 0.0
        self.number = 0
        self.rng = Random(1)
        below = create_policy(name, Random(1), config, lambda: self.now)
        self.events = below.events if isinstance(below, CacheAwarePolicy) else None
        self.policy: Policy = below
        if sticky:
            self.policy = StickySessions(below, Random(1), config, lambda: self.now)
        self.fleet = [self.fresh_worker(number) for number in range(4)]

    def fresh_worker(self, number: int) -> PlainCandidate:
        return PlainCandidate(f"http://10.0.0.1:{number}", report=LoadReport())

    def flow(self, requests: int) -> None:
        for _ in range(requests):
            self.number += 1
            number = self.number
            self.now += 0.1
            request = RoutingRequest(
                text=f"{number} " * 20 if number % 2 else None,
                tokens=None if number % 2 else [number] * 40,
                routing_key=f"key {number}",
            )
            decision = self.policy.select(request, self.fleet)
            if decision is not None and decision.ticket is not None:
                self.policy.settle(decision)
            if self.events is not None and number % 500 == 0:
                self.events.stored(self.fleet[0].id, [(number, [number] * 16)])
                self.events.removed(self.fleet[0].id, [number - 500])
            if number % 10 == 0:
                self.policy.sweep(self.now)
            if number % 25 == 0:
                gone = self.fleet.pop(self.rng.randrange(4))
                self.fleet.append(self.fresh_worker(number))
                self.policy.worker_removed(gone.id)


def pieces(thing: object, seen: set[int]) -> int:
    """How many entries an object's tables have, through all its parts."""
    if id(thing) in seen or isinstance(thing, str | bytes | int | float | Random | LoadReport):
        return 0
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        inside = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | deque | set):
        inside = list(thing)
    else:
        names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        parts = [getattr(thing, name, None) for name in (*names, *getattr(thing, "__dict__", ()))]
        return sum(pieces(each, seen) for each in parts if not callable(each))
    return len(inside) + sum(pieces(each, seen) for each in inside)


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize(
    ("name", "index"), [*((name, "tree") for name in POLICY_NAMES), ("cache_aware", "hash")]
)
def test_what_a_policy_remembers_stops_growing(name: str, sticky: bool, index: str) -> None:
    traffic = Traffic(name, replace(CONFIG, cache_index=index), sticky=sticky)
    traffic.flow(1500)
    most = 0
    for _ in range(10):
        traffic.flow(50)
        most = max(most, pieces(traffic.policy, set()))
    for _ in range(20):
        traffic.flow(50)
        assert pieces(traffic.policy, set()) <= 1.1 * most
