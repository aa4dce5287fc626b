"""Hashes: fixed values, chains, packing."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st
from smg_kv_index import chain_hashes, content_hash, pack_tokens, path_hash_text, path_hash_tokens
from smg_kv_index.hashing import BLOCK_SEED

TOKENS = st.lists(st.integers(0, 2**32 - 1), max_size=40)


def test_tokens_are_packed_little_endian_whatever_holds_them() -> None:
    expected = bytes.fromhex("01000000ffffffff00010000")
    for tokens in ([1, 2**32 - 1, 256], (1, 2**32 - 1, 256), array("Q", [1, 2**32 - 1, 256])):
        assert pack_tokens(tokens) == expected


@given(TOKENS, st.integers(1, 8))
def test_a_chain_has_one_hash_per_whole_block(tokens: list[int], block_tokens: int) -> None:
    hashes = chain_hashes(pack_tokens(tokens), block_tokens * 4)
    assert len(hashes) == len(tokens) // block_tokens
    if hashes:
        assert hashes[0] == content_hash(tokens[:block_tokens])


@given(TOKENS, st.integers(1, 8), st.integers(0, 10))
def test_a_chain_can_be_continued_from_any_of_its_hashes(
    tokens: list[int], block_tokens: int, split_blocks: int
) -> None:
    width = block_tokens * 4
    packed = pack_tokens(tokens)
    whole = chain_hashes(packed, width)
    head = chain_hashes(packed[: split_blocks * width], width)
    seed = head[-1] if head else BLOCK_SEED
    assert head + chain_hashes(packed[split_blocks * width :], width, seed) == whole


def test_a_block_depends_on_what_precedes_it() -> None:
    first = chain_hashes(pack_tokens([1, 2, 3, 4]), 8)
    second = chain_hashes(pack_tokens([9, 2, 3, 4]), 8)
    assert first[1] != second[1]


def test_paths_have_names_even_when_they_cannot_be_encoded() -> None:
    assert path_hash_text("\ud800") > 0
    assert path_hash_text("a") != path_hash_text("b")
    assert path_hash_tokens([1]) != path_hash_tokens([1, 0])
