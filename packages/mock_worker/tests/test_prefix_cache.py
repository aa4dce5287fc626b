import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.prefix_cache import PrefixCache

sequences = st.lists(st.integers(0, 2), max_size=12)


def test_an_empty_cache_holds_no_prefix() -> None:
    assert PrefixCache(8, block_size=4).match(range(100)) == 0


def test_a_shared_prefix_is_found_in_whole_blocks() -> None:
    cache = PrefixCache(8, block_size=4)
    cache.insert([1, 2, 3, 4, 5, 6, 7, 8, 9])

    assert cache.match([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == 8
    assert cache.match([1, 2, 3, 4, 5, 6, 0, 8, 9, 10]) == 4
    assert cache.match([0, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == 0


def test_one_token_is_always_left_to_compute() -> None:
    cache = PrefixCache(8, block_size=4)
    cache.insert(range(8))

    assert cache.match(range(8)) == 4
    assert cache.match(range(9)) == 8


def test_equal_blocks_after_different_beginnings_are_different() -> None:
    cache = PrefixCache(8, block_size=2)
    cache.insert([1, 1, 5, 5])

    assert cache.match([2, 2, 5, 5, 0]) == 0


def test_the_least_recently_used_prefix_is_evicted() -> None:
    cache = PrefixCache(2, block_size=2)
    cache.insert([1, 1])
    cache.insert([2, 2])
    cache.match([1, 1, 0])
    cache.insert([3, 3])

    assert cache.match([1, 1, 0]) == 2
    assert cache.match([2, 2, 0]) == 0
    assert cache.evicted_blocks == 1


def test_the_end_of_a_prefix_is_evicted_before_its_beginning() -> None:
    cache = PrefixCache(3, block_size=1)
    cache.insert([1, 2, 3])
    cache.insert([9])

    assert cache.match([1, 2, 3, 0]) == 2


def test_of_a_sequence_larger_than_the_cache_the_beginning_is_held() -> None:
    cache = PrefixCache(3, block_size=2)
    cache.insert(range(100))

    assert len(cache) == 3
    assert cache.match(range(100)) == 6


def test_a_cache_of_no_blocks_is_switched_off() -> None:
    cache = PrefixCache(0)
    cache.insert(range(100))

    assert cache.match(range(100)) == 0


def test_clearing_forgets_everything() -> None:
    cache = PrefixCache(8, block_size=2)
    cache.insert(range(8))
    cache.clear()

    assert repr(cache) == "<PrefixCache 0 of 8 blocks>"
    assert cache.match(range(8)) == 0


@pytest.mark.parametrize(("capacity", "block_size"), [(-1, 16), (8, 0)])
def test_impossible_sizes_are_rejected(capacity: int, block_size: int) -> None:
    with pytest.raises(ValueError, match="capacity_blocks"):
        PrefixCache(capacity, block_size)


@given(st.lists(sequences, max_size=20), sequences, st.integers(1, 3))
def test_a_large_cache_finds_the_longest_common_prefix_in_blocks(
    inserted: list[list[int]], wanted: list[int], block_size: int
) -> None:
    cache = PrefixCache(10_000, block_size)
    for tokens in inserted:
        cache.insert(tokens)
    held = {
        tuple(tokens[:end])
        for tokens in inserted
        for end in range(block_size, len(tokens) + 1, block_size)
    }
    reusable = range(block_size, max(len(wanted), 1), block_size)

    assert cache.match(wanted) == max((n for n in reusable if tuple(wanted[:n]) in held), default=0)


@given(st.lists(st.tuples(st.booleans(), sequences), max_size=30), st.integers(0, 6))
def test_the_cache_never_outgrows_its_capacity(
    steps: list[tuple[bool, list[int]]], capacity: int
) -> None:
    cache = PrefixCache(capacity, block_size=1)
    for is_insert, tokens in steps:
        if is_insert:
            cache.insert(tokens)
        else:
            cache.match(tokens)
        assert len(cache) <= capacity


@given(st.lists(sequences, min_size=1, max_size=30), st.integers(1, 6))
def test_what_was_inserted_last_is_found_as_far_as_it_fits(
    inserted: list[list[int]], capacity: int
) -> None:
    cache = PrefixCache(capacity, block_size=1)
    for tokens in inserted:
        cache.insert(tokens)

    assert cache.match([*inserted[-1], 0]) == min(len(inserted[-1]), capacity)
