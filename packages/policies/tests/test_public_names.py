"""The door: its names are frozen and documented."""

from __future__ import annotations

import subprocess
import sys

import smg_policies

NAMES = (
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


def test_the_public_names_are_these() -> None:
    assert smg_policies.__all__ == NAMES


def test_every_public_name_says_what_it_is() -> None:
    assert all(getattr(smg_policies, name).__doc__ for name in NAMES)


def test_every_method_of_a_public_class_says_what_it_does() -> None:
    classes = [item for name in NAMES if isinstance(item := getattr(smg_policies, name), type)]
    silent = [
        f"{item.__name__}.{name}"
        for item in classes
        for name, member in vars(item).items()
        if callable(member) and not name.startswith("_") and not member.__doc__
    ]
    assert silent == []


def test_importing_loads_nothing_that_does_io() -> None:
    check = "import sys, smg_policies; print({'asyncio', 'socket'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
