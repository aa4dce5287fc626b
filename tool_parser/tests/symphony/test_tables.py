"""What distinguishes the tables, one sentence each."""

from __future__ import annotations

import pytest
from smg_tool_parser.symphony import (
    TABLE_NAMES,
    ArgumentsDelta,
    CallClosed,
    CallOpened,
    ReasoningDelta,
    SymphonyParsed,
    TableUnknown,
    TemplateMissing,
    TextDelta,
    create_symphony,
    parse_symphony,
    table_for,
    table_named,
)

from .reading import ALL, TYPED, told

S = "]<]minimax[>["
PING = '<tool_call>\n{"name": "ping", "arguments": {}}\n</tool_call>'


def test_there_are_twenty_eight_tables() -> None:
    assert len(TABLE_NAMES) == 28


def test_reasoning_text_and_calls_come_out_of_one_parser() -> None:
    output = f"<think>why</think>so{PING}!"
    assert told("qwen3", output) == ("why", "so!", [("ping", "{}")])


def test_a_call_is_announced_before_its_arguments_are_whole() -> None:
    parser = create_symphony("qwen3", ALL)

    assert parser.feed('<tool_call>{"name": "ping", "argum') == []
    assert parser.feed('ents": {"a": ') == [
        CallOpened(0, "call_0", "ping"),
        ArgumentsDelta(0, '{"a":'),
    ]
    assert parser.feed('"b') == [ArgumentsDelta(0, ' "b')]
    assert parser.feed('"}}</tool_call>ok') == [
        ArgumentsDelta(0, '"}'),
        CallClosed(0, True),
        TextDelta("ok"),
    ]


def test_strings_between_tags_come_piece_by_piece() -> None:
    parser = create_symphony("glm", ALL)

    parser.feed("<tool_call>book_room<arg_key>city</arg_key><arg_value>Pi")
    assert parser.feed("sa</arg") == [ArgumentsDelta(0, "sa")]
    assert parser.feed("_value></tool_call>") == [ArgumentsDelta(0, '"}'), CallClosed(0, True)]


def test_arguments_before_the_name_wait_for_it() -> None:
    output = '<tool_call>{"arguments": {"a": 1}, "name": "ping"}</tool_call>'
    assert told("qwen2.5", output) == ("", "", [("ping", '{"a": 1}')])


def test_arguments_of_a_cut_off_call_are_completed_unless_they_shall_stay_as_written() -> None:
    output = '<tool_call>{"name": "ping", "arguments": {"a": [1, '
    assert told("qwen3", output)[2] == [("ping", '{"a": [1]}')]
    assert told("qwen3", output, as_written=True)[2] == [("ping", '{"a": [1, ')]
    without = '<tool_call>{"name": "ping"}</tool_call>'
    assert told("qwen3", without)[2] == [("ping", "{}")]
    assert told("qwen3", without, as_written=True)[2] == [("ping", "")]


def test_a_cut_off_call_is_incomplete_and_its_unread_tail_is_text() -> None:
    output = "<tool_call>book_room<arg_key>city</arg_key><arg_value>Pisa</arg_v"
    parsed = parse_symphony("glm", output, ALL)
    assert parsed.normal_text == "</arg_v"
    assert [(call.arguments, call.complete) for call in parsed.calls] == [
        ('{"city": "Pisa"}', False)
    ]


def test_what_cannot_continue_a_call_is_text_and_reading_goes_on_at_the_next_tag() -> None:
    output = (
        "<tool_call>\n<function=book_room>\n<parm=city>\nx y</parm>\n"
        "<parameter=nights>\n2\n</parameter>\n</function>\n</tool_call>"
    )
    assert told("qwen3_tagged", output) == (
        "",
        "<parm=city>xy</parm>",
        [("book_room", '{"nights": 2}')],
    )


@pytest.mark.parametrize(
    ("prompt", "reasoning"),
    [
        ("<think>", "a"),
        ("<think></think>", ""),
        ("<|im_start|>user\nWhat is <think>?<|im_end|>\n<|im_start|>assistant\n", ""),
        ("<think></think><|im_start|>assistant\n<think>\n", "a"),
    ],
)
def test_the_prompt_tells_whether_reasoning_has_begun(prompt: str, reasoning: str) -> None:
    assert told("qwen3", "a</think>b", prompt=prompt)[0] == reasoning


def test_tool_markup_inside_reasoning_is_reasoning_or_ends_it() -> None:
    assert told("qwen3", f"<think>{PING}") == (PING, "", [])
    output = '<think>why<function name="ping"></function>'
    assert told("minicpm5", output) == ("why", "", [("ping", "{}")])


def test_minimax_m3_reads_one_block_of_reasoning_and_drops_one_end_before_it() -> None:
    assert told("minimax_m3", "<mm:think>a</mm:think>b<mm:think>c") == ("a", "b<mm:think>c", [])
    assert told("minimax_m3", "a</mm:think>b</mm:think>") == ("", "ab</mm:think>", [])


