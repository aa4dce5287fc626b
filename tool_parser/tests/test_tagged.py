"""qwen_xml, the DSML of deepseek, hy_v4: tagged parameters that stream."""

from __future__ import annotations

import pytest
from smg_tool_parser import ArgumentsDelta, CallOpened, create_parser

from .reading import calls, numbered, read, text_of


def test_qwen_xml_types_values_by_schema_and_trims_them() -> None:
    text = (
        "<tool_call><function= find_item ><parameter=code>\n 12 \n</parameter>"
        "<parameter=count>\n3\n</parameter><parameter=more>[1]</parameter></tool_call>"
    )
    assert calls("qwen_xml", text) == [("find_item", '{"code": "12", "count": 3, "more": [1]}')]


def test_qwen_xml_streams_strings_without_the_white_space_at_their_end() -> None:
    schema = {"properties": {"s": {"type": "string"}}}
    tools = [{"function": {"name": "say", "parameters": schema}}]
    parser = create_parser("qwen_xml", tools, call_ids=numbered)
    assert parser.feed("<tool_call><function=say><parameter=s>\n") == [
        CallOpened(0, "call-0", "say")
    ]
    assert parser.feed("one \n") == [ArgumentsDelta(0, '{"s": "one')]
    assert parser.feed("two\n</para") == [ArgumentsDelta(0, " \\ntwo")]
    assert parser.feed("meter>") == [ArgumentsDelta(0, '"')]


def test_qwen_xml_takes_quotes_off_a_quoted_string() -> None:
    text = '<tool_call><function=find_item><parameter=code>"A"</parameter></tool_call>'
    assert calls("qwen_xml", text) == [("find_item", '{"code": "A"}')]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\n</tool_call>",
        "<tool_call><function></function></tool_call>",
        "<tool_call><function=>",
    ],
)
def test_qwen_xml_without_a_name_is_text(text: str) -> None:
    assert text_of("qwen_xml", text) == text


def test_a_value_that_is_cut_off_goes_unless_it_is_a_string() -> None:
    start = "<tool_call><function=find_item><parameter=code>A</parameter><parameter="
    assert read("qwen_xml", start + "count>1").calls[0].arguments == '{"code": "A"}'
    assert read("qwen_xml", start + "place>L").calls[0].arguments == '{"code": "A"}'


def dsml(block: str, *invokes: str, space: str = "") -> str:
    inside = "\n".join(invokes)
    return f"<｜DSML｜{space}{block}>\n{inside}\n</｜DSML｜{space}{block}>".replace(
        "§", "｜DSML｜" + space
    )


WAVE = '<§invoke name="wave">\n</§invoke>'
FIND = (
    '<§invoke name="find_item"><§parameter name="code" string="true"> A\n</§parameter>'
    '<§parameter name="count" string="false"> 3 </§parameter></§invoke>'
)


@pytest.mark.parametrize(
    ("name", "block", "space"),
    [
        ("deepseek32", "function_calls", ""),
        ("deepseek_v4", "tool_calls", ""),
        ("deepseek_v41", "calls", " "),
    ],
)
def test_dsml_believes_the_string_attribute(name: str, block: str, space: str) -> None:
    text = dsml(block, FIND, WAVE, space=space)
    assert calls(name, text) == [("find_item", '{"code": " A\\n", "count": 3}'), ("wave", "{}")]


def test_dsml_takes_a_body_of_json_for_the_arguments() -> None:
    invoke = '<§invoke name="find_item">\n{"code": "A"}\n</§invoke>'
    assert calls("deepseek32", dsml("function_calls", invoke)) == [("find_item", '{"code": "A"}')]


def test_dsml_removes_the_end_of_sentence_from_values() -> None:
    end = "<｜end▁of▁sentence｜>"
    invoke = f'<§invoke name="a"><§parameter name="s" string="true">x{end}y</§parameter></§invoke>'
    assert calls("deepseek32", dsml("function_calls", invoke)) == [("a", '{"s": "xy"}')]


def test_dsml_trims_the_text_before() -> None:
    assert text_of("deepseek32", "So.\n\n " + dsml("function_calls", WAVE)) == "So."
    assert text_of("deepseek_v41", "So.\n\n\n" + dsml("calls", WAVE, space=" ")) == "So.\n"
    assert text_of("deepseek32", "So.\n\n ") == "So.\n\n "


def test_dsml_of_v41_does_without_the_block() -> None:
    assert calls("deepseek_v41", WAVE.replace("§", "｜DSML｜ ")) == [("wave", "{}")]
    assert calls("deepseek32", WAVE.replace("§", "｜DSML｜")) == []


def test_dsml_that_cannot_be_read_vanishes() -> None:
    text = "So. " + dsml("function_calls", '<§invoke nome="wave">', "oops")
    assert (text_of("deepseek32", text), read("deepseek32", text).calls) == ("So.", ())


def test_an_invoke_that_its_block_ends_is_incomplete() -> None:
    parsed = read("deepseek32", dsml("function_calls", WAVE.replace("</§invoke>", "")))
    assert [call.complete for call in parsed.calls] == [False]


def hy(*calls: str, suffix: str = "") -> str:
    return f"<tool_calls§>{''.join(calls)}</tool_calls§>".replace("§", suffix)


def hy_call(name: str, *arguments: tuple[str, str]) -> str:
    inside = "".join(
        f"<arg_key§>{key}</arg_key§> <arg_value§>{value}</arg_value§>" for key, value in arguments
    )
    return f"<tool_call§>{name}{inside}</tool_call§>"


@pytest.mark.parametrize("suffix", ["", ":opensource", ":v2"])
def test_hy_tags_share_a_suffix(suffix: str) -> None:
    text = hy(hy_call("find_item", ("code", ' "A" '), ("count", "3")), suffix=suffix)
    assert calls("hy_v4", text) == [("find_item", '{"code": " \\"A\\" ", "count": 3}')]


@pytest.mark.parametrize(
    "bad",
    [
        hy_call("", ("a", "1")),
        hy_call("go", ("", "1")),
        hy_call("go", ("a", "1"), ("a", "2")),
        "<tool_call§>go<arg_value§>1</arg_value§></tool_call§>",
        "<tool_call§>go<arg_key§>a</arg_key§></tool_call§>",
        "oops",
    ],
)
def test_a_malformed_hy_block_has_no_call_from_there_on(bad: str) -> None:
    assert calls("hy_v4", hy(bad, hy_call("wave"))) == []
    good_first = hy(hy_call("wave"), bad, hy_call("late"))
    assert calls("hy_v4", good_first) == [("wave", "{}")]


def test_an_empty_hy_block_is_text() -> None:
    assert text_of("hy_v4", hy()) == "<tool_calls></tool_calls>"


def test_hy_keeps_text_everywhere() -> None:
    assert text_of("hy_v4", "a" + hy(hy_call("wave")) + "b") == "ab"


def test_a_closing_tag_of_another_kind_is_part_of_a_hy_value() -> None:
    text = hy(hy_call("find_item", ("code", "has </tool_call> inside")))
    assert calls("hy_v4", text) == [("find_item", '{"code": "has </tool_call> inside"}')]
