"""cache_aware over what engines report (block events) and over hashes of prompt heads."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from smg_policies import (
    CacheAwarePolicy,
    Decision,
    LoadReport,
    PlainCandidate,
    PolicyConfig,
    RoutingRequest,
)
from smg_policies._overlap import OverlapChooser  # noqa: PLC2701 - a draw with its own law

BLOCK = 4


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def policy_of(clock: Clock | None = None, **fields: object) -> CacheAwarePolicy:
    return CacheAwarePolicy(Random(1), PolicyConfig(**fields), clock or Clock())  # type: ignore[arg-type]


def fleet(count: int = 3) -> list[PlainCandidate]:
    return [PlainCandidate(str(number)) for number in range(1, count + 1)]


def prompt(blocks: int, start: int = 0) -> list[int]:
    return list(range(start, start + blocks * BLOCK))


def hold(policy: CacheAwarePolicy, worker: str, blocks: int, start: int = 0) -> None:
    tokens = prompt(blocks, start)
    pairs = [(start + at, tokens[at : at + BLOCK]) for at in range(0, len(tokens), BLOCK)]
    policy.events.stored(worker, pairs)


def choose(
    policy: CacheAwarePolicy, workers: list[PlainCandidate], tokens: list[int], **fields: str
) -> Decision:
    decision = policy.select(RoutingRequest(tokens=tokens, **fields), workers)
    assert decision is not None
    return decision


# Events


def test_the_worker_that_holds_most_leading_blocks_is_chosen() -> None:
    policy, workers = policy_of(), fleet()
    hold(policy, "2", 3)
    hold(policy, "3", 5)
    decision = choose(policy, workers, prompt(6))
    assert (decision.worker.id, decision.branch) == ("3", "tree_match")
    assert (decision.matched, decision.total, decision.unit) == (5, 6, "blocks")
    assert dict(decision.scores) == {"1": 0, "2": 3, "3": 5}


def test_equal_holdings_go_to_the_lower_load_then_to_chance() -> None:
    policy, workers = policy_of(), fleet()
    for worker in workers:
        hold(policy, worker.id, 3)
    assert {choose(policy, workers, prompt(3)).worker.id for _ in range(50)} == {"1", "2", "3"}
    workers[0].load = workers[1].load = 1
    assert {choose(policy, workers, prompt(3)).worker.id for _ in range(20)} == {"3"}


def test_what_engines_do_not_report_is_not_believed() -> None:
    policy, workers = policy_of(), fleet()
    choose(policy, workers, prompt(16))
    hold(policy, "2", 1, start=1000)
    workers[0].load = 1
    decision = choose(policy, workers, prompt(16))
    assert (decision.worker.id, decision.branch) == ("2", "expected_wait_fallback")


def test_a_holder_far_above_the_mean_is_passed_over() -> None:
    policy, workers = policy_of(), fleet(2)
    hold(policy, "1", 3)
    workers[0].load = 11
    decision = choose(policy, workers, prompt(3))
    assert (decision.worker.id, decision.branch, decision.matched) == ("2", "spill", 3)


def test_full_caches_rule_out_what_engines_report_too() -> None:
    policy, workers = policy_of(overload_token_usage_threshold=0.5), fleet(2)
    hold(policy, "1", 3)
    workers[0].load = 1
    workers[0].report = LoadReport(token_usage=0.9)
    assert choose(policy, workers, prompt(3)).branch == "expected_wait_fallback"


def test_a_backlog_devalues_cached_blocks_when_decay_is_on() -> None:
    plain, decayed = policy_of(), policy_of(overlap_decay=1.0)
    workers = fleet(2)
    workers[0].report = LoadReport(waiting_uncached_tokens=10 * BLOCK)
    workers[1].report = LoadReport(waiting_uncached_tokens=0)
    for policy in (plain, decayed):
        hold(policy, "1", 10)
        hold(policy, "2", 6)
    assert choose(plain, workers, prompt(10)).worker.id == "1"
    decision = choose(decayed, workers, prompt(10))
    assert decision.worker.id == "2"
    # Ten blocks of backlog over ten blocks asked for: divided by two.
    assert dict(decision.scores) == {"1": 5.0, "2": 6.0}


def test_a_temperature_spreads_the_choice_by_scaled_scores() -> None:
    chooser = OverlapChooser(Random(1), PolicyConfig(selection_temperature=1.0))
    counts = Counter(chooser.choose([4, 0, 2, 3], [0] * 4) for _ in range(3000))
    assert set(counts) == {0, 2, 3}
    # Scaled to 1, 0 and a half: weights 1, exp(-1) and exp(-1/2).
    assert counts[2] / counts[0] == pytest.approx(0.37, abs=0.06)
    assert counts[3] / counts[0] == pytest.approx(0.61, abs=0.08)
    assert chooser.choose([0, 0], [0, 0]) is None
    assert chooser.choose([0, 5], [0, 0]) == 1


def test_partitions_are_asked_for_apart() -> None:
    policy, workers = policy_of(), fleet(2)
    tokens = prompt(2)
    policy.events.stored("2", [(1, tokens[:BLOCK]), (2, tokens[BLOCK:])], partition="lora")
    workers[1].load = 1
    assert choose(policy, workers, tokens).worker.id == "1"
    assert choose(policy, workers, tokens, partition="lora").worker.id == "2"


def test_a_removed_worker_holds_nothing() -> None:
    policy, workers = policy_of(), fleet()
    hold(policy, "2", 3)
    policy.worker_removed("2")
    assert policy.events.is_empty
    assert choose(policy, workers, prompt(3)).unit == "tokens"


# Warm-up


def test_a_share_of_misses_goes_to_a_worker_that_is_warming_up() -> None:
    clock = Clock()
    policy, workers = policy_of(clock), fleet(2)
    for worker in workers:
        hold(policy, worker.id, 4)
    choose(policy, workers, prompt(2, 9000))
    clock.now = 100
    newcomer = PlainCandidate("new", load=5)
    chosen = [
        choose(policy, [*workers, newcomer], prompt(2, 5000 + 10 * n)).worker.id for n in range(8)
    ]
    assert [place for place, worker in enumerate(chosen, 1) if worker == "new"] == [4, 8]


def test_nothing_is_steered_while_all_workers_are_new() -> None:
    policy, workers = policy_of(), fleet(2)
    workers[1].load = 5
    hold(policy, "1", 4)
    hold(policy, "2", 4)
    chosen = {choose(policy, workers, prompt(2, 5000)).worker.id for _ in range(8)}
    assert chosen == {"1"}


def test_warm_up_ends_with_time_and_with_growth() -> None:
    clock = Clock()
    policy, workers = policy_of(clock, worker_warmup_blocks=3), fleet(2)
    for worker in workers:
        hold(policy, worker.id, 4)
    choose(policy, workers, prompt(2, 9000))
    clock.now = 100
    everyone = [*workers, PlainCandidate("new", load=5)]
    choose(policy, everyone, prompt(2, 5000))
    hold(policy, "new", 3)
    assert "new" not in {choose(policy, everyone, prompt(2, 5000)).worker.id for _ in range(8)}


def test_every_eighth_hit_is_diverted_to_a_thin_worker() -> None:
    policy, workers = policy_of(), fleet(3)
    hold(policy, "1", 4)
    hold(policy, "2", 4, start=500)
    chosen = [choose(policy, workers, prompt(4)).worker.id for _ in range(16)]
    assert [place for place, worker in enumerate(chosen, 1) if worker == "3"] == [8, 16]
    assert set(chosen) == {"1", "3"}


@pytest.mark.parametrize("fields", [{"worker_warmup_secs": 0}, {"worker_warmup_share": 0.0}])
def test_warm_up_can_be_switched_off(fields: dict[str, object]) -> None:
    clock = Clock()
    policy, workers = policy_of(clock, worker_warmup_divert_every=0, **fields), fleet(2)
    hold(policy, "1", 4)
    choose(policy, workers[:1], prompt(2, 9000))
    clock.now = 100
    workers[1].load = 5
    assert {choose(policy, workers, prompt(2, 5000)).worker.id for _ in range(8)} == {"1"}
    assert {choose(policy, workers, prompt(4)).worker.id for _ in range(16)} == {"1"}


# Hashes of heads


def hashed(clock: Clock | None = None, **fields: object) -> CacheAwarePolicy:
    return policy_of(clock, cache_index="hash", cache_boundaries=(4, 8), **fields)


def test_prompts_with_the_same_head_stay_together_by_the_deepest_boundary() -> None:
    policy, workers = hashed(), fleet()
    first = choose(policy, workers, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    same = choose(policy, workers, [1, 2, 3, 4, 5, 6, 7, 8, 10])
    assert (same.worker, same.branch, same.matched) == (first.worker, "tree_match", 8)
    shallow = choose(policy, workers, [1, 2, 3, 4, 0, 0])
    assert (shallow.worker, shallow.matched) == (first.worker, 4)


def test_prompts_shorter_than_every_boundary_are_spread() -> None:
    policy, workers = hashed(), fleet()
    chosen = [choose(policy, workers, [1, 2, 3]).worker.id for _ in range(6)]
    assert Counter(chosen) == {"1": 2, "2": 2, "3": 2}


def test_placements_run_out() -> None:
    clock = Clock()
    policy, workers = hashed(clock, cache_ttl_secs=10), fleet()
    first = choose(policy, workers, [1, 2, 3, 4]).worker
    clock.now = 10
    policy.sweep(10)
    assert choose(policy, workers, [1, 2, 3, 4]).worker is not first


def test_the_gate_and_the_cache_limits_hold_for_heads_too() -> None:
    policy, workers = hashed(overload_token_usage_threshold=0.5), fleet(2)
    holder = choose(policy, workers, [1, 2, 3, 4]).worker
    assert isinstance(holder, PlainCandidate)
    holder.load = 11
    spilled = choose(policy, workers, [1, 2, 3, 4])
    assert (spilled.branch, spilled.worker is holder) == ("spill", False)
    holder.load = 0
    workers[0].report = LoadReport(token_usage=0.9)
    assert choose(policy, workers, [1, 2, 3, 4]).branch == "expected_wait_fallback"


def test_heads_of_partitions_and_removed_workers_are_apart() -> None:
    policy, workers = hashed(), fleet()
    first = choose(policy, workers, [1, 2, 3, 4]).worker
    assert choose(policy, workers, [1, 2, 3, 4], partition="p").worker is not first
    policy.worker_removed(first.id)
    assert choose(policy, workers, [1, 2, 3, 4]).branch == "expected_wait_fallback"
