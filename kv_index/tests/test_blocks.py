"""The columns behind the event index, and the ways in which chains enter it."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_kv_index import EventIndex, HeldBlock, chain_hashes, pack_tokens
from smg_kv_index._blocks import NOBODY, BlockTable  # noqa: PLC2701 - laws of its own
from smg_kv_index.hashing import chain_hashes_of

Event = list[tuple[Hashable, list[int]]]


def chain(*keys_and_tokens: tuple[Hashable, int]) -> Event:
    return [(key, [token] * 4) for key, token in keys_and_tokens]


def found(index: EventIndex, *tokens: int) -> dict[str, int]:
    return index.find_tokens([token for token in tokens for _ in range(4)], 4).scores


def test_numbers_of_dropped_blocks_are_used_again() -> None:
    table = BlockTable()
    for start in range(0, 500, 5):
        numbers = table.append(list(range(start + 1, start + 6)), NOBODY, 1)
        for number in reversed(numbers):
            table.release(number, 1)
    assert (len(table.hashes), table.numbers, table.stranded) == (5, {}, {})


def test_a_block_that_nobody_holds_stays_while_another_follows_it() -> None:
    table = BlockTable()
    first, second = table.append([10, 20], NOBODY, 1)
    table.release(first, 1)
    assert set(table.numbers) == {10, 20}
    assert (table.holders[second], table.reached(second)) == (1, 0)
    table.hold(first, 1)
    assert table.reached(second) == 1
    table.release(first, 1)
    table.release(second, 1)
    assert table.numbers == {}


def test_columns_do_not_grow_while_blocks_come_and_go() -> None:
    index, rng = EventIndex(max_worker_blocks=64), Random(1)
    for number in range(400):
        event = chain(*((rng.getrandbits(60), rng.getrandbits(30)) for _ in range(8)))
        index.stored(f"w{number % 2}", event)
        if number % 3 == 0:
            index.removed(f"w{number % 2}", [key for key, _ in event[4:]])
    assert len(index) <= 128
    # Blocks in front of held ones outlive their holders: no more than an event has.
    assert len(index._blocks.hashes) <= 2 * 64 + 8 + 2 * 8


def test_a_key_that_comes_twice_in_one_event_means_the_later_block() -> None:
    index = EventIndex()
    index.stored("w", chain(("k", 1), ("k", 2)))
    assert (index.blocks_held("w"), found(index, 1, 2)) == (1, {})
    index.removed("w", ["k"])
    assert index.is_empty


def test_a_known_key_that_comes_again_with_other_tokens_moves() -> None:
    index = EventIndex()
    index.stored("w", chain(("a", 1), ("b", 2)))
    index.stored("w", chain(("b", 3), ("c", 4)))
    assert found(index, 1, 2) == {"w": 1}
    assert found(index, 3, 4) == {"w": 2}
    assert index.blocks_held("w") == 3


def test_a_chain_that_others_hold_is_joined_and_continued() -> None:
    index = EventIndex()
    index.stored("v", chain(("a", 1), ("b", 2), ("c", 3)))
    index.stored("w", chain((1, 1), (2, 2), (3, 7), (4, 8)))
    assert found(index, 1, 2, 3) == {"v": 3, "w": 2}
    assert found(index, 1, 2, 7, 8) == {"v": 2, "w": 4}
    index.removed("w", [1])
    assert found(index, 1, 2, 7, 8) == {"v": 2}
    index.stored("w", chain((1, 1)))
    assert found(index, 1, 2, 7, 8) == {"v": 2, "w": 4}


def test_a_block_adopted_before_its_beginning_finds_its_place_when_that_is_stored() -> None:
    hashes = chain_hashes(pack_tokens([1] * 4 + [2] * 4 + [3] * 4), 16)
    index = EventIndex()
    index.adopt("v", [HeldBlock("c", hashes[2], hashes[1])])
    index.stored("w", chain((1, 1), (2, 2), (3, 3)))
    assert found(index, 1, 2, 3) == {"w": 3}
    index.adopt("v", [HeldBlock("b", hashes[1], hashes[0]), HeldBlock("a", hashes[0], None)])
    assert found(index, 1, 2, 3) == {"v": 3, "w": 3}


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5), max_size=80))
def test_blocks_cut_by_the_caller_hash_like_those_cut_here(blocks: list[list[int]]) -> None:
    same = [ids[:1] for ids in blocks]
    packed = pack_tokens([token for ids in same for token in ids])
    assert chain_hashes_of(same) == chain_hashes(packed, 4)
    seed, expected = 1337, []
    for ids in blocks:
        (seed,) = chain_hashes(pack_tokens(ids), 4 * len(ids), seed)
        expected.append(seed)
    assert chain_hashes_of(blocks) == expected


def test_what_is_no_token_id_is_refused_and_nothing_stored() -> None:
    index = EventIndex()
    with pytest.raises(OverflowError):
        index.stored("w", chain(("a", -1)))
    assert index.is_empty
