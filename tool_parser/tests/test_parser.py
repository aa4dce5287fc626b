"""What all parsers have in common: the order of events, incomplete calls, whole answers."""

from __future__ import annotations

import pytest
from smg_tool_parser import (
    ArgumentsDelta,
    CallClosed,
    CallOpened,
    MarkupDelta,
    TextDelta,
    create_arguments_parser,
    create_parser,
    gather,
    parse,
    parse_answer,
)

from .reading import events_of, numbered


def test_a_call_streams_as_its_text_arrives() -> None:
    parser = create_parser("qwen", call_ids=numbered)
    assert parser.feed("Sure.<tool_call>\n{") == [TextDelta("Sure.")]
    assert parser.feed('"name": "find_') == []
    assert parser.feed('item", "arg') == [CallOpened(0, "call-0", "find_item")]
    assert parser.feed('uments": {"code": "A') == [ArgumentsDelta(0, '{"code": "A')]
    assert parser.feed('-1"}}\n</tool_') == [ArgumentsDelta(0, '-1"}')]
    assert parser.feed("call>") == [CallClosed(0, True)]
    assert parser.finish() == []


def test_one_chunk_gives_one_event_of_a_kind() -> None:
    assert events_of("qwen", ['<tool_call>\n{"name": "wave"}\n</tool_call>']) == [
        CallOpened(0, "call-0", "wave"),
        ArgumentsDelta(0, "{}"),
        CallClosed(0, True),
    ]


def test_a_call_that_is_cut_off_closes_incomplete_with_valid_json() -> None:
    parsed = parse("qwen", '<tool_call>\n{"name": "go", "arguments": {"to": "Lu')
    assert [(call.arguments, call.complete) for call in parsed.calls] == [('{"to": "Lu"}', False)]
    assert parsed.normal_text == ""


def test_a_held_beginning_of_a_marker_is_text_at_the_end() -> None:
    parser = create_parser("qwen")
    assert parser.feed("so <tool_") == [TextDelta("so ")]
    assert parser.finish() == [TextDelta("<tool_")]


def test_a_finished_parser_takes_nothing_and_says_nothing() -> None:
    parser = create_parser("json")
    assert parser.finish() == []
    assert parser.finish() == []
    with pytest.raises(ValueError, match="finished"):
        parser.feed("x")


def test_text_behind_calls_is_dropped_and_kept_when_lossless() -> None:
    text = 'A<tool_call>\n{"name": "wave"}\n</tool_call>B'
    assert parse("qwen", text).normal_text == "A"
    assert parse("qwen", text, lossless=True).normal_text == "AB"


def test_lossless_markup_says_which_call_it_belongs_to() -> None:
    events = events_of("qwen", ['A<tool_call>\n{"name": "wave"}\n</tool_call>B'], lossless=True)
    assert [event for event in events if isinstance(event, TextDelta | MarkupDelta)] == [
        TextDelta("A"),
        MarkupDelta('<tool_call>\n{"name": "wave"', 0),
        MarkupDelta("}", 0),
        MarkupDelta("\n</tool_call>", 0),
        TextDelta("B"),
    ]


def test_ids_are_random_unless_given() -> None:
    one, other = (parse("json", '{"name": "wave"}').calls[0].id for _ in range(2))
    assert one != other
    assert len(one) == len("call_") + 24


def test_an_answer_leaves_incomplete_calls_out() -> None:
    text = '<tool_call>\n{"name": "wave"}\n</tool_call><tool_call>\n{"name": "go", "argu'
    assert [call.name for call in parse_answer("qwen", text).calls] == ["wave"]


def test_an_answer_without_a_complete_call_is_the_text_as_it_was() -> None:
    text = 'Hm.<tool_call>\n{"name": "go", "argu'
    assert parse("qwen", text).normal_text == "Hm."
    assert parse_answer("qwen", text).normal_text == text
    assert parse_answer("qwen", text).calls == ()


def test_an_answer_shows_a_broken_call_beside_complete_ones_where_text_is_shown() -> None:
    text = '[{"name": "wave"}, {"name": "go", "argu'
    answer = parse_answer("json", text)
    assert [call.name for call in answer.calls] == ["wave"]
    assert answer.normal_text == '{"name": "go", "argu'


def test_broken_markup_vanishes_from_the_answers_of_some_families() -> None:
    text = '<｜DSML｜function_calls>\n<｜DSML｜invoke name="wave">\n'
    assert parse_answer("deepseek32", "Hm." + text).normal_text == "Hm."


@pytest.mark.parametrize(
    ("text", "arguments", "complete", "rest"),
    [
        (' {"city": "Pisa", "nights": [1, 2]}\n', '{"city": "Pisa", "nights": [1, 2]}', True, "\n"),
        ('{"city": "Pi', '{"city": "Pi"}', False, ""),
        ('{"city" "Pisa"}', '{"city" :null}', False, ' "Pisa"}'),
    ],
)
def test_output_under_a_forced_function_is_its_arguments(
    text: str, arguments: str, complete: bool, rest: str
) -> None:
    for size in (1, 3, len(text)):
        parser = create_arguments_parser("book", call_ids=lambda index, name: f"{name}-{index}")
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        events = [event for piece in pieces for event in parser.feed(piece)] + parser.finish()
        parsed = gather(events)
        assert [(call.id, call.name, call.complete) for call in parsed.calls] == [
            ("book-0", "book", complete)
        ]
        assert parsed.calls[0].arguments == arguments
        assert parsed.normal_text.strip() == rest.strip()


@pytest.mark.parametrize("text", ["", " ", "Sorry, no.", " [1]", "true"])
def test_output_without_an_object_under_a_forced_function_is_text(text: str) -> None:
    parser = create_arguments_parser("book")
    parsed = gather(parser.feed(text) + parser.finish())
    assert (parsed.normal_text, parsed.calls) == (text, ())
