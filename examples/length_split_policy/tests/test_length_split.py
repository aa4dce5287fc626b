"""The example policy, on its own and by its name."""

from __future__ import annotations

import pytest
from smg_policies import PlainCandidate, PolicyConfig, PolicyInvalid, RoutingRequest, create_policy

FLEET = [PlainCandidate(id=f"w{number}") for number in range(4)]
OPTIONS = {"long_characters": "100"}


def test_long_prompts_keep_to_their_part_of_the_fleet() -> None:
    policy = create_policy("length_split", config=PolicyConfig(options=OPTIONS))
    decision = policy.select(RoutingRequest(text="x" * 100), FLEET)
    assert decision is not None and decision.worker.id == "w0" and decision.branch == "long"


def test_short_prompts_go_to_the_least_loaded_of_the_others() -> None:
    policy = create_policy("length_split", config=PolicyConfig(options=OPTIONS))
    fleet = [PlainCandidate(id="w0"), PlainCandidate(id="w1", load=3), PlainCandidate(id="w2")]
    decision = policy.select(RoutingRequest(text="hello"), fleet)
    assert decision is not None and decision.worker.id == "w2"


def test_a_single_worker_takes_everything() -> None:
    policy = create_policy("length_split")
    for text in ("short", "x" * 10_000):
        decision = policy.select(RoutingRequest(text=text), FLEET[:1])
        assert decision is not None and decision.worker.id == "w0"


def test_nonsense_options_are_refused_by_name() -> None:
    with pytest.raises(PolicyInvalid, match="long_share must lie between 0 and 1, not 7"):
        create_policy("length_split", config=PolicyConfig(options={"long_share": "7"}))
