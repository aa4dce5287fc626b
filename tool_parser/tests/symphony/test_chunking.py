"""The law: any chunking of a text says the same as the whole text, for every table."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_tool_parser.symphony import (
    TABLE_NAMES,
    ArgumentsDelta,
    CallClosed,
    CallOpened,
    ReasoningDelta,
    SymphonyEvent,
    TextDelta,
    create_symphony,
    gather_symphony,
    parse_symphony,
)

from .reading import ALL, TYPED, read, recorded

READABLE = [name for name in TABLE_NAMES if name != "hf"]
TOOLS = [*ALL, *TYPED]
# Where recorded outputs fall apart: tags, tokens, brackets, white space, words.
_PIECE = re.compile(r"\]<\]minimax\[>\[|<[^<>]*>|\[/?[A-Z_]+\]|\s|[{}\[\]:,\"'=()]|\w+|.")
AWKWARD = ("<", "\\", '"', "'", "\n", "\x00", "\ud83e", "\\u00e9", "\\ud83d\\ude00", "é🦊", "]")


def pieces_of(table: str) -> list[str]:
    texts = [row["text"] for row in recorded() if row["table"] == table]
    return sorted({piece for text in texts for piece in _PIECE.findall(text)})


def outputs(table: str) -> st.SearchStrategy[str]:
    """Recorded outputs with pieces removed, doubled, cut and put elsewhere; and heaps of pieces."""
    pieces = st.sampled_from(pieces_of(table)) | st.sampled_from(AWKWARD)
    texts = [row["text"] for row in recorded() if row["table"] == table and len(row["text"]) < 800]

    @st.composite
    def corrupted(draw: st.DrawFn) -> str:
        parts = _PIECE.findall(draw(st.sampled_from(texts)))
        for _ in range(draw(st.integers(0, 4))):
            at = draw(st.integers(0, len(parts)))
            parts[at : at + draw(st.integers(0, 2))] = draw(st.lists(pieces, max_size=2))
        return "".join(parts)

    return corrupted() | st.lists(pieces, max_size=25).map("".join)


@pytest.mark.parametrize("table", READABLE)
@settings(max_examples=120)
@given(data=st.data())
def test_every_split_says_the_same_as_the_whole(table: str, data: st.DataObject) -> None:
    output = data.draw(outputs(table))
    as_written = data.draw(st.booleans())
    tools = data.draw(st.sampled_from((TOOLS, TOOLS, ())))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=8)))
    edges = zip([0, *cuts], [*cuts, len(output)], strict=True)
    chunks = [output[begin:end] for begin, end in edges]

    whole = parse_symphony(table, output, tools, as_written=as_written)

    for split in (chunks, list(output)):
        parser = create_symphony(table, tools, as_written=as_written)
        assert read(parser, split) == whole


@pytest.mark.parametrize("table", READABLE)
@settings(max_examples=60)
@given(data=st.data())
def test_events_form_calls_one_after_the_other_with_valid_arguments(
    table: str, data: st.DataObject
) -> None:
    output = data.draw(outputs(table))
    parser = create_symphony(table, TOOLS)
    told = [event for char in output for event in parser.feed(char)] + parser.finish()

    check_order(told)

    for call in gather_symphony(told).calls:
        json.loads(call.arguments)


def check_order(told: list[SymphonyEvent]) -> None:
    open_call: int | None = None
    opened = 0
    for event in told:
        match event:
            case CallOpened():
                assert open_call is None
                assert (event.index, event.id) == (opened, f"call_{opened}")
                open_call, opened = event.index, opened + 1
            case ArgumentsDelta():
                assert event.index == open_call
                assert event.json
            case CallClosed():
                assert event.index == open_call
                open_call = None
            case TextDelta() | ReasoningDelta():
                assert event.text
    assert open_call is None


@pytest.mark.parametrize("table", READABLE)
@settings(max_examples=40)
@given(data=st.data())
def test_without_tools_calls_are_text(table: str, data: st.DataObject) -> None:
    output = data.draw(outputs(table))

    assert parse_symphony(table, output).calls == ()
