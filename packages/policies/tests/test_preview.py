"""Previews: the next choice, told without making it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random, SystemRandom
from threading import Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_policies import (
    POLICY_NAMES,
    BasePolicy,
    CacheAwarePolicy,
    Candidate,
    Decision,
    LoadReport,
    PlainCandidate,
    Policy,
    PolicyConfig,
    RandomPolicy,
    RoundRobinPolicy,
    RoutingRequest,
    StickySessions,
    create_policy,
    preview,
)

CONFIGS = (
    PolicyConfig(),
    PolicyConfig(
        max_tree_size=120,
        max_tree_depth=3,
        max_sticky_keys=2,
        assignment_mode="min_group",
        max_idle_secs=3,
        eviction_interval_secs=1,
        bucket_adjust_interval_secs=2,
        balance_abs_threshold=2,
        balance_rel_threshold=1.0,
        selection_accounting_ttl_ms=1500,
        selection_temperature=0.5,
        least_load_max_waiting_requests=3,
        power_of_two_load_metric="least_requests",
        worker_warmup_secs=2,
    ),
    PolicyConfig(
        cache_index="hash",
        cache_boundaries=(4, 16),
        cache_ttl_secs=2,
        assignment_mode="random",
        power_of_two_load_metric="requests",
        overload_token_usage_threshold=0.8,
    ),
)

REQUESTS = st.builds(
    RoutingRequest,
    text=st.text(alphabet="ab", max_size=6).map(lambda part: part * 5),
    tokens=st.none() | st.lists(st.integers(0, 1), max_size=3).map(lambda ids: ids * 16),
    routing_key=st.sampled_from([None, "k", "k_t1", "m"]),
    rid=st.sampled_from([None, "k", "r"]),
    implicit_key=st.sampled_from([None, "10.0.0.1"]),
    target=st.sampled_from([None, None, None, "w1", ""]),
    partition=st.sampled_from([None, None, "salt"]),
)
REPORTS = st.builds(
    LoadReport,
    running_requests=st.integers(0, 3),
    waiting_requests=st.none() | st.integers(0, 3),
    waiting_uncached_tokens=st.none() | st.integers(0, 3000),
    used_tokens=st.none() | st.integers(0, 100),
    token_usage=st.none() | st.floats(0, 1),
    throughput=st.sampled_from([0.0, 500.0]),
)
USABLE = st.sets(st.integers(0, 2), min_size=0, max_size=3)


@dataclass
class Stage:
    """One policy with its fleet, its clock, and the decisions that are not settled yet."""

    name: str
    config: PolicyConfig
    sticky: bool
    now: float = 0.0
    flying: list[Decision] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = Random(7)
        self.workers = [PlainCandidate(f"w{number}", weight=number) for number in range(1, 4)]
        below = create_policy(self.name, rng, self.config, lambda: self.now)
        self.events = below.events if isinstance(below, CacheAwarePolicy) else None
        self.policy: Policy = below
        if self.sticky:
            self.policy = StickySessions(below, rng, self.config, lambda: self.now)

    def usable(self, places: set[int]) -> list[PlainCandidate]:
        return [self.workers[place] for place in sorted(places)]

    def select(self, request: RoutingRequest, places: set[int]) -> Decision | None:
        decision = self.policy.select(request, self.usable(places))
        if decision is not None:
            self.flying.append(decision)
            self.workers[int(decision.worker.id[1:]) - 1].load += 1
        return decision

    def preview(self, request: RoutingRequest, places: set[int]) -> Decision | None:
        return preview(self.policy, request, self.usable(places))

    def happens(self, step: tuple[str, int, LoadReport]) -> None:
        """Anything that may lie between two choices."""
        kind, number, report = step
        worker = self.workers[number]
        if kind == "settled" and self.flying:
            decision = self.flying.pop(number % len(self.flying))
            self.workers[int(decision.worker.id[1:]) - 1].load -= 1
            if decision.ticket is not None:
                self.policy.settle(decision)
        elif kind == "polled":
            worker.report = report
        elif kind == "left":
            self.policy.worker_removed(worker.id)
        elif kind == "later":
            self.now += number + 0.5
            self.policy.sweep(self.now)
        elif kind == "stored" and self.events is not None:
            self.events.stored(worker.id, [(number, [0] * 16)])


def state_of(thing: object, seen: dict[int, int]) -> object:
    """Everything that an object keeps, through all its parts, in a form that can be compared."""
    if thing is None or isinstance(thing, bool | int | float | str | bytes | frozenset):
        return thing
    if id(thing) in seen:
        return ("seen", seen[id(thing)])
    seen[id(thing)] = len(seen)
    if isinstance(thing, Random):
        return thing.getstate()
    if isinstance(thing, Mapping):
        return [(state_of(key, seen), state_of(value, seen)) for key, value in thing.items()]
    if isinstance(thing, set):
        return sorted(map(repr, thing))
    if isinstance(thing, list | tuple | deque):
        return [state_of(each, seen) for each in thing]
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    names += getattr(thing, "__dict__", ())
    return [(name, state_of(getattr(thing, name, None), seen)) for name in sorted(names)]


def shown(decision: Decision | None) -> object:
    """A decision as far as two policies with the same history have to agree on it."""
    return decision and (decision.worker.id, *decision[1:-1])


STEPS = st.lists(
    st.tuples(
        REQUESTS,
        USABLE,
        st.lists(st.tuples(REQUESTS, USABLE), max_size=2),
        st.lists(
            st.tuples(
                st.sampled_from(["settled", "polled", "left", "later", "stored"]),
                st.integers(0, 2),
                REPORTS,
            ),
            max_size=2,
        ),
    ),
    max_size=12,
)


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("name", POLICY_NAMES)
@settings(max_examples=40)
@given(steps=STEPS, config=st.sampled_from(CONFIGS))
def test_a_preview_is_the_next_choice_and_changes_no_later_one(
    name: str,
    sticky: bool,
    config: PolicyConfig,
    steps: list[
        tuple[
            RoutingRequest,
            set[int],
            list[tuple[RoutingRequest, set[int]]],
            list[tuple[str, int, LoadReport]],
        ]
    ],
) -> None:
    asked, left_alone = (Stage(name, config, sticky) for _ in range(2))
    for request, usable, others, between in steps:
        before = state_of(asked.policy, {})
        for other, places in others:
            asked.preview(other, places)
        foretold = asked.preview(request, usable)
        assert asked.preview(request, usable) == foretold
        assert state_of(asked.policy, {}) == before
        chosen = asked.select(request, usable)
        assert foretold == (chosen and chosen._replace(ticket=None))
        assert shown(chosen) == shown(left_alone.select(request, usable))
        for step in between:
            asked.happens(step)
            left_alone.happens(step)


# Other people's policies


class Greedy(BasePolicy):
    """Keeps what a preview must not touch: a count, the candidates, and their last reports."""

    name = "greedy"

    def __init__(self) -> None:
        self.count = 0
        self.known: dict[str, Candidate] = {}
        self.reports: dict[str, object] = {}

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        self.count += 1
        news = [
            each
            for each in candidates
            if getattr(each, "report", None) is not self.reports.get(each.id)
        ]
        for each in candidates:
            self.known[each.id] = each
            self.reports[each.id] = getattr(each, "report", None)
        chosen = (news or candidates)[self.count % len(news or candidates)]
        return Decision(self.known[chosen.id], self.name, "greedy", ticket=object())


def test_a_policy_of_somebody_else_is_previewed_on_a_copy() -> None:
    policy = Greedy()
    workers = [PlainCandidate(name, report=LoadReport()) for name in "abc"]
    for _ in range(4):
        foretold = policy.preview(RoutingRequest(), workers)
        assert foretold is not None
        chosen = policy.select(RoutingRequest(), workers)
        assert chosen is not None
        assert (foretold.worker, foretold.ticket) == (chosen.worker, None)
    assert policy.count == 4


def test_a_policy_with_parts_that_cannot_be_copied_says_that_it_cannot_tell() -> None:
    class Locked(Greedy):
        def __init__(self) -> None:
            super().__init__()
            self.lock = Lock()

    with pytest.raises(NotImplementedError, match="Locked cannot be previewed: cannot pickle"):
        Locked().preview(RoutingRequest(), [PlainCandidate("a")])


def test_true_randomness_cannot_be_foretold() -> None:
    with pytest.raises(NotImplementedError):
        RandomPolicy(SystemRandom()).preview(RoutingRequest(), [PlainCandidate("a")])


class Silent:
    """A whole policy that has no preview."""

    name, needs_text = "silent", False

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        return Decision(candidates[0], self.name, "first")

    def settle(self, decision: Decision) -> None: ...

    def worker_removed(self, worker_id: str) -> None: ...

    def sweep(self, now: float) -> None: ...


def test_a_policy_without_preview_still_routes_but_cannot_be_asked() -> None:
    policy = StickySessions(Silent(), Random(1), PolicyConfig(), lambda: 0.0)
    workers = [PlainCandidate("a")]
    for asked in (Silent(), policy):
        assert isinstance(asked, Policy)
        with pytest.raises(NotImplementedError, match="policy 'silent' cannot be previewed"):
            preview(asked, RoutingRequest(routing_key="key"), workers)
    assert policy.select(RoutingRequest(routing_key="key"), workers) is not None
    # Where the pin alone decides, the policy below is not asked.
    pinned = policy.preview(RoutingRequest(routing_key="key"), workers)
    assert pinned is not None
    assert pinned.branch == "occupied_hit"


def test_a_pin_that_is_only_previewed_is_not_made() -> None:
    policy = StickySessions(RoundRobinPolicy(), Random(1), PolicyConfig(), lambda: 0.0)
    workers = [PlainCandidate("a"), PlainCandidate("b")]
    foretold = policy.preview(RoutingRequest(routing_key="key"), workers)
    assert foretold is not None
    assert (foretold.worker.id, foretold.branch, foretold.ticket) == ("a", "vacant", None)
    assert (policy.entries_count, policy.keys_by_worker()) == (0, {})
