"""Policies by name, by entry point, and by module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from random import Random

import pytest
from smg_policies import (
    ENTRY_POINT_GROUP,
    POLICY_NAMES,
    BasePolicy,
    Candidate,
    Decision,
    PlainCandidate,
    Policy,
    PolicyConfig,
    PolicyFactory,
    PolicyInvalid,
    PolicyUnknown,
    RoutingRequest,
    StickySessions,
    create_policy,
)

PLUGIN = """
from smg_policies import BasePolicy, Decision

class Last(BasePolicy):
    name = "last"

    def __init__(self, *, rng, config, clock):
        self.arguments = (rng, config, clock)

    def select(self, request, candidates):
        return Decision(candidates[-1], self.name, "last candidate") if candidates else None

class Plain(Last):
    def __init__(self):
        self.arguments = ()

class Timed(Last):
    def __init__(self, clock, bias=3):
        self.arguments = (clock(), bias)

def made_by_a_function(config):
    return Timed(lambda: config.cache_threshold)

class Shelf:
    Kept = Plain

class Careless:
    name = "careless"

    def __init__(self, **arguments):
        pass

class Undecided(BasePolicy):
    name = "undecided"

class Greedy(Last):
    def __init__(self, rng, fleet):
        pass

class Shy(Last):
    def __init__(self, rng, /):
        pass

class Broken(Last):
    def __init__(self, rng):
        raise RuntimeError("no licence")

NUMBER = 7
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed distribution that offers policies."""
    (tmp_path / "last_policy_plugin.py").write_text(PLUGIN)
    (tmp_path / "broken_policy_plugin.py").write_text("1 / 0")
    info = tmp_path / "last_policy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: last-policy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{ENTRY_POINT_GROUP}]\nlast = last_policy_plugin:Last\ngone = last_policy_plugin:Gone\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "last_policy_plugin", raising=False)
    assert metadata.entry_points(group=ENTRY_POINT_GROUP, name="last")
    return "last_policy_plugin"


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_every_built_in_policy_goes_by_its_name(name: str) -> None:
    policy = create_policy(name, Random(1), PolicyConfig(), lambda: 0.0)
    assert policy.name == name
    assert isinstance(policy, Policy)
    assert isinstance(StickySessions(policy, Random(1), PolicyConfig(), lambda: 0.0), Policy)


def test_the_built_in_names_are_these() -> None:
    assert set(POLICY_NAMES) == {
        "random",
        "round_robin",
        "passthrough",
        "cache_aware",
        "power_of_two",
        "least_load",
        "manual",
        "consistent_hashing",
        "prefix_hash",
        "bucket",
        "weighted_round_robin",
        "dp_min_token",
    }


def test_two_policies_of_one_name_share_nothing() -> None:
    workers = [PlainCandidate("a"), PlainCandidate("b")]
    first, second = create_policy("round_robin"), create_policy("round_robin")
    first.select(RoutingRequest(), workers)
    decision = second.select(RoutingRequest(), workers)
    assert decision is not None
    assert decision.worker.id == "a"


@pytest.mark.parametrize("name", ["last", "last_policy_plugin:Last"])
def test_a_plugin_is_found_by_entry_point_or_module(plugin: str, name: str) -> None:
    rng, config = Random(1), PolicyConfig(cache_threshold=0.7)
    policy = create_policy(name, rng, config, lambda: 3.0)
    assert policy.arguments[:2] == (rng, config)  # type: ignore[attr-defined]
    decision = policy.select(RoutingRequest(), [PlainCandidate("a"), PlainCandidate("b")])
    assert decision is not None
    assert decision.worker.id == "b"


@pytest.mark.parametrize(
    ("attribute", "arguments"),
    [
        ("Plain", ()),
        ("Timed", (3.0, 3)),
        ("made_by_a_function", (0.7, 3)),
        ("Shelf.Kept", ()),
    ],
)
def test_a_plugin_is_given_the_arguments_that_it_takes(
    plugin: str, attribute: str, arguments: tuple[object, ...]
) -> None:
    config = PolicyConfig(cache_threshold=0.7)
    policy = create_policy(f"{plugin}:{attribute}", Random(1), config, lambda: 3.0)
    assert policy.arguments == arguments  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("gone", "cannot load policy 'gone': AttributeError: .*no attribute 'Gone'"),
        ("no_such_module:Policy", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken_policy_plugin:Policy", "cannot load policy .*: ZeroDivisionError: division"),
        ("last_policy_plugin:Gone", "AttributeError: .*no attribute 'Gone'"),
        ("last_policy_plugin:", "'last_policy_plugin:' is not module:attribute"),
        (":Last", "':Last' is not module:attribute"),
        ("last_policy_plugin:NUMBER", "is a int, not a factory"),
        (
            "last_policy_plugin:Careless",
            "made a Careless, which is no policy: it lacks needs_text, select, settle",
        ),
        ("last_policy_plugin:Undecided", "made a Undecided, which is no policy: it lacks select"),
        ("last_policy_plugin:Greedy", "asks for 'fleet'; there are only .* rng, config, clock"),
        ("last_policy_plugin:Shy", "asks for 'rng'; there are only the keyword arguments"),
        ("last_policy_plugin:Broken", "could not be made: RuntimeError: no licence"),
    ],
)
def test_a_plugin_that_delivers_no_policy_is_refused(
    plugin: str, name: str, complaint: str
) -> None:
    with pytest.raises(PolicyInvalid, match=complaint):
        create_policy(name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PolicyUnknown, match=r"unknown policy 'fastest'; known: random, "):
        create_policy("fastest")


class Named(BasePolicy):
    """What a third party must write, checked by the type checker as well."""

    name = "named"

    def __init__(self, *, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> None:
        self._rng = rng

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        return Decision(candidates[0], self.name, "first") if candidates else None


def test_a_base_policy_with_a_name_and_a_choice_is_a_whole_policy() -> None:
    factory: PolicyFactory = Named
    policy: Policy = factory(rng=Random(1), config=PolicyConfig(), clock=lambda: 0.0)
    assert isinstance(policy, Policy)
    assert policy.needs_text is False