def test_minimax_m3_builds_values_from_elements_by_the_schema() -> None:
    output = (
        f'{S}<tool_call>\n{S}<invoke name="book_room">{S}<tags>{S}<item>1{S}</item>{S}</tags>'
        f"{S}<meta>{S}<floor>2{S}</floor>{S}<view>3{S}</view>{S}</meta>"
        f"{S}<x>{S}<y>a{S}</y>{S}<y>b{S}</y>t{S}</x></invoke></tool_call>"
    )
    expected = (
        '{"tags": ["1"], "meta": {"floor": 2, "view": "3"}, "x": {"y": ["a", "b"], "$text": "t"}}'
    )
    assert told("minimax_m3", output) == ("", "", [("book_room", expected)])


def test_minimax_m3_takes_empty_elements_for_empty_containers() -> None:
    output = f'<tool_call><invoke name="typed_fn">{S}<n>{S}</n>{S}<o>{S}</o></invoke></tool_call>'
    assert told("minimax_m3", output)[2] == [("typed_fn", '{"n": {}, "o": []}')]


def test_a_newline_at_either_end_belongs_to_the_format_of_qwen3_tagged() -> None:
    output = "<tool_call><function=book_room><parameter=city>\nPisa\n\n</parameter></function></tool_call>"
    assert told("qwen3_tagged", output)[2] == [("book_room", '{"city": "Pisa\\n"}')]
    assert told("qwen3_tagged_direct", output)[2] == [("book_room", '{"city": "\\nPisa\\n\\n"}')]


def test_untyped_values_become_json_by_their_schema_and_their_shape() -> None:
    def value(key: str, text: str) -> str:
        output = (
            f"<tool_call>typed_fn<arg_key>{key}</arg_key><arg_value>{text}</arg_value></tool_call>"
        )
        arguments = str(told("glm", output)[2][0][1])
        return arguments.removeprefix(f'{{"{key}": ').removesuffix("}")

    assert value("k", '"q"') == '"\\"q\\""'
    assert value("l", " 007 ") == "7"
    assert value("e", "-007") == "-7"
    assert value("d", "007") == '"007"'
    assert value("i", "True") == "true"
    assert value("i", "some text") == '"some text"'
    assert value("n", "{broken") == '"{broken"'


def test_the_string_attribute_decides_in_deepseek() -> None:
    def call(flag: str) -> str:
        return (
            '<｜DSML｜ calls><｜DSML｜ invoke name="ping">'
            f'<｜DSML｜ parameter name="a" string="{flag}">7</｜DSML｜ parameter>'
            "</｜DSML｜ invoke></｜DSML｜ calls>"
        )

    assert told("deepseek_v4.1", call("true"))[2] == [("ping", '{"a": "7"}')]
    assert told("deepseek_v4.1", call("false"))[2] == [("ping", '{"a": 7}')]
    assert told("deepseek_v4.1", call("maybe"))[2] == [("ping", "{}")]


def test_kimi_k3_reads_the_response_channel_and_attributes() -> None:
    output = (
        "<|open|>response<|sep|> On it. <|close|>response<|sep|>\n<|open|>tools<|sep|>"
        '<|open|>call tool="ping" index="1"<|sep|><|open|>argument key="a&quot;b" type="string"<|sep|>'
        "7<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>\n"
    )
    assert told("kimi_k3", output) == ("", " On it. ", [("ping", '{"a\\"b": "7"}')])


def test_white_space_around_channels_is_no_text_but_within_text_it_is() -> None:
    assert told("kimi_k3", "\n one: two \n<|open|>response<|sep|>x") == ("", "one: twox", [])


def test_inkling_drops_headers_and_takes_frameless_output_for_text() -> None:
    frames = (
        "name<|content_thinking|>why<|end_message|><|message_model|><|content_text|>so<|end_message|>"
        "<|message_model|>x<|content_invoke_tool_text|>ls<|end_message|>"
        '<|message_model|>ping<|content_invoke_tool_json|>{"name":"ping","args":{}}'
        "<|content_model_end_sampling|>"
    )
    assert told("inkling", frames) == ("why", "so", [("ping", "{}")])
    assert told("inkling", "a long answer " * 20) == ("", "a long answer " * 20, [])


def test_inkling_without_tools_leaves_calls_as_text() -> None:
    call = '<|content_invoke_tool_json|>{"name":"ping","args":{}}'
    parsed = parse_symphony("inkling", call + "<|end_message|>")
    assert parsed == SymphonyParsed("", call, ())


