"""dp_min_token: the rank with the fewest tokens at work."""

from __future__ import annotations

from smg_policies import (
    Decision,
    DpMinTokenPolicy,
    LoadReport,
    PlainCandidate,
    PolicyConfig,
    RoutingRequest,
)


def ranks(count: int = 2) -> list[PlainCandidate]:
    return [PlainCandidate(f"http://w@{rank}") for rank in range(count)]


def send(policy: DpMinTokenPolicy, fleet: list[PlainCandidate], tokens: int) -> Decision:
    decision = policy.select(RoutingRequest(tokens=[1] * tokens), fleet)
    assert decision is not None
    return decision


def test_tokens_count_from_choice_until_settled() -> None:
    policy, fleet = DpMinTokenPolicy(PolicyConfig()), ranks()
    large = send(policy, fleet, 100)
    assert [send(policy, fleet, 30).worker.id for _ in range(3)] == ["http://w@1"] * 3
    policy.settle(large)
    assert send(policy, fleet, 1).worker.id == "http://w@0"


def test_a_report_replaces_the_estimate() -> None:
    policy, fleet = DpMinTokenPolicy(PolicyConfig()), ranks()
    send(policy, fleet, 100)
    fleet[0].report = LoadReport(used_tokens=5, waiting_uncached_tokens=2)
    fleet[1].report = LoadReport(used_tokens=6)
    decision = send(policy, fleet, 10)
    assert dict(decision.scores) == {"http://w@0": 7, "http://w@1": 6}
    assert dict(send(policy, fleet, 1).scores) == {"http://w@0": 7, "http://w@1": 16}


def test_settling_after_a_report_never_goes_below_nothing() -> None:
    policy, fleet = DpMinTokenPolicy(PolicyConfig()), ranks(1)
    flying = send(policy, fleet, 100)
    fleet[0].report = LoadReport(used_tokens=5)
    send(policy, fleet, 1)
    policy.settle(flying)
    assert dict(send(policy, fleet, 1).scores) == {"http://w@0": 0}


def test_prompts_of_unknown_size_are_estimated() -> None:
    policy, fleet = DpMinTokenPolicy(PolicyConfig()), ranks(1)
    policy.select(RoutingRequest(text="x" * 40), fleet)
    policy.select(RoutingRequest(), fleet)
    assert dict(send(policy, fleet, 1).scores) == {"http://w@0": 11 + 1024}


def test_a_removed_rank_starts_from_nothing() -> None:
    policy, fleet = DpMinTokenPolicy(PolicyConfig()), ranks(1)
    flying = send(policy, fleet, 100)
    policy.worker_removed("http://w@0")
    policy.settle(flying)
    assert dict(send(policy, fleet, 1).scores) == {"http://w@0": 0}
