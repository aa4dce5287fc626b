"""The law: any chunking of a text says the same as the whole text, and nothing stays behind."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_reasoning_parser import PARSER_NAMES, TextDelta, create_parser, parse

from .reading import read

# Pieces of every family's markers, whole and broken, between ordinary and awkward text.
PIECES = (
    *("<think>", "</think>", "<think:x>", "</think:x>", "</think:y>", "<thi", "</th"),
    *("<mm:think>", "</mm:think>", "◁think▷", "◁/think▷", "◁/th"),
    *("<|START_THINKING|>", "<|END_THINKING|>", "<|channel>thought\n", "thought\n", "<channel|>"),
    *("<|channel>", "<|tool_call>", "<tool_call|>", "<｜DSML｜ calls>", "<｜DSML｜"),
    *("<|open|>", "<|close|>", "<|sep|>", "think", "response", "tools", "message"),
    *("<|open|>think<|sep|>", "<|close|>think<|sep|>", "<|open|> think\n<|sep|>"),
    *("<|message_model|>", "<|content_thinking|>", "<|content_text|>", "<|end_message|>"),
    *("<|content_invoke_tool_json|>", "<|content_invoke_tool_text|>", "<|endoftext|>"),
    *(" ", "\n", "<", "<|", ">", "word", "déjà 🦊", "\x00", "\ud83e", '{"a": 1}'),
)
OUTPUTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join)


@pytest.mark.parametrize("name", PARSER_NAMES)
@settings(max_examples=300)
@given(output=OUTPUTS, data=st.data())
def test_every_split_says_the_same_as_the_whole(
    name: str, output: str, data: st.DataObject
) -> None:
    started = data.draw(st.sampled_from((None, False, True)))
    hold_lead = data.draw(st.booleans())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=8)))
    edges = zip([0, *cuts], [*cuts, len(output)], strict=True)
    chunks = [output[begin:end] for begin, end in edges]

    whole = parse(name, output, reasoning_started=started, hold_lead=hold_lead)

    for split in (chunks, list(output)):
        parser = create_parser(name, reasoning_started=started, hold_lead=hold_lead)
        assert read(parser, split) == whole


@pytest.mark.parametrize("name", PARSER_NAMES)
@given(output=OUTPUTS)
def test_no_event_is_empty_and_neighbours_in_one_answer_differ_in_kind(
    name: str, output: str
) -> None:
    parser = create_parser(name)

    for events in (parser.feed(output), parser.finish()):
        assert all(event.text for event in events)
        kinds = [type(event) for event in events]
        assert all(left is not right for left, right in pairwise(kinds))


@pytest.mark.parametrize("name", PARSER_NAMES)
@given(output=OUTPUTS)
def test_only_what_may_still_be_a_marker_is_held_back(name: str, output: str) -> None:
    parser = create_parser(name)
    parser.feed(output)
    longest_marker = 128

    tail = "".join(event.text for event in parser.finish())

    assert len(tail) < longest_marker


@pytest.mark.parametrize("name", PARSER_NAMES)
@given(output=st.text(alphabet="ab \n🦊é.,{}[]()\"'", max_size=60))
def test_text_without_a_marker_is_told_at_once_and_unchanged(name: str, output: str) -> None:
    parser = create_parser(name, reasoning_started=False)

    assert parser.feed(output) == ([TextDelta(output)] if output else [])
    assert parser.finish() == []
