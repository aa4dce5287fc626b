"""Hostile and long texts cost work in proportion to their length, and little memory."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from smg_tool_parser import create_parser, gather, parser_names
from smg_tool_parser.tape import MAX_SUSPENDED_CHARS
from smg_tool_parser.testing import TOOLS, hostile_texts, write_calls

NAMES = parser_names()
FORMATS = tuple(name for name in NAMES if name != "passthrough")
LONGEST_UNREAD_CHARS = 64


def steps(name: str, text: str, size: int = 4) -> int:
    """Lines executed for a text in chunks of four, plus what was read again."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    # Patterns are compiled when first needed, which is no work of this text.
    create_parser(name, TOOLS).feed(text)
    parser = create_parser(name, TOOLS)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for at in range(0, len(text), size):
            parser.feed(text[at : at + size])
            count += parser.unread_chars // 32
        parser.finish()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", NAMES)
def test_twice_the_hostile_text_is_twice_the_work(name: str) -> None:
    texts = [text for text in hostile_texts(name, 20) if 40 < len(text) < 2_000]
    for text in texts:
        assert steps(name, text * 8) <= 2.2 * steps(name, text * 4) + 400


@pytest.mark.parametrize("name", FORMATS)
def test_twice_the_argument_is_twice_the_work(name: str) -> None:
    def argument(chars: int) -> str:
        return write_calls(name, [("find_item", {"code": "x y" * (chars // 3)})])

    assert steps(name, argument(8_000)) <= 2.2 * steps(name, argument(4_000)) + 400


@pytest.mark.parametrize("name", FORMATS)
def test_twice_the_calls_are_twice_the_work(name: str) -> None:
    def calls(count: int) -> str:
        return write_calls(name, [("find_item", {"code": "A"}), ("wave", {})] * count)

    assert steps(name, calls(40)) <= 2.2 * steps(name, calls(20)) + 400


@pytest.mark.parametrize("name", NAMES)
def test_what_is_unread_stays_within_a_marker(name: str) -> None:
    for text in hostile_texts(name, 100):
        parser = create_parser(name, TOOLS)
        for char in text:
            parser.feed(char)
            assert parser.unread_chars < LONGEST_UNREAD_CHARS
        parser.finish()
        assert parser.waiting_chars == 0


@pytest.mark.parametrize("name", NAMES)
def test_prose_is_handed_on_at_once(name: str) -> None:
    parser = create_parser(name, TOOLS)
    for _ in range(2_000):
        parser.feed("Tea, cake; and more? ")
    assert parser.waiting_chars < LONGEST_UNREAD_CHARS


@pytest.mark.parametrize("name", NAMES)
def test_a_million_open_brackets_come_back_as_text(name: str) -> None:
    for bracket in "{[":
        text = bracket * 1_000_000
        parser = create_parser(name, TOOLS)
        events = [
            event for at in range(0, 10**6, 4096) for event in parser.feed(text[at : at + 4096])
        ]
        assert gather(events + parser.finish()).normal_text == text


@pytest.mark.parametrize("name", FORMATS)
def test_thousands_of_calls_are_read(name: str) -> None:
    text = write_calls(name, [("wave", {})] * 3_000)
    parser = create_parser(name, TOOLS)
    events = parser.feed(text) + parser.finish()
    calls = gather(events).calls
    assert len(calls) == 3_000
    assert all(call.complete and call.name == "wave" for call in calls)


@pytest.mark.parametrize("name", FORMATS)
def test_arguments_nested_beyond_any_stack_are_no_error(name: str) -> None:
    nested: object = 1
    for _ in range(300):
        nested = [nested]
    text = write_calls(name, [("find_item", {"code": nested})])
    deep = text.replace("[" * 300, "[" * 100_000)
    parser = create_parser(name, TOOLS)
    parser.feed(deep)
    parser.finish()


def test_junk_that_no_call_follows_is_shown_before_it_grows_large() -> None:
    parser = create_parser("deepseek31")
    parser.feed("<｜tool▁calls▁begin｜>")
    events = parser.feed("x" * (MAX_SUSPENDED_CHARS + 1))
    assert len(gather(events).normal_text) > MAX_SUSPENDED_CHARS
    assert gather(parser.feed("y")).normal_text == "y"
