"""consistent_hashing and prefix_hash, against a ring written down the long way."""

from __future__ import annotations

import struct
from collections import Counter
from random import Random

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from smg_policies import (
    ConsistentHashingPolicy,
    Decision,
    HashRing,
    PlainCandidate,
    Policy,
    PolicyConfig,
    PrefixHashPolicy,
    RoutingRequest,
    create_policy,
)
from smg_policies._ring import MAX_MEMBERS  # noqa: PLC2701 - the bound that a test fills
from xxhash import xxh3_64_hexdigest

IDS = [f"http://10.0.0.{number}:8000" for number in range(4)]
KEYS = st.text(min_size=1, max_size=12)


def fleet(count: int = 4) -> list[PlainCandidate]:
    return [PlainCandidate(worker_id) for worker_id in IDS[:count]]


def position(data: bytes) -> int:
    return struct.unpack("<Q", blake3(data).digest()[:8])[0]  # type: ignore[no-any-return]


def predict(key: bytes, ids: list[str]) -> str:
    """The owner by definition: the smallest step clockwise from the key to any worker's point."""
    steps = [
        ((position(f"{worker_id}#{n}".encode()) - position(key)) % 2**64, worker_id)
        for worker_id in ids
        for n in range(150)
    ]
    return min(steps)[1]


def choose(policy: Policy, workers: list[PlainCandidate], **fields: object) -> Decision:
    decision = policy.select(RoutingRequest(**fields), workers)  # type: ignore[arg-type]
    assert decision is not None
    return decision


# The ring


@given(KEYS, st.lists(st.sampled_from(IDS), min_size=1, unique=True))
def test_a_key_belongs_to_the_next_usable_point_clockwise(key: str, usable: list[str]) -> None:
    ring = HashRing()
    ring.admit(IDS)
    assert ring.locate(key.encode(), set(usable)) == predict(key.encode(), usable)


@given(KEYS)
def test_the_order_of_arrival_does_not_matter(key: str) -> None:
    first, second = HashRing(), HashRing()
    first.admit(IDS)
    for worker_id in reversed(IDS):
        second.admit([worker_id])
    assert first.locate(key.encode(), set(IDS)) == second.locate(key.encode(), set(IDS))


def test_a_removed_worker_moves_only_its_own_keys() -> None:
    ring = HashRing()
    ring.admit(IDS)
    keys = [f"key{number}".encode() for number in range(300)]
    before = [ring.locate(key, set(IDS)) for key in keys]
    ring.remove(IDS[0])
    after = [ring.locate(key, set(IDS)) for key in keys]
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    assert moved
    assert set(moved) == {IDS[0]}


@pytest.mark.parametrize("count", [2, 3, 5, 8, 16, 32])
@pytest.mark.parametrize("name", ["consistent_hashing", "prefix_hash"])
def test_one_of_n_workers_leaving_moves_at_most_its_fair_share_and_a_third(
    name: str, count: int
) -> None:
    policy = create_policy(name, Random(1))
    workers = [PlainCandidate(f"http://10.0.1.{number}:8000") for number in range(count)]
    requests = [
        RoutingRequest(routing_key=key)
        if name == "consistent_hashing"
        else RoutingRequest(text=f"prompt {key}")
        for key in map(str, range(500 * count))
    ]

    def owners(usable: list[PlainCandidate]) -> list[str]:
        decisions = [policy.select(request, usable) for request in requests]
        return [decision.worker.id for decision in decisions if decision]

    before = owners(workers)
    assert max(Counter(before).values()) <= 1.3 * len(requests) / count
    leaving = Random(count).choice(workers)
    policy.worker_removed(leaving.id)
    after = owners([worker for worker in workers if worker is not leaving])
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {leaving.id}
    assert len(moved) <= 1.3 * len(requests) / count


def test_an_empty_ring_has_no_owner() -> None:
    assert HashRing().locate(b"key", {"w"}) is None


def test_a_ring_beyond_its_bound_lets_absent_workers_go() -> None:
    ring = HashRing()
    ring.admit([f"old{number}" for number in range(MAX_MEMBERS)])
    ring.admit(["old1", "new"])
    assert len(ring) == 2
    assert ring.locate(b"key", {"new"}) == "new"


# consistent_hashing


@given(KEYS)
def test_a_routing_key_goes_by_the_ring_and_before_all_else_but_a_target(key: str) -> None:
    policy = ConsistentHashingPolicy(Random(1))
    decision = choose(policy, fleet(), routing_key=key, implicit_key="cookie")
    assert (decision.worker.id, decision.branch) == (
        predict(key.encode(), IDS),
        "routing_key_hit",
    )


def test_an_implicit_key_serves_where_the_client_gave_none() -> None:
    policy = ConsistentHashingPolicy(Random(1))
    decision = choose(policy, fleet(), routing_key="", implicit_key="10.1.1.1")
    assert decision.worker.id == predict(b"10.1.1.1", IDS)
    assert decision.branch == "implicit_key_hit"


