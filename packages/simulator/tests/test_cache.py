from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker import PrefixCache
from smg_simulator import TraceBuilder
from smg_simulator.cache import BoundlessCache, LruCache, make_cache

PROMPTS = st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=20)


def chained(prompts: list[list[int]]) -> list[tuple[int, ...]]:
    builder = TraceBuilder(block_size=1)
    for number, prompt in enumerate(prompts):
        builder.add(number, len(prompt), 1, prompt)
    return [request.blocks for request in builder.build().requests]


@given(PROMPTS, st.integers(0, 12))
def test_a_bounded_cache_finds_and_forgets_what_the_engine_s_does(
    prompts: list[list[int]], capacity: int
) -> None:
    engine_cache = PrefixCache(capacity, block_size=1)
    cache = LruCache(capacity)
    for prompt, names in zip(prompts, chained(prompts), strict=True):
        assert cache.match(names[: max(0, len(prompt) - 1)]) == engine_cache.match(prompt)
        cache.insert(names)
        engine_cache.insert(prompt)
        assert len(cache) == len(engine_cache)


@given(PROMPTS)
def test_a_boundless_cache_is_a_bounded_one_that_never_fills(prompts: list[list[int]]) -> None:
    bounded, boundless = LruCache(1_000), BoundlessCache()
    for names in chained(prompts):
        assert boundless.match(names) == bounded.match(names)
        bounded.insert(names)
        boundless.insert(names)
    assert len(bounded) == len(boundless)


def test_the_least_recently_used_goes_first() -> None:
    cache = LruCache(2)
    cache.insert((1,))
    cache.insert((2,))
    assert cache.match((1,)) == 1
    cache.insert((3,))

    assert [cache.match((name,)) for name in (1, 2, 3)] == [1, 0, 1]


def test_a_cleared_cache_holds_nothing() -> None:
    for cache in (BoundlessCache(), LruCache(4)):
        cache.insert((1, 2))
        cache.clear()

        assert (len(cache), cache.match((1, 2))) == (0, 0)


def test_capacity_tells_the_kind_of_cache() -> None:
    assert not make_cache(None).bounded
    assert make_cache(0).bounded
