"""The law: any chunking of a text gives the same result as the whole text, and nothing is lost."""

from __future__ import annotations

import codecs
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_tool_parser import (
    ArgumentsDelta,
    CallClosed,
    CallOpened,
    Event,
    MarkupDelta,
    TextDelta,
    gather,
    parser_names,
)
from smg_tool_parser.testing import WrittenCall, chunkings, corpus, spoiled, write_calls

from .reading import events_of, read, value_of

NAMES = parser_names()
PROSE = st.sampled_from(["", "Well. ", "\n", "a < b & {c} [d] ", "見て。", "<tool", "[TOOL", "🏝"])
VALUES = st.one_of(
    st.integers(-5, 10**6),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.lists(st.text("ab \n\"'<>", max_size=4), max_size=3),
)
KEYS = st.text("abcxyz_", min_size=1, max_size=6)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["find_item", "wave", "no_such_tool"]),
        st.dictionaries(KEYS, VALUES, max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def outputs(draw: st.DrawFn, name: str) -> str:
    """Text, calls, text; whole, cut off, spoiled, or twice."""
    calls: list[WrittenCall] = list(draw(CALLS))
    markup = write_calls(name, calls) if name != "passthrough" else str(calls)
    text = draw(PROSE) + markup + draw(PROSE)
    change = draw(st.sampled_from(["none", "cut", "spoil", "spoil", "twice"]))
    if change == "cut":
        return text[: draw(st.integers(0, len(text)))]
    if change == "spoil":
        return spoiled(random.Random(draw(st.integers(0, 2**32))), name, text)
    return text + markup if change == "twice" else text


def cut(text: str, cuts: list[int]) -> list[str]:
    bounds = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(data=st.data())
def test_any_chunking_gives_the_result_of_the_whole_text(name: str, data: st.DataObject) -> None:
    text = data.draw(outputs(name))
    whole = read(name, text)
    assert read(name, *text) == whole
    for _ in range(4):
        cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10))
        assert read(name, *cut(text, cuts)) == whole


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_lossless_accounts_for_every_character(name: str, data: st.DataObject) -> None:
    text = data.draw(outputs(name))
    whole = read(name, text, lossless=True)
    for chunks in chunkings(text, seed=data.draw(st.integers(0, 99)), random_ones=3):
        events = events_of(name, chunks, lossless=True)
        pieces = [event.text for event in events if isinstance(event, TextDelta | MarkupDelta)]
        assert "".join(pieces) == text
        assert gather(events) == whole


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_events_come_in_order_and_arguments_are_json(name: str, data: st.DataObject) -> None:
    text = data.draw(outputs(name))
    events = events_of(name, text)
    assert_in_order(events)
    for call in gather(events).calls:
        value_of(call.arguments)


def assert_in_order(events: list[Event]) -> None:
    open_index: int | None = None
    next_index = 0
    for event in events:
        match event:
            case CallOpened(index=index):
                assert (open_index, index) == (None, next_index)
                open_index, next_index = index, index + 1
            case ArgumentsDelta(index=index, json=fragment):
                assert index == open_index and fragment
            case CallClosed(index=index):
                assert index == open_index
                open_index = None
            case TextDelta(text=text) | MarkupDelta(text=text):
                assert text
    assert open_index is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("encoding", "unit"), [("utf-8", 1), ("utf-16-le", 2), ("utf-16-le", 1)])
def test_bytes_may_be_cut_inside_characters_before_they_are_decoded(
    name: str, encoding: str, unit: int
) -> None:
    for output in corpus(name):
        if any("\ud800" <= char <= "\udfff" for char in output.text):
            continue
        decoder = codecs.getincrementaldecoder(encoding)()
        encoded = output.text.encode(encoding)
        chunks = [decoder.decode(encoded[at : at + unit]) for at in range(0, len(encoded), unit)]
        assert read(name, *chunks) == read(name, output.text)


@pytest.mark.parametrize("name", NAMES)
def test_lone_surrogates_and_nuls_are_text_like_any_other(name: str) -> None:
    text = "a\ud800b\0c\udc00"
    assert read(name, *text).normal_text == text


@pytest.mark.parametrize("name", NAMES)
def test_empty_chunks_change_nothing(name: str) -> None:
    for output in corpus(name)[:20]:
        chunks = [piece for char in output.text for piece in ("", char, "")]
        assert read(name, *chunks) == read(name, output.text)
