"""Events are values, and gather into a result."""

from __future__ import annotations

import pytest
from smg_tool_parser import (
    ArgumentsDelta,
    Call,
    CallClosed,
    CallOpened,
    MarkupDelta,
    Parsed,
    TextDelta,
    gather,
)


def test_events_are_equal_by_class_and_fields() -> None:
    assert TextDelta("a") == TextDelta("a")
    assert TextDelta("a") != TextDelta("b")
    assert TextDelta("a") != "a"
    assert CallClosed(0, True) != ArgumentsDelta(0, "1")
    assert len({TextDelta("a"), TextDelta("a"), MarkupDelta("a", None)}) == 2


def test_an_event_shows_its_fields() -> None:
    assert repr(CallOpened(0, "id", "wave")) == "CallOpened(index=0, id='id', name='wave')"


def test_an_event_cannot_be_changed() -> None:
    event = TextDelta("a")
    with pytest.raises(AttributeError, match="immutable"):
        event.text = "b"
    with pytest.raises(AttributeError, match="immutable"):
        del event.text


def test_events_match_by_position() -> None:
    match CallOpened(2, "id", "wave"):
        case CallOpened(index, id, name):
            assert (index, id, name) == (2, "id", "wave")


def test_gathering_joins_text_and_arguments_and_leaves_markup_out() -> None:
    parsed = gather([
        TextDelta("He"),
        MarkupDelta("<call>", 0),
        CallOpened(0, "x", "wave"),
        ArgumentsDelta(0, '{"a"'),
        ArgumentsDelta(0, ":1}"),
        CallClosed(0, True),
        TextDelta("llo"),
    ])
    assert parsed == Parsed("Hello", (Call(0, "x", "wave", '{"a":1}', True),))


def test_a_call_that_was_never_closed_is_incomplete() -> None:
    assert not gather([CallOpened(0, "x", "wave")]).calls[0].complete