def test_without_any_key_chance_decides() -> None:
    policy = ConsistentHashingPolicy(Random(1))
    decisions = [choose(policy, fleet()) for _ in range(60)]
    assert {decision.worker.id for decision in decisions} == set(IDS)
    assert {decision.branch for decision in decisions} == {"random_fallback"}


def test_a_named_worker_is_taken_or_nobody() -> None:
    policy = ConsistentHashingPolicy(Random(1))
    decision = choose(policy, fleet(), target=IDS[2], routing_key="key")
    assert (decision.worker.id, decision.branch) == (IDS[2], "target_worker_hit")
    for target in ("", "http://elsewhere"):
        assert policy.select(RoutingRequest(target=target, routing_key="key"), fleet()) is None


def test_keys_of_a_worker_that_left_go_to_the_next_one() -> None:
    policy = ConsistentHashingPolicy(Random(1))
    workers = fleet()
    owner = choose(policy, workers, routing_key="key").worker
    left = [worker for worker in workers if worker is not owner]
    assert choose(policy, left, routing_key="key").worker.id == predict(
        b"key", [worker.id for worker in left]
    )
    policy.worker_removed(owner.id)
    assert choose(policy, workers, routing_key="key").worker is owner


# prefix_hash


def on_ring(head: bytes) -> str:
    return predict(xxh3_64_hexdigest(head).encode(), IDS)


def test_the_routing_key_counts_whole_and_before_the_prompt() -> None:
    decision = choose(PrefixHashPolicy(PolicyConfig()), fleet(), routing_key="k", text="text")
    assert (decision.worker.id, decision.branch) == (on_ring(b"k"), "ring_hit")


@given(st.text(min_size=1, max_size=30), st.integers(1, 4))
def test_text_counts_by_its_first_characters(text: str, tokens: int) -> None:
    policy = PrefixHashPolicy(PolicyConfig(prefix_token_count=tokens))
    head = text[: tokens * 4].encode()
    assert choose(policy, fleet(), text=text).worker.id == on_ring(head)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12))
def test_tokens_count_by_their_first_ids(tokens: list[int]) -> None:
    policy = PrefixHashPolicy(PolicyConfig(prefix_token_count=5))
    head = struct.pack(f"<{len(tokens[:5])}I", *tokens[:5])
    assert choose(policy, fleet(), tokens=tokens, text="no").worker.id == on_ring(head)


@pytest.mark.parametrize(("length", "used"), [(3, 3), (4, 4), (7, 4), (8, 8), (20, 8)])
def test_boundaries_are_tried_deepest_first(length: int, used: int) -> None:
    policy = PrefixHashPolicy(PolicyConfig(cache_boundaries=(4, 8)))
    tokens = list(range(length))
    head = struct.pack(f"<{used}I", *tokens[:used])
    assert choose(policy, fleet(), tokens=tokens).worker.id == on_ring(head)


def test_a_busy_owner_is_passed_over_for_a_shallower_head_then_for_the_idlest() -> None:
    policy = PrefixHashPolicy(PolicyConfig(cache_boundaries=(4, 8)))
    tokens = next(
        tokens
        for start in range(100)
        if on_ring(struct.pack("<8I", *(tokens := [start] * 8)))
        != on_ring(struct.pack("<4I", *tokens[:4]))
    )
    workers = {worker.id: worker for worker in fleet()}
    deep = on_ring(struct.pack("<8I", *tokens))
    shallow = on_ring(struct.pack("<4I", *tokens[:4]))
    workers[deep].load = 40
    decision = choose(policy, list(workers.values()), tokens=tokens)
    assert (decision.worker.id, decision.branch) == (shallow, "ring_hit")
    workers[shallow].load = 40
    decision = choose(policy, list(workers.values()), tokens=tokens)
    assert decision.branch == "load_balance_walk"
    assert decision.worker.load == 0


@pytest.mark.parametrize(("load", "branch"), [(21, "ring_hit"), (22, "load_balance_walk")])
def test_a_worker_is_busy_only_beyond_both_margins(load: int, branch: str) -> None:
    workers = fleet(2)
    owner = predict(xxh3_64_hexdigest(b"text").encode(), IDS[:2])
    for worker in workers:
        worker.load = load if worker.id == owner else 0
    # With this request the mean is (load + 1) / 2, and ten above it are tolerated.
    assert choose(PrefixHashPolicy(PolicyConfig()), workers, text="text").branch == branch


def test_nothing_to_hash_goes_to_the_idlest_first_of_equals() -> None:
    workers = fleet()
    workers[0].load = 1
    decision = choose(PrefixHashPolicy(PolicyConfig()), workers)
    assert (decision.worker, decision.branch) == (workers[1], "no_routing_key")
