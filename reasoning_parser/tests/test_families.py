"""What distinguishes the families, one sentence each."""

from __future__ import annotations

import pytest
from smg_reasoning_parser import (
    PARSER_NAMES,
    Parsed,
    ParserFinished,
    ParserUnknown,
    ReasoningDelta,
    TextDelta,
    create_parser,
    needs_special_tokens,
    parse,
)

from .reading import join, stream


def test_there_are_twenty_one_parsers() -> None:
    assert len(PARSER_NAMES) == 21


def test_a_block_of_reasoning_is_separated_from_the_answer() -> None:
    assert stream("qwen3", "<think>why</think>so") == ("why", "so")


def test_a_marker_may_arrive_in_any_pieces() -> None:
    assert stream("qwen3", "<", "thi", "nk>why</t", "hink", ">so") == ("why", "so")


def test_events_come_as_soon_as_they_are_certain() -> None:
    parser = create_parser("qwen3")

    assert parser.feed("<think>first") == [ReasoningDelta("first")]
    assert parser.feed(" second</th") == [ReasoningDelta(" second")]
    assert parser.feed("is is no end") == [ReasoningDelta("</this is no end")]
    assert parser.feed("</think>answer <") == [TextDelta("answer ")]
    assert parser.finish() == [TextDelta("<")]


def test_whether_the_text_is_inside_reasoning_can_be_asked() -> None:
    parser = create_parser("qwen3")
    seen = [parser.in_reasoning]
    for chunk in ("<think>", "why", "</think>", "so"):
        parser.feed(chunk)
        seen.append(parser.in_reasoning)

    assert seen == [False, True, True, False, False]


@pytest.mark.parametrize(
    "name", ["deepseek_r1", "kimi_thinking", "minimax", "qwen3_thinking", "step3"]
)
def test_models_that_always_reason_may_leave_out_the_start_marker(name: str) -> None:
    assert stream(name, "why</think>so") == ("why", "so")
    assert stream(name, "so", started=False) == ("", "so")


def test_a_start_marker_in_the_prompt_can_be_told() -> None:
    assert stream("qwen3", "why</think>so", started=True) == ("why", "so")
    assert stream("qwen3", "no end", started=True) == ("no end", "")


def test_start_markers_of_plain_formats_vanish_wherever_they_stand() -> None:
    assert stream("base", "<think>a<think>b</think>c<think>d</think>e") == ("ab", "cd</think>e")


def test_text_before_a_plain_block_is_told_at_once() -> None:
    parser = create_parser("base")

    assert parser.feed("Well. ") == [TextDelta("Well. ")]
    assert parser.feed("<think>why</think>so") == [ReasoningDelta("why"), TextDelta("so")]


def test_held_text_before_a_plain_block_turns_out_as_reasoning() -> None:
    parser = create_parser("base", hold_lead=True)

    assert parser.feed("Well. <th") == []
    assert parser.feed("ink>why</think>so") == [ReasoningDelta("Well. why"), TextDelta("so")]


def test_held_text_without_a_block_is_text_after_all() -> None:
    parser = create_parser("base", hold_lead=True)

    assert parser.feed("no reasoning</think> <thi") == []
    assert join(parser.finish()) == Parsed("", "no reasoning</think> <thi")


def test_deepseek_v41_reads_any_number_of_blocks_and_a_call_ends_one() -> None:
    assert stream("deepseek_v41", "<think>a</think>b</think><think>c</think>d") == ("ac", "bd")
    calls = '<｜DSML｜ calls><｜DSML｜ invoke name="f">'
    assert stream("deepseek_v41", "<think>why", calls) == ("why", calls)


def test_gemma4_asks_for_the_label_of_its_channel() -> None:
    assert stream("gemma4", "<|channel>thought\nwhy<channel|>so") == ("why", "so")
    assert stream("gemma4", "<|channel>other\nwhy<channel|>so") == ("", "<|channel>other\nwhyso")
    assert stream("gemma4", "thought\nwhy<channel|>so") == ("why", "so")
    assert stream("gemma4", "a thought\nso") == ("", "a thought\nso")


def test_hy_v4_wants_the_label_of_the_start_marker_at_the_end() -> None:
    assert stream("hy_v4", "<think:x>why</think>still</think:x>so") == ("why</think>still", "so")
    assert stream("hy_v4", "why</think:x>so", started=True) == ("why", "so")