def test_gemma_values_follow_their_own_shape() -> None:
    output = '<|tool_call>call:f{<|"|>a b<|"|>:1,c:null,d:-1.5e3,e:007,g:x y,h:[true,{i:<|"|>"<|"|>}],}<tool_call|>'
    expected = (
        '{"a b": 1, "c": null, "d": -1.5e3, "e": "007", "g": "x y", "h": [true, {"i": "\\""}]}'
    )
    assert told("gemma4", output) == ("", "", [("f", expected)])
    output = "<start_function_call>call:f{c:null,d:None}<end_function_call>"
    assert told("function_gemma", output)[2] == [("f", '{"c": "null", "d": null}')]


def test_what_is_wrong_inside_braces_ends_the_arguments_there() -> None:
    output = "<|tool_call>call:f{a:[1,2},b:3}<tool_call|>ok"
    assert told("gemma4", output) == ("", "},b:3}ok", [("f", '{"a": [1, 2]}')])
    assert told("gemma4", "<|tool_call>cal:f{}<tool_call|>ok") == ("", "cal:f{}ok", [])


def test_lfm_reads_python_literals() -> None:
    output = (
        "<|tool_call_start|>[f(a='it\\'s \\u00e9\\n', b=(1, None), c={'d': True}, e=r'\\x', g=''), "
        "h.i(), j(x=y+1)]<|tool_call_end|>"
    )
    arguments = '{"a": "it\'s é\\n", "b": [1, null], "c": {"d": true}, "e": "\\\\x", "g": ""}'
    assert told("lfm2.5", output) == (
        "",
        "x=y+1)]",
        [("f", arguments), ("h.i", "{}"), ("j", "{}")],
    )


def test_olmo_reads_json_values_and_calls_on_lines() -> None:
    output = '<function_calls>f(a="\\u00e9", b=[1, {"c": null}])\ng()\n</function_calls>!'
    assert told("olmo3", output) == (
        "",
        "!",
        [("f", '{"a": "\\u00e9", "b": [1, {"c": null}]}'), ("g", "{}")],
    )


def test_json_counts_at_the_very_beginning_only() -> None:
    call = '{"name": "ping", "arguments": {"a": 1}}'
    assert told("json", f"\n{call}\n more") == ("", "more", [("ping", '{"a": 1}')])
    assert told("json", f"[{call}, {call}]")[2] == [("ping", '{"a": 1}')] * 2
    assert told("json", f"Look: {call}") == ("", f"Look: {call}", [])
    assert told("json", '[1, 2] {"t": 3}') == ("", '[1, 2] {"t": 3}', [])
    assert told("xlam", call) == ("", call, [])


def test_mistral_reads_a_name_and_json_behind_it() -> None:
    output = 'Hi. [TOOL_CALLS]ping[ARGS]{"a": 1} [TOOL_CALLS]ping[ARGS]{"b": }x'
    assert told("mistral_v13", output) == (
        "",
        "Hi. }x",
        [("ping", '{"a": 1}'), ("ping", '{"b":null}')],
    )


def test_junk_after_broken_arguments_ends_at_the_closing_tag() -> None:
    output = '<tool_call>{"name": "ping", "arguments": {"a": 1 "b": 2}}\n</tool_call>!'
    assert told("qwen3", output) == ("", '"b": 2}!', [("ping", '{"a": 1 }')])


def test_plain_reads_nothing_but_text() -> None:
    assert told("plain", f"<think>a</think>{PING}") == ("", f"<think>a</think>{PING}", [])


def test_tables_are_found_by_model_and_by_other_parsers_names() -> None:
    assert table_for("other/qwen3-8b") == "qwen3"
    assert table_for("/models/x/Qwen3-8B") == "qwen3"
    assert table_for("Qwen/Qwen3-8B-FP8") is None
    assert table_for("qwen3_tagged") is None
    assert table_named("glm47_moe") == "glm"
    assert table_named("qwen3_tagged") == "qwen3_tagged"
    assert table_named("kimik2") is None


def test_names_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(TableUnknown, match="nosuch"):
        create_symphony("nosuch")
    with pytest.raises(TemplateMissing, match="the tokenizer config has no response_template"):
        create_symphony("hf")


def test_a_parser_is_for_one_output() -> None:
    parser = create_symphony("qwen3", ALL)
    parser.feed("so")
    parser.finish()

    assert parser.finish() == []
    with pytest.raises(ValueError, match="finished"):
        parser.feed("more")


def test_events_and_results_are_values() -> None:
    parsed = parse_symphony("qwen3", "<think>a</think>b", TYPED)
    assert parsed == SymphonyParsed("a", "b", ())
    assert (
        len({parsed, SymphonyParsed("a", "b", ()), ReasoningDelta("a"), ReasoningDelta("a")}) == 2
    )
    assert repr(ReasoningDelta("a")) == "ReasoningDelta(text='a')"
    assert repr(parsed) == "SymphonyParsed(reasoning='a', normal_text='b', calls=())"
    with pytest.raises(AttributeError):
        parsed.reasoning = "c"
    with pytest.raises(AttributeError):
        ReasoningDelta("a").text = "c"
