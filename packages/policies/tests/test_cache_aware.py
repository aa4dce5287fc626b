"""cache_aware over remembered prompts: affinity, its threshold, its limits, its bounds."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_policies import (
    CacheAwarePolicy,
    Decision,
    LoadReport,
    PlainCandidate,
    PolicyConfig,
    RoutingRequest,
)


def policy_of(**fields: object) -> CacheAwarePolicy:
    return CacheAwarePolicy(Random(1), PolicyConfig(**fields), lambda: 0.0)  # type: ignore[arg-type]


def fleet(count: int = 2) -> list[PlainCandidate]:
    return [PlainCandidate(str(number)) for number in range(1, count + 1)]


def choose(policy: CacheAwarePolicy, workers: list[PlainCandidate], text: str) -> Decision:
    decision = policy.select(RoutingRequest(text=text), workers)
    assert decision is not None
    return decision


def by_tokens(
    policy: CacheAwarePolicy, workers: list[PlainCandidate], tokens: list[int]
) -> Decision:
    decision = policy.select(RoutingRequest(tokens=tokens), workers)
    assert decision is not None
    return decision


def overlapping(count: int, workers: list[PlainCandidate], **fields: object) -> str:
    """Who gets `count` equal prompts of which none ends meanwhile."""
    policy = policy_of(**fields)
    chosen = ""
    for _ in range(count):
        worker = choose(policy, workers, "the same prompt").worker
        assert isinstance(worker, PlainCandidate)
        worker.load += 1
        chosen += worker.id
    return chosen


# Affinity and threshold


@pytest.mark.parametrize(
    ("shared", "branch"),
    [(350, "tree_match"), (300, "expected_wait_fallback"), (250, "expected_wait_fallback")],
)
def test_only_more_than_the_threshold_share_makes_a_match(shared: int, branch: str) -> None:
    policy, workers = policy_of(), fleet()
    choose(policy, workers, "a" * 1000)
    workers[0].load = 1
    decision = choose(policy, workers, "a" * shared + "b" * (1000 - shared))
    assert decision.branch == branch
    assert decision.worker.id == ("1" if branch == "tree_match" else "2")
    assert (decision.matched, decision.total, decision.unit) == (shared, 1000, "characters")


def test_fresh_prompts_are_spread_over_the_workers() -> None:
    policy, workers = policy_of(), fleet(3)
    chosen = [choose(policy, workers, f"{number} prompt").worker.id for number in range(9)]
    assert Counter(chosen) == {"1": 3, "2": 3, "3": 3}


def test_a_conversation_stays_where_it_started() -> None:
    policy, workers = policy_of(), fleet(3)
    history = {name: f"{name}: hello" for name in ("ann", "bob", "cyd")}
    first = {name: choose(policy, workers, text).worker for name, text in history.items()}
    assert len(set(first.values())) == 3
    for turn in range(5):
        for name, text in history.items():
            history[name] = text + f" turn {turn} " * 3
            assert choose(policy, workers, history[name]).worker is first[name]


@pytest.mark.parametrize("text", [None, ""])
def test_nothing_to_match_goes_to_the_least_loaded(text: str | None) -> None:
    policy, workers = policy_of(), fleet(3)
    workers[0].load = workers[2].load = 2
    decision = policy.select(RoutingRequest(text=text), workers)
    assert decision is not None
    assert (decision.worker.id, decision.branch) == ("2", "expected_wait_fallback")
    assert policy.texts.size == 0


def test_of_several_holders_the_latest_is_preferred() -> None:
    policy, workers = policy_of(), fleet(3)
    choose(policy, workers[:1], "prompt")
    choose(policy, workers[1:2], "prompt")
    policy.texts.insert("prompt", "3")
    assert choose(policy, workers, "prompt").worker.id == "3"
    assert choose(policy, workers[:2], "prompt").worker.id in {"1", "2"}


def test_with_the_holders_away_the_first_usable_serves_and_nothing_is_remembered() -> None:
    policy, workers = policy_of(), fleet(3)
    choose(policy, workers[2:], "prompt")
    decision = choose(policy, workers[:2], "prompt")
    assert (decision.worker.id, decision.branch) == ("1", "first_healthy_fallback")
    assert choose(policy, workers, "prompt").worker.id == "3"


def test_even_the_first_usable_is_not_overloaded() -> None:
    policy, workers = policy_of(), fleet(3)
    choose(policy, workers[2:], "prompt")
    workers[0].load = 50
    assert choose(policy, workers[:2], "prompt").worker.id == "2"


def test_partitions_never_share_a_prefix() -> None:
    policy, workers = policy_of(), fleet()
    text, tokens = "a long shared prompt", list(range(64))
    for request in (RoutingRequest(text=text), RoutingRequest(tokens=tokens)):
        first = policy.select(request, workers)
        request.partition = "salt"
        second = policy.select(request, workers)
        again = policy.select(request, workers)
        assert first and second and again
        assert (first.matched, second.matched) == (0, 0)
        assert again.matched == again.total == second.total == first.total
        assert again.worker is second.worker


def test_a_prompt_cannot_pass_for_one_of_a_partition() -> None:
    for forged in ("\x001:psecret", "\x00secret", "p\x00secret"):
        policy, workers = policy_of(), fleet()
        policy.select(RoutingRequest(text="secret", partition="p"), workers)
        assert choose(policy, workers, forged).matched == 0


# The gate


@pytest.mark.parametrize(
    ("count", "fields", "chosen"),
    [
        (2, {}, "1" * 11 + "2"),
        (
            2,
            {"balance_abs_threshold": 2, "balance_rel_threshold": 1.0},
            "1" * 5 + "2" * 10 + "1",
        ),
        (2, {"balance_rel_threshold": 3.0}, "1" * 40),
        (3, {}, "1" * 7 + "2" * 13 + "1"),
    ],
)
def test_overlapping_equal_prompts_spill_as_observed(
    count: int, fields: dict[str, object], chosen: str
) -> None:
    assert overlapping(len(chosen), fleet(count), **fields) == chosen


def test_a_spilled_prompt_is_remembered_for_both() -> None:
    policy, workers = policy_of(), fleet()
    choose(policy, workers, "prompt")
    workers[0].load = 11
    spilled = choose(policy, workers, "prompt")
    assert (spilled.worker.id, spilled.branch) == ("2", "spill")
    workers[0].load, workers[1].load = 0, 11
    back = choose(policy, workers, "prompt")
    assert (back.worker.id, back.branch) == ("1", "tree_match")


@given(
    st.lists(st.tuples(st.sampled_from(["", "one ", "two "]), st.integers(0, 3)), max_size=60),
    st.integers(2, 5),
)
def test_requests_that_all_start_alike_never_collapse_on_one_worker(
    steps: list[tuple[str, int]], count: int
) -> None:
    policy, workers = policy_of(), fleet(count)
    for number, (group, ended) in enumerate(steps):
        before = [worker.load for worker in workers]
        worker = choose(policy, workers, "system prompt " * 20 + group + str(number)).worker
        assert isinstance(worker, PlainCandidate)
        mean = sum(before) / count
        assert worker.load <= max(1.5 * mean, mean + max(4, 2 * mean**0.5 + 1))
        worker.load += 1
        for each in workers[:ended]:
            each.load = max(each.load - 1, 0)


# Reports


def test_the_fallback_takes_the_shortest_expected_wait_where_engines_report() -> None:
    policy, workers = policy_of(), fleet()
    workers[0].report = LoadReport(waiting_uncached_tokens=4000)
    workers[1].report = LoadReport(waiting_uncached_tokens=100)
    workers[1].load = 9
    assert choose(policy, workers, "fresh").worker.id == "2"


@pytest.mark.parametrize(
    ("fields", "usages", "follows"),
    [
        ({}, (0.99, 0.1), True),
        ({"overload_token_usage_threshold": 0.9}, (0.9, 0.1), True),
        ({"overload_token_usage_threshold": 0.9}, (0.95, 0.9), False),
        ({"balance_token_usage_threshold": 0.5}, (0.7, 0.2), True),
        ({"balance_token_usage_threshold": 0.5}, (0.8, 0.2), False),
        ({"balance_token_usage_threshold": 0.5}, (None, None), True),
    ],
)
def test_full_or_uneven_kv_caches_rule_affinity_out(
    fields: dict[str, object], usages: tuple[float | None, ...], follows: bool
) -> None:
    policy, workers = policy_of(**fields), fleet()
    choose(policy, workers, "prompt")
    workers[0].load = 1
    for worker, usage in zip(workers, usages, strict=True):
        worker.report = LoadReport(token_usage=usage)
    decision = choose(policy, workers, "prompt")
    assert decision.branch == ("tree_match" if follows else "expected_wait_fallback")
    if not follows:
        assert decision.worker.id in policy.texts.match("prompt").holders


def test_work_sent_since_a_report_counts_ahead_of_the_next_one() -> None:
    policy, workers = policy_of(), fleet()
    reports = LoadReport(waiting_uncached_tokens=0), LoadReport(waiting_uncached_tokens=1500)
    for worker, report in zip(workers, reports, strict=True):
        worker.report = report
    prompts = [f"{number} fresh".ljust(4_000, ".") for number in range(4)]
    assert [choose(policy, workers, each).worker.id for each in prompts] == ["1", "1", "2", "1"]
    workers[0].report = LoadReport(waiting_uncached_tokens=0)
    assert choose(policy, workers, "4 fresh").worker.id == "1"


def test_bursts_between_two_polls_are_spread_over_all_workers() -> None:
    policy, workers = policy_of(), fleet(8)
    for number, worker in enumerate(workers):
        worker.report = LoadReport(waiting_uncached_tokens=100 * number)
    given = Counter(
        choose(policy, workers, f"{number} fresh".ljust(4_000, ".")).worker.id
        for number in range(160)
    )
    assert max(given.values()) - min(given.values()) <= 2


def test_a_worker_that_generates_little_is_not_taken_for_a_slow_one() -> None:
    policy, workers = policy_of(), fleet()
    for worker, tokens_per_s in zip(workers, (3.0, 900.0), strict=True):
        worker.report = LoadReport(waiting_uncached_tokens=0, throughput=tokens_per_s)
    prompts = [f"{number} fresh".ljust(4_000, ".") for number in range(8)]
    given = Counter(choose(policy, workers, each).worker.id for each in prompts)
    assert given == {"1": 4, "2": 4}


def test_bookings_can_expire_before_the_next_report() -> None:
    now = 0.0
    config = PolicyConfig(selection_accounting_ttl_ms=1000)
    policy, workers = CacheAwarePolicy(Random(1), config, lambda: now), fleet()
    for worker, waiting in zip(workers, (0, 1500), strict=True):
        worker.report = LoadReport(waiting_uncached_tokens=waiting)
    prompts = [f"{number} fresh".ljust(8_000, ".") for number in range(3)]
    assert [choose(policy, workers, each).worker.id for each in prompts[:2]] == ["1", "2"]
    now = 1.5
    assert choose(policy, workers, prompts[2]).worker.id == "1"


# Tokens


def test_tokens_are_matched_by_pages_and_before_text() -> None:
    policy, workers = policy_of(), fleet()
    first = by_tokens(policy, workers, list(range(40)))
    again = policy.select(RoutingRequest(tokens=list(range(48)), text="other"), workers)
    assert again is not None
    assert again.worker is first.worker
    assert (again.matched, again.total, again.unit) == (32, 48, "tokens")


def test_ids_that_no_vocabulary_has_count_as_no_tokens() -> None:
    policy, workers = policy_of(), fleet()
    assert by_tokens(policy, workers, [-1] * 20).branch == "expected_wait_fallback"
    assert policy.tokens.size == 0


# Bounds


def test_the_trees_stay_within_their_budget_all_the_time() -> None:
    policy, workers = policy_of(max_tree_size=500), fleet()
    for number in range(200):
        choose(policy, workers, f"{number} " + "x" * 30)
        by_tokens(policy, workers, list(range(number, number + 32)))
        assert policy.texts.size <= 500
        assert policy.tokens.size <= 500
    assert choose(policy, workers, "199 " + "x" * 30).branch == "tree_match"
    assert choose(policy, workers, "0 " + "x" * 30).branch == "expected_wait_fallback"


def test_short_prompts_are_bounded_by_their_number() -> None:
    policy, workers = policy_of(max_tree_holds=50), fleet()
    for number in range(1000):
        choose(policy, workers, f"{number:03}")
        assert policy.texts.holds_count <= 50


def test_a_conversation_cut_into_very_many_pieces_stays_cheap_and_found() -> None:
    policy, workers = policy_of(max_tree_depth=20), fleet()
    text = ""
    for number in range(100):
        text += f"turn {number} "
        decision = choose(policy, workers, text)
        assert decision.worker.id == "1"
    assert decision.total - decision.matched < 10
    assert policy.texts.holds_count == 20


def test_a_removed_worker_is_no_holder_at_once_and_gives_its_memory_back_in_sweeps() -> None:
    policy, workers = policy_of(), fleet()
    choose(policy, workers[:1], "prompt")
    by_tokens(policy, workers[:1], list(range(16)))
    policy.worker_removed("1")
    decision = choose(policy, workers[1:], "prompt")
    assert (decision.branch, decision.matched) == ("expected_wait_fallback", 0)
    assert choose(policy, workers[1:], "prompt").branch == "tree_match"
    policy.sweep(1)
    assert (policy.texts.tenant_sizes(), policy.tokens.size) == ({"2": 6}, 0)


def test_a_worker_that_returns_before_it_was_forgotten_keeps_what_it_is_given() -> None:
    policy, workers = policy_of(), fleet()
    choose(policy, workers[:1], "prompt")
    policy.worker_removed("1")
    choose(policy, workers[:1], "another prompt")
    policy.sweep(1)
    assert choose(policy, workers, "another prompt").worker.id == "1"


@given(
    st.lists(
        st.tuples(
            st.text(alphabet="ab\x00", max_size=6),
            st.sampled_from([None, "p", "1:p"]),
            st.sets(st.integers(0, 2), min_size=1),
        ),
        max_size=30,
    )
)
def test_any_sequence_of_requests_and_fleets_gets_a_usable_worker(
    steps: list[tuple[str, str | None, set[int]]],
) -> None:
    policy, workers = policy_of(max_tree_size=20), fleet(3)
    for text, partition, present in steps:
        usable = [workers[place] for place in sorted(present)]
        decision = policy.select(RoutingRequest(text=text, partition=partition), usable)
        assert decision is not None
        assert decision.worker in usable
        assert 0 <= decision.matched <= decision.total == len(text)
        assert policy.texts.size <= 20
