"""The text tree: what it answers, what it forgets, and what it exchanges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_kv_index import StringTree, decode_snapshot, encode_snapshot
from smg_kv_index.string_tree import REFRESH_EVERY

Given = list[tuple[str, str]]

# Two letters and short texts make shared prefixes and splits likely.
TEXTS = st.text(alphabet="ab", max_size=8)
TENANTS = st.sampled_from(("w1", "w2", "w3"))
GIVEN = st.lists(st.tuples(TEXTS, TENANTS), max_size=20)


def tree_of(given_texts: Given, *, max_depth: int = 1000) -> StringTree:
    tree = StringTree(max_depth=max_depth)
    for text, tenant in given_texts:
        tree.insert(text, tenant)
    return tree


def shared(first: str, second: str) -> int:
    pairs = zip(first, second, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def texts_of(tree: StringTree) -> dict[str, tuple[str, ...]]:
    return dict(tree.entries())


@given(GIVEN, TEXTS)
def test_a_match_is_as_long_as_the_longest_shared_prefix(given_texts: Given, text: str) -> None:
    match = tree_of(given_texts).match(text)
    assert match.matched == max((shared(text, other) for other, _ in given_texts), default=0)
    assert match.total == len(text)


@given(GIVEN, TEXTS)
def test_holders_were_given_a_text_that_starts_with_what_matched(
    given_texts: Given, text: str
) -> None:
    match = tree_of(given_texts).match(text)
    head = text[: match.matched]
    given_to = {tenant for other, tenant in given_texts if other.startswith(head)}
    assert set(match.holders) <= given_to
    assert match.tenant in match.holders or not given_texts
    assert match.latest in match.holders or not given_texts


@given(GIVEN, TEXTS, TENANTS)
def test_a_tenants_own_match_is_its_longest_shared_prefix(
    given_texts: Given, text: str, tenant: str
) -> None:
    own = [shared(text, other) for other, owner in given_texts if owner == tenant]
    assert tree_of(given_texts).match_tenant(text, tenant) == max(own, default=0)


@given(GIVEN)
def test_running_counters_agree_with_the_nodes(given_texts: Given) -> None:
    tree = tree_of(given_texts)
    assert tree.tenant_sizes() == tree.used_sizes()
    assert tree.size == sum(tree.used_sizes().values())
    assert tree.holds_count == sum(len(holders) for text, holders in tree.entries() if text)


@given(GIVEN)
def test_placing_after_a_match_is_the_same_as_inserting(given_texts: Given) -> None:
    inserted, placed = StringTree(), StringTree()
    for text, tenant in given_texts:
        inserted.match(text)
        inserted.insert(text, tenant)
        placed.place(placed.match(text), text, tenant)
    assert placed.snapshot() == inserted.snapshot()
    assert placed.tenant_sizes() == inserted.tenant_sizes()


def test_a_match_that_went_stale_is_looked_up_again_when_placed() -> None:
    tree = tree_of([("hello world", "w1")])
    match = tree.match("hello there")
    tree.insert("hello th", "w2")
    tree.place(match, "hello there", "w3")
    assert tree.match("hello there").tenant == "w3"
    assert tree.tenant_sizes() == tree.used_sizes()


def test_the_latest_tenant_is_known_on_every_node_of_the_way() -> None:
    tree = tree_of([("system: one", "w1"), ("system: two", "w2"), ("system: one", "w3")])
    assert tree.match("system: one").latest == "w3"
    assert tree.match("system: two").latest == "w2"
    assert tree.match("system: ").latest == "w3"


def test_lengths_are_code_points_and_nothing_is_normalised() -> None:
    tree = tree_of([("caf\u00e9 \U0001f600", "w1")])
    assert tree.match("caf\u00e9 \U0001f600!").matched == 6
    assert tree.match("cafe\u0301").matched == 3


def test_text_of_an_unknown_start_matches_nothing_and_has_no_share() -> None:
    match = StringTree().match("")
    assert (match.tenant, match.matched, match.ratio) == (None, 0, 0.0)


# Forgetting


@given(GIVEN, st.integers(0, 20))
def test_eviction_gets_below_the_bound_and_keeps_the_books(given_texts: Given, bound: int) -> None:
    tree = tree_of(given_texts)
    before = tree.size
    assert tree.evict_to(bound) == before - tree.size
    assert tree.size <= bound or tree.size == 0
    assert tree.tenant_sizes() == tree.used_sizes()


@given(GIVEN, st.integers(0, 5))
def test_eviction_bounds_the_number_of_holds_too(given_texts: Given, bound: int) -> None:
    tree = tree_of(given_texts)
    tree.evict_to(1000, bound)
    assert tree.holds_count <= bound
    assert tree.tenant_sizes() == tree.used_sizes()


@given(GIVEN, st.integers(0, 10))
def test_evicting_each_tenant_spares_those_within_the_bound(given_texts: Given, bound: int) -> None:
    tree = tree_of(given_texts)
    before = tree.tenant_sizes()
    tree.evict_each_to(bound)
    after = tree.tenant_sizes()
    assert all(size <= bound for size in after.values())
    assert all(after[tenant] == size for tenant, size in before.items() if size <= bound)
    assert after == tree.used_sizes()


@given(GIVEN, st.lists(st.tuples(TEXTS, TENANTS, st.integers(0, 12)), max_size=8))
def test_growing_and_evicting_in_turn_never_loses_the_way(
    given_texts: Given, later: list[tuple[str, str, int]]
) -> None:
    tree = tree_of(given_texts)
    for text, tenant, bound in later:
        tree.evict_to(bound)
        tree.place(tree.match(text), text, tenant)
        assert tree.match(text).matched == len(text)
        tree.evict_each_to(bound)
        assert tree.tenant_sizes() == tree.used_sizes()


def test_the_least_recently_used_text_goes_first() -> None:
    tree = tree_of([("aaaa", "w1"), ("bbbb", "w2"), ("cccc", "w1")])
    tree.insert("aaaa", "w1")
    tree.evict_to(8)
    assert set(texts_of(tree)) == {"", "aaaa", "cccc"}


def test_one_match_in_a_few_counts_as_use() -> None:
    tree = tree_of([("aaaa", "w1"), ("bbbb", "w2")])
    for _ in range(REFRESH_EVERY):
        tree.match("aaaa")
    tree.evict_to(4)
    assert set(texts_of(tree)) == {"", "aaaa"}


def test_a_shared_start_outlives_its_tails_and_then_goes_itself() -> None:
    tree = tree_of([("prompt one", "w1"), ("prompt two", "w1")])
    tree.evict_to(len("prompt ") + len("two"))
    assert set(texts_of(tree)) == {"", "prompt ", "prompt two"}
    tree.evict_to(0)
    assert set(texts_of(tree)) == {""}


def test_evicting_each_tenant_stops_at_a_shared_start_that_was_used_later() -> None:
    tree = tree_of([("prompt one", "w1"), ("prompt ", "w1")])
    tree.evict_each_to(len("prompt "))
    assert set(texts_of(tree)) == {"", "prompt "}
    tree.evict_each_to(0)
    assert set(texts_of(tree)) == {""}


def test_a_start_left_over_by_one_eviction_is_found_by_the_next() -> None:
    tree = tree_of([("prompt one", "w1"), ("prompt two", "w1"), ("x", "w2")])
    tree.evict_each_to(len("prompt two"))
    tree.evict_each_to(len("prompt "))
    assert set(texts_of(tree)) == {"", "prompt ", "x"}
    assert tree.evict_to(1) == len("prompt ")
    assert set(texts_of(tree)) == {"", "x"}


def test_evicting_a_tenant_by_name_leaves_what_others_hold() -> None:
    tree = tree_of([("abcd", "w1"), ("abcd", "w2"), ("wxyz", "w1")])
    assert tree.evict_tenant("w1", 4) == 4
    assert tree.tenant_sizes() == {"w1": 4, "w2": 4}
    assert tree.match("abcd").holders == {"w2"}
    assert tree.evict_tenant("w1", 4) == 0


def test_a_removed_tenant_leaves_text_without_holders_unless_pruned() -> None:
    kept = tree_of([("abcd", "w1"), ("ab", "w2")])
    kept.remove_tenant("w1")
    assert (kept.match("abcd").matched, kept.match("abcd").tenant) == (4, None)
    pruned = tree_of([("abcd", "w1"), ("ab", "w2")])
    pruned.remove_tenant("w1", prune=True)
    assert (pruned.match("abcd").matched, pruned.match("abcd").tenant) == (2, "w2")
    assert pruned.tenant_sizes() == {"w2": 2}


@given(GIVEN, TENANTS)
def test_pruning_leaves_exactly_the_others_texts(given_texts: Given, tenant: str) -> None:
    tree = tree_of(given_texts)
    tree.remove_tenant(tenant, prune=True)
    others = [(text, owner) for text, owner in given_texts if owner != tenant]
    for text, _ in given_texts:
        longest = max((shared(text, other) for other, _ in others), default=0)
        assert tree.match(text).matched == longest
    assert tree.tenant_sizes() == tree.used_sizes()


@given(GIVEN, TENANTS, GIVEN, st.integers(1, 3))
def test_retiring_bit_by_bit_ends_like_removing_at_once(
    given_texts: Given, tenant: str, meanwhile: Given, step: int
) -> None:
    meanwhile = [(text, owner) for text, owner in meanwhile if owner != tenant]
    tree = tree_of(given_texts)
    tree.retire_tenant(tenant)
    for text, owner in meanwhile:
        tree.tidy(step)
        tree.insert(text, owner)
    while not tree.tidy(step):
        assert tree.tenant_sizes() == tree.used_sizes()
    assert tenant not in tree.used_sizes()
    others = [(text, owner) for text, owner in given_texts + meanwhile if owner != tenant]
    for text, _ in given_texts:
        longest = max((shared(text, other) for other, _ in others), default=0)
        assert tree.match(text).matched == longest
    assert tree.tenant_sizes() == tree.used_sizes()
    assert tree.evict_to(0) == sum(tree_of(others).used_sizes().values())


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("insert"), TEXTS, TENANTS),
            st.tuples(st.just("retire"), st.just(""), TENANTS),
            st.tuples(st.just("tidy"), st.just(""), st.just("")),
            st.tuples(st.just("evict"), TEXTS, st.just("")),
        ),
        max_size=30,
    )
)
def test_everything_can_be_evicted_whatever_happened_before(
    steps: list[tuple[str, str, str]],
) -> None:
    tree = StringTree(max_depth=5)
    for step, text, tenant in steps:
        match step:
            case "insert":
                tree.place(tree.match(text), text, tenant)
            case "retire":
                tree.retire_tenant(tenant)
            case "tidy":
                tree.tidy(2)
            case _:
                tree.evict_to(len(text))
        used = {name: size for name, size in tree.used_sizes().items() if size}
        assert {name: size for name, size in tree.tenant_sizes().items() if size} == used
        assert tree.size == sum(used.values())
    tree.evict_to(0)
    assert (tree.size, tree.holds_count) == (0, 0)


def test_a_retiring_tenant_that_is_given_something_again_stays() -> None:
    tree = tree_of([("abc", "w1")])
    tree.retire_tenant("w1")
    tree.insert("xyz", "w1")
    assert tree.tidy(100)
    assert tree.match("xyz").tenant == "w1"


def test_clearing_forgets_everything() -> None:
    tree = tree_of([("abcd", "w1")])
    tree.clear()
    assert (tree.size, tree.holds_count, list(tree.entries())) == (0, 0, [])


def test_a_hostile_sequence_of_prompts_cannot_make_the_tree_deep() -> None:
    tree = StringTree(max_depth=10)
    for length in range(200, 0, -1):
        tree.insert("a" * length, f"w{length % 2}")
    assert tree.match("a" * 200).matched == 10
    assert tree.match("b").matched == 0


def test_a_conversation_longer_than_the_depth_bound_is_still_known_whole() -> None:
    tree = StringTree(max_depth=10)
    text = ""
    for turn in range(100):
        text += f"turn {turn} "
        tree.insert(text, "w1")
    assert tree.match(text).matched == len(text)
    assert tree.holds_count == 10
    assert tree.tenant_sizes() == tree.used_sizes()
    tree.insert(text + "elsewhere", "w2")
    tree.insert(text + "again", "w1")
    assert tree.match(text + "again").matched == len(text)


@given(GIVEN, st.integers(1, 3))
def test_a_shallow_tree_never_claims_more_than_a_deep_one(
    given_texts: Given, max_depth: int
) -> None:
    shallow = tree_of(given_texts, max_depth=max_depth)
    for text, _ in given_texts:
        for tenant in ("w1", "w2", "w3"):
            own = [shared(text, other) for other, owner in given_texts if owner == tenant]
            assert shallow.match_tenant(text, tenant) <= max(own, default=0)
    assert shallow.tenant_sizes() == shallow.used_sizes()


# Exchange


@given(GIVEN)
def test_a_snapshot_restores_the_same_tree(given_texts: Given) -> None:
    tree = tree_of(given_texts)
    nodes = decode_snapshot(encode_snapshot(tree.snapshot()))
    restored = StringTree.from_snapshot(nodes)
    assert restored.snapshot() == tree.snapshot()
    assert restored.tenant_sizes() == tree.tenant_sizes()
    assert restored.clock >= max((seen for node in nodes for _, seen in node.tenants), default=0)


@given(GIVEN, GIVEN, TEXTS)
def test_an_exact_merge_knows_what_both_knew(ours: Given, theirs: Given, text: str) -> None:
    tree = tree_of(ours)
    tree.merge(tree_of(theirs), exact=True)
    assert tree.match(text).matched == tree_of(ours + theirs).match(text).matched
    for tenant in ("w1", "w2", "w3"):
        own = [shared(text, other) for other, owner in ours + theirs if owner == tenant]
        assert tree.match_tenant(text, tenant) == max(own, default=0)
    assert tree.tenant_sizes() == tree.used_sizes()


@given(GIVEN, GIVEN)
def test_the_compatible_merge_keeps_ours_and_the_books(ours: Given, theirs: Given) -> None:
    tree = tree_of(ours)
    tree.merge(tree_of(theirs))
    assert all(tree.match(text).matched == len(text) for text, _ in ours)
    assert tree.tenant_sizes() == tree.used_sizes()


def test_the_compatible_merge_credits_what_only_starts_alike() -> None:
    theirs = tree_of([("abXYZ", "w2")])
    tree = tree_of([("ab", "w1"), ("abXpq", "w1")])
    tree.merge(theirs)
    assert tree.match("abXpq").holders == {"w1", "w2"}
    fair = tree_of([("ab", "w1"), ("abXpq", "w1")])
    fair.merge(theirs, exact=True)
    assert fair.match("abXpq").holders == {"w1"}
    assert fair.match("abXYZ").holders == {"w2"}


def test_the_compatible_merge_loses_what_hangs_below_a_prefix_of_ours() -> None:
    theirs = tree_of([("hello", "w2"), ("hello there", "w2")])
    tree = tree_of([("hello world", "w1")])
    tree.merge(theirs)
    assert tree.match_tenant("hello there", "w2") == 5
    fair = tree_of([("hello world", "w1")])
    fair.merge(theirs, exact=True)
    assert fair.match_tenant("hello there", "w2") == 11


def test_the_later_of_two_accesses_decides_after_a_merge() -> None:
    theirs = tree_of([("other", "w1"), ("shared", "w1"), ("shared", "w1")])
    tree = tree_of([("shared", "w1"), ("ours", "w1")])
    tree.merge(theirs)
    tree.evict_to(len("shared"))
    assert set(texts_of(tree)) == {"", "shared"}


@given(GIVEN, GIVEN)
def test_changes_since_a_time_bring_a_copy_up_to_date(before: Given, after: Given) -> None:
    tree = tree_of(before)
    copy = StringTree.from_snapshot(tree.snapshot())
    time = tree.clock
    for text, tenant in after:
        tree.insert(text, tenant)
    changes = tree.changes_since(time)
    for text, tenant, _ in reversed(changes):
        copy.insert(text, tenant)
    for text, tenant in before + after:
        assert copy.match_tenant(text, tenant) == len(text)
    assert len(changes) <= len(after)


@pytest.mark.parametrize("tenant", ["", "http://w1:8000", "empty"])
def test_any_name_can_hold_text(tenant: str) -> None:
    tree = tree_of([("abc", tenant)])
    assert tree.match("abc").tenant == tenant


def test_matching_and_inserting_answers_as_it_was_before() -> None:
    tree = StringTree()
    assert tree.match_and_insert("prompt", "w1").matched == 0
    match = tree.match_and_insert("prompt", "w2")
    assert (match.tenant, match.holders, match.ratio) == ("w1", ("w1",), 1.0)
    assert set(tree.match("prompt").holders) == {"w1", "w2"}


@given(GIVEN, st.lists(TEXTS, max_size=8), TEXTS, st.integers(0, 10))
def test_a_peek_tells_what_a_match_would_and_is_no_access(
    given_texts: Given, peeked: list[str], text: str, bound: int
) -> None:
    asked, left_alone = tree_of(given_texts), tree_of(given_texts)
    for other in (*peeked, text):
        foretold = asked.peek(other)
    assert asked.clock == left_alone.clock
    expected = left_alone.match(text)
    assert foretold[:3] == expected[:3]
    assert (set(foretold.holders), foretold.latest) == (set(expected.holders), expected.latest)
    asked.match(text)
    for tree in (asked, left_alone):
        tree.evict_to(bound)
    assert texts_of(asked) == texts_of(left_alone)
