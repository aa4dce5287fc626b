"""Reasoning, text and calls come out of one parser, however the output was cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_output_parser import (
    Message,
    OutputParser,
    OutputPlan,
    ParserUnknown,
    ReasoningDelta,
    gather,
    parse,
    parse_answer,
    plan_for,
)
from smg_tool_parser import parser_names
from smg_tool_parser.symphony import TABLE_NAMES
from smg_tool_parser.testing import TOOLS, corpus

CALL = '<tool_call>\n{"name": "wave", "arguments": {}}\n</tool_call>'
NAMED: dict[str, Any] = {"type": "function", "function": {"name": "find_item"}}


def in_pieces(parser: OutputParser, text: str, cuts: list[int]) -> Message:
    borders = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    events = [event for start, end in pairwise(borders) for event in parser.feed(text[start:end])]
    events += parser.finish()
    return gather(events)


def said(message: Message) -> tuple[str, str, list[tuple[str, str, bool]]]:
    calls = [(call.name, call.arguments, call.complete) for call in message.calls]
    return message.reasoning, message.text, calls


def test_a_call_inside_reasoning_is_reasoning() -> None:
    text = f"<think>Shall I {CALL}?</think>Yes. {CALL}"
    message = parse("Qwen/Qwen3-8B", text, TOOLS)
    assert message.reasoning == f"Shall I {CALL}?"
    assert message.text.strip() == "Yes."
    assert [call.name for call in message.calls] == ["wave"]


@pytest.mark.parametrize("tools", [(), TOOLS])
def test_without_tools_or_with_the_choice_none_calls_are_text(tools: Any) -> None:
    message = parse("qwen", CALL, tools, "none" if tools else "auto")
    assert (message.text, message.calls) == (CALL, ())


def test_reasoning_can_be_left_in_the_text() -> None:
    message = parse("qwen3", "<think>Hm.</think>Yes.", separate_reasoning=False)
    assert (message.reasoning, message.text) == ("", "<think>Hm.</think>Yes.")


def test_a_forced_array_and_forced_arguments_are_calls() -> None:
    plan = OutputPlan("qwen", "qwen3")
    text = (
        '[{"name": "find_item", "parameters": {"code": "A"}}, {"name": "wave", "parameters": {}}]'
    )
    assert [call.name for call in parse(plan, text, TOOLS, "required").calls] == [
        "find_item",
        "wave",
    ]
    (call,) = parse(plan, '<think>So.</think>{"code": "A"}', TOOLS, NAMED).calls
    assert (call.name, json.loads(call.arguments)) == ("find_item", {"code": "A"})


def test_forced_output_of_a_family_with_a_tag_is_in_its_markup() -> None:
    plan = OutputPlan("mistral")
    text = '[TOOL_CALLS] [{"name": "wave", "arguments": {}}]'
    assert [call.name for call in parse(plan, text, TOOLS, "required").calls] == ["wave"]


def test_call_ids_go_on_counting_where_the_model_expects_it() -> None:
    text = (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.wave:0"
        "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>"
    )
    (call,) = parse(plan_for("moonshotai/Kimi-K2", calls_before=3), text, TOOLS).calls
    assert call.id == "functions.wave:3"


def test_a_table_reads_all_three() -> None:
    plan = plan_for("Qwen/Qwen3-8B", engine="symphony")
    assert plan.table == "qwen3"
    message = parse(plan, f"<think>Hm.</think>Yes.\n{CALL}", TOOLS)
    assert (message.reasoning, message.text.strip()) == ("Hm.", "Yes.")
    assert [call.name for call in message.calls] == ["wave"]


def test_an_answer_has_complete_calls_only() -> None:
    cut = '<tool_call>\n{"name": "find_item", "arguments": {"code'
    plan = OutputPlan("qwen", "qwen3")
    assert parse_answer(plan, cut, TOOLS).text == cut
    assert parse(plan, cut, TOOLS).calls[0].complete is False
    assert parse_answer(plan, '{"code', TOOLS, NAMED).text == '{"code'
    answer = parse_answer(plan, f"<think>Hm.</think>{CALL}", TOOLS)
    assert said(answer) == ("Hm.", "", [("wave", "{}", True)])


def test_cards_go_before_configuration_and_that_before_the_name() -> None:
    assert plan_for("qwen3").tool_parser == "qwen"
    assert plan_for("qwen3", tool_parser="llama").tool_parser == "llama"
    cards = ["mistral", None, "json"]
    assert plan_for("qwen3", tool_parser="llama", tool_cards=cards).tool_parser == "json"
    assert plan_for("x", reasoning_parser="qwen3").reasoning_parser == "qwen3"


def test_a_name_may_be_a_parser_or_a_table_or_nothing() -> None:
    assert plan_for("x", tool_parser="gemma4").table is None
    assert plan_for("x", tool_parser="gemma4", engine="symphony").table == "gemma4"
    assert plan_for("x", tool_parser="seed_oss").table == "seed_oss"
    assert plan_for("x", tool_parser="cohere", engine="symphony").table is None
    with pytest.raises(ParserUnknown, match="Unknown tool parser: nope"):
        plan_for("x", tool_parser="nope")
    with pytest.raises(ParserUnknown, match="Unknown reasoning parser: llama"):
        plan_for("x", reasoning_parser="llama")


def test_special_tokens_are_kept_where_parsers_look_for_them() -> None:
    plan = OutputPlan("qwen", "qwen3")
    assert plan.keeps_special_tokens(TOOLS)
    assert not plan.keeps_special_tokens()
    assert not plan.keeps_special_tokens(TOOLS, "none")
    assert not plan.keeps_special_tokens(TOOLS, "required")
    assert OutputPlan(reasoning_parser="kimi_k3").keeps_special_tokens()


PLANS = [
    *(OutputPlan(name, "qwen3") for name in parser_names()),
    *(OutputPlan(table=table) for table in TABLE_NAMES if table != "hf"),
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: str(plan.table or plan.tool_parser))
@given(data=st.data())
def test_any_chunking_says_the_same(plan: OutputPlan, data: st.DataObject) -> None:
    outputs = corpus(plan.tool_parser)
    text = data.draw(st.sampled_from(outputs)).text
    text = data.draw(st.sampled_from(["", "<think>Let me", "<think>Hm.</think>"])) + text
    choice = data.draw(st.sampled_from(["auto", "required", "none", NAMED]))
    cuts = data.draw(st.lists(st.integers(0, 10_000), max_size=8))
    whole = parse(plan, text, TOOLS, choice)
    assert said(in_pieces(OutputParser(plan, TOOLS, choice), text, cuts)) == said(whole)


def test_nothing_is_fed_after_the_end() -> None:
    parser = OutputParser("qwen3")
    assert parser.feed("<think>Hm") == [ReasoningDelta("Hm")]
    parser.finish()
    assert parser.finish() == []
    with pytest.raises(ValueError, match="finished"):
        parser.feed("more")
