"""Cached encodings are those of the tokenizer, and stay within their bounds."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_tokenizer import CachedTokenizer, CacheLimits, Encoding, Tokenizer
from smg_tokenizer.backends.mock import MockTokenizer
from smg_tokenizer.cache.store import BoundedStore

from .families import ALL_FAMILIES
from .texts import texts

Load = Callable[[str], Tokenizer]
BOTH = CacheLimits(exact=True, pieces=True)
ONLY_PIECES = CacheLimits(exact=False, pieces=True)


class CountingTokenizer(MockTokenizer):
    """Remembers what it was asked to encode."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        self.asked.append(text)
        return super().encode(text, add_special_tokens=add_special_tokens)


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_cached_ids_equal_uncached_ones(name: str, family: Load) -> None:
    tokenizer = family(name)
    cached = CachedTokenizer(tokenizer, BOTH)
    pieces = CachedTokenizer(tokenizer, ONLY_PIECES)
    assert tokenizer.segmenter is not None

    @given(texts(tokenizer.special_tokens.texts()), st.booleans())
    @settings(max_examples=60)
    def equal(text: str, add: bool) -> None:
        expected = tokenizer.encode(text, add_special_tokens=add)
        for _ in range(2):
            assert cached.encode(text, add_special_tokens=add) == expected
            assert pieces.encode(text, add_special_tokens=add) == expected

    equal()


def test_a_text_is_encoded_once_for_each_flag() -> None:
    inner = CountingTokenizer()
    cached = CachedTokenizer(inner)
    for add in (False, True, False, True):
        assert cached.encode("Hello world", add_special_tokens=add).ids == (1, 2)
    assert len(inner.asked) == 2
    statistics = cached.statistics()["l0"]
    assert (statistics.hits, statistics.misses, statistics.entries) == (2, 2, 2)
    assert statistics.hit_rate == 0.5
    assert statistics.reused_bytes == 2 * len("Hello world")


def chat(turns: int) -> str:
    """A conversation whose every turn is its own text of some 1,200 characters."""
    return "".join(
        f"<|im_start|>user\n{f'question {turn} ' * 100}<|im_end|>\n" for turn in range(turns)
    )


def test_each_turn_of_a_chat_encodes_little_more_than_what_is_new(family: Load) -> None:
    tokenizer = family("qwen3")
    cached = CachedTokenizer(tokenizer, BOTH)
    for turns in range(1, 21):
        before = cached.statistics()["l1"].reused_bytes
        assert cached.encode(chat(turns)) == tokenizer.encode(chat(turns))
    reused = cached.statistics()["l1"].reused_bytes - before
    encoded = len(chat(20)) - reused
    assert encoded <= 0.15 * len(chat(20))
    statistics = cached.statistics()["l1"]
    assert (statistics.hits, statistics.misses) == (19, 1)


def test_a_text_without_special_tokens_is_left_to_the_first_layer(load: Load) -> None:
    cached = CachedTokenizer(load("chatml"), BOTH)
    cached.encode("plain text of some length")
    assert cached.statistics()["l1"].entries == 0


def test_layers_that_are_off_have_no_statistics() -> None:
    cached = CachedTokenizer(MockTokenizer(), CacheLimits(exact=False))
    assert cached.encode("Hello").ids == (1,)
    assert cached.lookup("Hello") is None
    assert cached.statistics() == {}


def test_a_cleared_cache_is_empty_and_counts_from_zero(load: Load) -> None:
    cached = CachedTokenizer(load("chatml"), BOTH)
    cached.encode(chat(2))
    cached.encode(chat(2))
    cached.clear()
    for statistics in cached.statistics().values():
        assert set(statistics) == {0}
        assert statistics.hit_rate == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2_000)), max_size=60))
def test_a_store_never_exceeds_its_bounds(puts: list[tuple[int, int]]) -> None:
    store: BoundedStore[int, int] = BoundedStore(max_entries=8, max_bytes=8_000)
    for key, size in puts:
        store.put(key, size, size_bytes=size, text_bytes=size)
        statistics = store.statistics()
        assert statistics.entries <= 8
        assert statistics.memory_bytes <= 8_000
        assert store.get(key) == size


