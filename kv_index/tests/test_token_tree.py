"""The token tree: pages, holders, eviction orders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_kv_index import EvictionOrder, TokenTree, pack_tokens
from smg_kv_index.token_tree import PAGE_TOKENS

Prompt = list[int]
Given = list[tuple[Prompt, str]]


def page(number: int) -> Prompt:
    return list(range(number * 100, number * 100 + PAGE_TOKENS))


def pages(*numbers: int) -> Prompt:
    return [token for number in numbers for token in page(number)]


PROMPTS = st.builds(
    lambda numbers, rest: pages(*numbers) + list(range(rest)),
    st.lists(st.integers(1, 3), max_size=4),
    st.integers(0, PAGE_TOKENS - 1),
)
TENANTS = st.sampled_from(("w1", "w2", "w3"))
GIVEN = st.lists(st.tuples(PROMPTS, TENANTS), max_size=16)


def tree_of(given_prompts: Given) -> TokenTree:
    tree = TokenTree()
    for prompt, tenant in given_prompts:
        tree.insert(prompt, tenant)
    return tree


def whole_pages(prompt: Prompt) -> Prompt:
    return prompt[: len(prompt) // PAGE_TOKENS * PAGE_TOKENS]


def shared(first: Prompt, second: Prompt) -> int:
    pairs = zip(whole_pages(first), whole_pages(second), strict=False)
    count = 0
    for a, b in pairs:
        if a != b:
            break
        count += 1
    return count // PAGE_TOKENS * PAGE_TOKENS


@given(GIVEN, PROMPTS)
def test_a_match_is_the_longest_shared_run_of_pages(given_prompts: Given, prompt: Prompt) -> None:
    match = tree_of(given_prompts).match(prompt)
    longest = max((shared(prompt, other) for other, _ in given_prompts), default=0)
    assert (match.matched, match.total) == (longest, len(prompt))


@given(GIVEN, PROMPTS)
def test_holders_were_given_those_pages(given_prompts: Given, prompt: Prompt) -> None:
    match = tree_of(given_prompts).match(prompt)
    if match.matched:
        head = prompt[: match.matched]
        given_to = {owner for other, owner in given_prompts if other[: len(head)] == head}
        assert set(match.holders) <= given_to
        assert match.tenant in match.holders
        assert match.latest in match.holders


@given(GIVEN)
def test_placing_after_a_match_is_the_same_as_inserting(given_prompts: Given) -> None:
    inserted, placed = TokenTree(), TokenTree()
    for prompt, tenant in given_prompts:
        inserted.match(prompt)
        inserted.insert(prompt, tenant)
        packed = pack_tokens(prompt)
        placed.place_packed(placed.match_packed(packed), packed, tenant)
    assert list(placed.entries()) == list(inserted.entries())
    assert placed.tenant_sizes() == inserted.tenant_sizes()
    assert placed.size == sum(placed.used_sizes().values())


@given(GIVEN, st.integers(0, 100), st.integers(0, 8))
def test_eviction_keeps_both_bounds_and_the_books(
    given_prompts: Given, tokens: int, holds: int
) -> None:
    tree = tree_of(given_prompts)
    tree.evict_to(tokens, holds)
    assert tree.size <= tokens
    assert tree.holds_count <= holds
    assert tree.size == sum(tree.used_sizes().values())


def test_a_key_shorter_than_a_page_is_not_stored_and_names_any_tenant() -> None:
    tree = TokenTree()
    tree.insert(page(1)[:-1], "w1")
    assert tree.tenant_sizes() == {}
    assert tree.match([1]).tenant is None
    tree.insert(page(1), "w1")
    short = tree.match([1])
    assert (short.tenant, short.matched, short.total) == ("w1", 0, 1)


def test_inserting_again_counts_again_but_only_in_the_running_counter() -> None:
    tree = tree_of([(pages(1, 2), "w1"), (pages(1, 2), "w1")])
    assert tree.tenant_sizes() == {"w1": 64}
    assert tree.used_sizes() == {"w1": 32}
    assert tree.size == 32


def test_a_part_that_lost_its_holders_stops_a_match_until_it_is_given_again() -> None:
    tree = tree_of([(pages(1, 2), "w1"), (pages(1), "w2")])
    tree.remove_tenant("w1")
    packed = pack_tokens(pages(1, 2))
    match = tree.match_packed(packed)
    assert match.matched == 16
    tree.place_packed(match, packed, "w3")
    assert (tree.match(pages(1, 2)).matched, tree.match(pages(1, 2)).tenant) == (32, "w3")


# Three leaves of a page each; the second is touched twice more, then the first.
SEQUENCE = (1, 2, 3, 2, 2, 1)


@pytest.mark.parametrize(
    ("order", "first_to_go"),
    [
        (EvictionOrder.LRU, 3),
        (EvictionOrder.LFU, 3),
        (EvictionOrder.FIFO, 1),
        (EvictionOrder.MRU, 1),
        (EvictionOrder.FILO, 3),
        (EvictionOrder.PRIORITY, 3),
    ],
)
def test_each_order_gives_up_its_own_leaf_first(order: EvictionOrder, first_to_go: int) -> None:
    tree = TokenTree(order=order)
    for number in SEQUENCE:
        tree.insert(page(number), "w1")
    freed = tree.evict_tenant("w1", tree.tenant_sizes()["w1"] - 1)
    assert freed == PAGE_TOKENS
    gone = [number for number in (1, 2, 3) if tree.match(page(number)).matched == 0]
    assert gone == [first_to_go]


def test_least_frequent_is_not_least_recent() -> None:
    tree = TokenTree(order=EvictionOrder.LFU)
    for number in (1, 1, 1, 2, 2, 3, 3, 3):
        tree.insert(page(number), "w1")
    tree.evict_tenant("w1", tree.tenant_sizes()["w1"] - 1)
    assert tree.match(page(2)).matched == 0


def test_a_parent_goes_after_its_last_leaf() -> None:
    tree = tree_of([(pages(1, 2), "w1"), (pages(1, 3), "w1")])
    assert tree.evict_tenant("w1", 0) == 48
    assert tree.used_sizes() == {"w1": 0}


@given(GIVEN, st.integers(0, 64))
def test_evicting_each_tenant_takes_only_from_those_above_the_bound(
    given_prompts: Given, bound: int
) -> None:
    tree = tree_of(given_prompts)
    before = tree.tenant_sizes()
    freed = tree.evict_each_to(bound)
    after = tree.tenant_sizes()
    assert sum(before.values()) - sum(after.values()) == freed
    assert all(after[tenant] == size for tenant, size in before.items() if size <= bound)
    assert tree.size == sum(tree.used_sizes().values())


def test_a_leaf_that_others_hold_does_not_expose_what_is_above_it() -> None:
    tree = tree_of([(pages(1), "w1"), (pages(1, 2), "w1"), (pages(1, 2), "w2")])
    assert tree.evict_tenant("w1", 0) == 16
    assert tree.used_sizes() == {"w1": 16, "w2": 32}


def test_a_conversation_longer_than_the_depth_bound_is_still_known_whole() -> None:
    tree = TokenTree(max_depth=4)
    for length in range(1, 30):
        tree.match_and_insert(pages(*range(length)), "w1")
    assert tree.match(pages(*range(29))).matched == 29 * PAGE_TOKENS
    assert tree.holds_count == 4
    assert tree.size == sum(tree.used_sizes().values()) == 29 * PAGE_TOKENS


def test_other_page_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="16 tokens, not 32"):
        TokenTree(page_tokens=32)


@pytest.mark.parametrize("token", [-1, 2**32])
def test_ids_that_no_vocabulary_has_are_refused(token: int) -> None:
    with pytest.raises(OverflowError):
        TokenTree().insert([token] * 16, "w1")


def test_matching_and_inserting_answers_as_it_was_before() -> None:
    tree = TokenTree()
    assert tree.match_and_insert(pages(1, 2), "w1").matched == 0
    match = tree.match_and_insert(pages(1, 2), "w2")
    assert (match.tenant, match.holders, match.ratio) == ("w1", ("w1",), 1.0)
    assert set(tree.match(pages(1, 2)).holders) == {"w1", "w2"}


def test_a_retiring_tenant_is_forgotten_unless_it_is_given_something_again() -> None:
    tree = tree_of([(pages(1, 2), "w1"), (pages(1, 3), "w2"), (pages(3), "w3")])
    tree.retire_tenant("w1")
    tree.retire_tenant("w3")
    tree.insert(pages(3, 1), "w3")
    assert not tree.tidy(1)
    assert tree.tidy(100)
    assert tree.used_sizes() == {"w2": 32, "w3": 32}
    assert tree.match(pages(1, 2)).matched == 16


def test_what_is_split_off_while_its_tenant_retires_is_not_claimed_for_it() -> None:
    tree = tree_of([(pages(1, 2, 3), "w1")])
    tree.retire_tenant("w1")
    tree.insert(pages(1), "w2")
    assert set(tree.match(pages(1)).holders) == {"w2"}
    assert tree.tidy(100)
    assert tree.used_sizes() == {"w2": 16}


@given(GIVEN, st.lists(PROMPTS, max_size=8), PROMPTS, st.integers(0, 64))
def test_a_peek_tells_what_a_match_would_and_is_no_access(
    given_prompts: Given, peeked: list[Prompt], prompt: Prompt, bound: int
) -> None:
    asked, left_alone = tree_of(given_prompts), tree_of(given_prompts)
    for other in (*peeked, prompt):
        foretold = asked.peek_packed(pack_tokens(other))
    assert asked.clock == left_alone.clock
    expected = left_alone.match(prompt)
    assert foretold[:3] == expected[:3]
    assert (set(foretold.holders), foretold.latest) == (set(expected.holders), expected.latest)
    asked.match(prompt)
    for tree in (asked, left_alone):
        tree.evict_to(bound)
    assert list(asked.entries()) == list(left_alone.entries())
