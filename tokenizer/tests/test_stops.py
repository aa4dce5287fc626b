"""An answer ends at its first stop, however its tokens come, and little is held back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_tokenizer import StopSequenceDecoder, StopSequences, Tokenizer

Load = Callable[[str], Tokenizer]

word = st.text("ab", min_size=1, max_size=4)


def by_hand(text: str, hidden: list[str], visible: list[str]) -> tuple[str, str | None]:
    """The text up to the stop that ends first, and that stop."""
    found = [
        (begin + len(stop), begin, place, stop)
        for place, stop in enumerate([*hidden, *visible])
        if (begin := text.find(stop)) >= 0
    ]
    if not found:
        return text, None
    end, begin, place, stop = min(found)
    return text[: end if place >= len(hidden) else begin], stop


@given(st.text("abé", max_size=40), st.lists(word, max_size=3), st.lists(word, max_size=2))
def test_the_text_ends_at_the_stop_that_ends_first(
    text: str, hidden: list[str], visible: list[str]
) -> None:
    stops = StopSequences(hidden_texts=tuple(hidden), visible_texts=tuple(visible))
    decoder = StopSequenceDecoder(BYTES, stops)
    given_out = decoder.feed(text.encode()) or ""
    given_out += decoder.flush() or ""
    assert (given_out, decoder.matched_stop) == by_hand(text, hidden, visible)
    assert decoder.stopped == (decoder.matched_stop is not None)


@given(st.text("abé", max_size=40), st.lists(word, min_size=1, max_size=3))
def test_no_more_than_the_longest_stop_is_held_back(text: str, stops: list[str]) -> None:
    decoder = StopSequenceDecoder(BYTES, StopSequences(hidden_texts=tuple(stops)))
    given_out = ""
    longest = max(map(len, stops))
    for count, byte in enumerate(text.encode(), 1):
        given_out += decoder.push(byte) or ""
        if decoder.stopped:
            break
        assert count - len(given_out.encode()) <= longest + 3


def test_a_visible_stop_is_part_of_the_text(load: Load) -> None:
    decoder = StopSequenceDecoder(load("chatml"), StopSequences(visible_texts=("STOP",)))
    assert decoder.feed(b"abSTOPcd") == "abSTOP"
    assert (decoder.stopped, decoder.matched_stop) == (True, "STOP")


def test_nothing_comes_after_a_stop(load: Load) -> None:
    decoder = StopSequenceDecoder(load("chatml"), StopSequences(hidden_ids=frozenset({257})))
    assert decoder.feed([97, 257, 98]) == "a"
    assert decoder.push(98) is None
    assert decoder.flush() is None
    assert (decoder.matched_stop, decoder.matched_token, decoder.token_count) == (None, 257, 2)


def test_a_stop_token_lets_out_what_was_held_back(load: Load) -> None:
    stops = StopSequences(hidden_ids=frozenset({257}), hidden_texts=("STOP",))
    decoder = StopSequenceDecoder(load("chatml"), stops)
    assert decoder.feed(b"abST") is None
    assert decoder.push(257) == "abST"


def test_a_visible_stop_token_keeps_its_text_unless_special_tokens_are_skipped(load: Load) -> None:
    stops = StopSequences(visible_ids=frozenset({257}))
    shown = StopSequenceDecoder(load("chatml"), stops, skip_special_tokens=False)
    assert shown.feed([97, 257]) == "a<|im_end|>"
    skipped = StopSequenceDecoder(load("chatml"), stops)
    assert skipped.push(257) == ""
    assert skipped.stopped


@pytest.mark.parametrize("text", ["a", "é", "世", "🦀"])
def test_a_stop_of_any_width_is_found_across_tokens(text: str, load: Load) -> None:
    decoder = StopSequenceDecoder(load("chatml"), StopSequences(hidden_texts=(text * 3,)))
    assert decoder.feed((f"x{text * 2}y{text * 3}z").encode()) == f"x{text * 2}y"


def test_stops_do_not_count_before_the_minimum_of_tokens(load: Load) -> None:
    stops = StopSequences(hidden_ids=frozenset({257}), hidden_texts=("ab",), min_tokens=4)
    decoder = StopSequenceDecoder(load("chatml"), stops)
    assert decoder.feed([97, 98, 257, 97, 98, 99]) == "ab"
    assert (decoder.stopped, decoder.token_count) == (True, 5)


def test_a_stop_before_the_minimum_is_not_found_later(load: Load) -> None:
    stops = StopSequences(hidden_texts=("ab", "a very long stop"), min_tokens=2)
    decoder = StopSequenceDecoder(load("chatml"), stops)
    decoder.feed(b"abcd")
    assert not decoder.stopped
    assert decoder.flush() == "abcd"


def test_empty_stops_are_ignored_and_a_reset_decoder_is_as_new(load: Load) -> None:
    decoder = StopSequenceDecoder(load("chatml"), StopSequences(hidden_texts=("", "x")))
    for _ in range(2):
        assert decoder.feed(b"abx") == "ab"
        assert decoder.matched_stop == "x"
        decoder.reset()
    assert decoder.push(97) is None
    assert decoder.flush() == "a"


def _bytes_tokenizer() -> Tokenizer:
    from smg_tokenizer import SpecialTokens
    from smg_tokenizer.backends.tiktoken import TiktokenTokenizer

    ranks = {bytes((byte,)): byte for byte in range(256)}
    return TiktokenTokenizer(ranks, r"(?s:.)", {}, SpecialTokens())


BYTES = _bytes_tokenizer()