def test_minimax_m3_drops_end_markers_only_where_reasoning_could_have_been() -> None:
    assert stream("minimax_m3", " </mm:think>\n</mm:think>so</mm:think>") == (
        "",
        " \nso</mm:think>",
    )
    assert stream("minimax_m3", "<mm:think>why</mm:think>\n</mm:think>so") == ("why", "\nso")


def test_kimi_k3_takes_the_wrappers_off_and_leaves_the_tools() -> None:
    tools = '<|open|>tools<|sep|><|open|>call tool="f"<|sep|>'
    response = "<|open|>response<|sep|>so<|close|>response<|sep|>"
    output = f"<|open|>think<|sep|>why<|close|>think<|sep|>{response}{tools}"
    assert stream("kimi_k3", output) == ("why", f"so{tools}")
    assert stream("kimi_k3", f"why{tools}", started=True) == ("why", tools)
    assert stream("kimi_k3", "<|open|> think\n<|sep|>why<|close|>think <|sep|>so") == ("why", "so")


def test_kimi_k3_reads_a_message_opener_before_the_think_channel() -> None:
    output = "<|open|>message<|sep|><|open|>think<|sep|>why<|close|>think<|sep|>so"
    assert stream("kimi_k3", output, started=True) == ("why", "so")
    assert stream("kimi_k3", output) == ("why", "so")


def test_kimi_k3_drops_half_a_control_marker_at_the_end_but_no_text() -> None:
    assert stream("kimi_k3", "<|open|>think<|sep|>why<|close|>thi") == ("why", "")
    assert stream("kimi_k3", "a <") == ("", "a <")


def test_kimi_k3_held_until_the_end_knows_an_answer_that_ignored_the_prompt() -> None:
    output = "so<|close|>response<|sep|>"
    assert parse("kimi_k3", output, reasoning_started=True, hold_lead=True) == Parsed("", "so")
    assert parse("kimi_k3", "why<|close|>think<|sep|>so", hold_lead=True) == Parsed("why", "so")


def test_inkling_reads_typed_frames_in_any_order() -> None:
    output = (
        "<|message_model|>name<|content_thinking|>why<|end_message|>"
        "<|message_model|><|content_text|>so<|end_message|>"
        '<|content_invoke_tool_json|>{"name": "f", "args": {"a": "<|content_text|>"}}<|end_message|>'
        "<|content_invoke_tool_text|>dropped<|end_message|>"
        "<|content_thinking|>more<|content_xml|><|end_message|>"
    )
    call = '{"name": "f", "args": {"a": "<|content_text|>"}}'
    assert stream("inkling", output) == (
        "whymore",
        f"so<|content_invoke_tool_json|>{call}<|end_message|>",
    )


def test_passthrough_reads_no_reasoning_at_all() -> None:
    assert stream("passthrough", "<think>a</think>b", started=True) == ("", "<think>a</think>b")


def test_formats_written_in_special_tokens_say_so() -> None:
    named = [name for name in PARSER_NAMES if needs_special_tokens(name)]
    assert named == ["gemma4", "inkling", "kimi_k3"]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ParserUnknown, match="Unknown reasoning parser: nosuch") as caught:
        create_parser("nosuch")
    assert caught.value.name == "nosuch"
    with pytest.raises(ParserUnknown):
        needs_special_tokens("nosuch")


@pytest.mark.parametrize("hold_lead", [False, True])
def test_a_parser_is_for_one_output(hold_lead: bool) -> None:
    parser = create_parser("base", hold_lead=hold_lead)
    parser.feed("so")
    parser.finish()

    assert parser.finish() == []
    with pytest.raises(ParserFinished):
        parser.feed("more")


def test_events_are_values() -> None:
    assert ReasoningDelta("a") == ReasoningDelta("a") != TextDelta("a")
    assert len({TextDelta("a"), TextDelta("a"), ReasoningDelta("a"), Parsed("a", "b")}) == 3
    assert repr(TextDelta("a")) == "TextDelta('a')"
    assert repr(ReasoningDelta("a")) == "ReasoningDelta('a')"
    assert repr(Parsed("a", "b")) == "Parsed(reasoning='a', normal_text='b')"