def test_the_least_recently_used_entry_goes_first() -> None:
    store: BoundedStore[str, int] = BoundedStore(max_entries=2, max_bytes=None)
    for key in ("a", "b"):
        store.put(key, 1, size_bytes=1, text_bytes=1)
    store.get("a")
    store.put("c", 1, size_bytes=1, text_bytes=1)
    assert (store.get("a"), store.get("b"), store.get("c")) == (1, None, 1)
    assert store.statistics().evictions == 1


def test_an_entry_larger_than_the_store_is_not_kept() -> None:
    store: BoundedStore[str, int] = BoundedStore(max_entries=None, max_bytes=1_000)
    store.put("small", 1, size_bytes=10, text_bytes=1)
    store.put("large", 1, size_bytes=2_000, text_bytes=1)
    assert (store.get("small"), store.get("large")) == (1, None)
    nothing: BoundedStore[str, int] = BoundedStore(max_entries=0, max_bytes=None)
    nothing.put("a", 1, size_bytes=1, text_bytes=1)
    assert nothing.get("a") is None


def test_replacing_an_entry_counts_the_difference() -> None:
    store: BoundedStore[str, int] = BoundedStore(max_entries=None, max_bytes=None)
    store.put("a", 1, size_bytes=10, text_bytes=1)
    one = store.statistics().memory_bytes
    store.put("a", 2, size_bytes=30, text_bytes=1)
    assert store.statistics().memory_bytes == one + 20
    assert store.statistics().entries == 1


def test_a_fill_with_real_encodings_stays_within_its_bytes(load: Load) -> None:
    limits = CacheLimits(exact_max_bytes=200_000, pieces=True, pieces_max_bytes=100_000)
    cached = CachedTokenizer(load("chatml"), limits)
    for turn in range(60):
        cached.encode(f"<|im_start|>{'text ' * 60}{turn}<|im_end|>")
    statistics = cached.statistics()
    assert statistics["l0"].memory_bytes <= 200_000
    assert statistics["l1"].memory_bytes <= 100_000
    assert statistics["l0"].evictions > 0
    assert statistics["l1"].evictions > 0


def test_threads_share_a_cache(load: Load) -> None:
    tokenizer = load("chatml")
    cached = CachedTokenizer(tokenizer, CacheLimits(exact_max_entries=4, pieces=True))
    failures: list[str] = []

    def work() -> None:
        for turns in [1, 2, 3, 4, 5, 6] * 5:
            if cached.encode(chat(turns)) != tokenizer.encode(chat(turns)):
                failures.append(chat(turns))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_everything_else_is_the_inner_tokenizers(load: Load) -> None:
    inner = load("bpe")
    cached = CachedTokenizer(inner)
    assert (cached.vocab_size, cached.special_tokens) == (inner.vocab_size, inner.special_tokens)
    assert (cached.eos_token_ids, cached.encode_path) == (inner.eos_token_ids, "tiktoken")
    assert cached.token_to_id("<s>") == inner.token_to_id("<s>")
    assert cached.id_to_token(259) == "hello"
    assert cached.decode([259]) == cached.decode_stream().push(259) == "hello"
    assert [encoding.ids for encoding in cached.encode_batch(["hello", "h"])] == [(259,), (104,)]
    assert (cached.segmenter, cached.fallbacks) == (inner.segmenter, inner.fallbacks)
    assert cached.chat_template_content_format == "string"
    assert (cached.thinking_toggle, cached.thinking_key) == ("none", None)
    assert not cached.think_in_prefill
    assert cached.chat_renderer is inner.chat_renderer
    messages = [{"role": "user", "content": "hi"}]
    assert cached.apply_chat_template(messages) == inner.apply_chat_template(messages)


def test_texts_that_differ_where_no_sample_looks_are_told_apart(load: Load) -> None:
    tokenizer = load("chatml")
    cached = CachedTokenizer(tokenizer)
    base = "word " * 400
    for place in range(0, len(base), 7):
        text = f"{base[:place]}X{base[place + 1 :]}"
        assert cached.encode(text) == tokenizer.encode(text)
