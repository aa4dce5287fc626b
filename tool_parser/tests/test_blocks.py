"""glm45_moe, glm47_moe, minimax_m2, step3, kimi_k3: blocks read when their end has come."""

from __future__ import annotations

from .reading import calls, read, text_of

PAIRS = "<arg_key> code </arg_key>\n<arg_value>A</arg_value><arg_key>count</arg_key><arg_value>3</arg_value>"


def test_glm45_wants_a_newline_behind_the_name_and_glm47_does_not() -> None:
    assert calls("glm45_moe", f"<tool_call>find_item\n{PAIRS}</tool_call>") == [
        ("find_item", '{"code": "A", "count": 3}')
    ]
    assert calls("glm45_moe", "<tool_call>wave</tool_call>") == []
    assert calls("glm47_moe", "<tool_call> wave </tool_call>") == [("wave", "{}")]
    assert calls("glm47_moe", f"<tool_call>find_item{PAIRS}</tool_call>") == [
        ("find_item", '{"code": "A", "count": 3}')
    ]


def test_glm_takes_the_last_of_repeated_keys_and_ignores_half_pairs() -> None:
    inside = (
        "<arg_value>x</arg_value><arg_key>a</arg_key><arg_value>1</arg_value>"
        "<arg_key>a</arg_key><arg_value>2</arg_value><arg_key>b</arg_key>"
    )
    assert calls("glm47_moe", f"<tool_call>go{inside}</tool_call>") == [("go", '{"a": 2}')]


def test_the_first_closing_tag_ends_a_glm_call() -> None:
    text = "<tool_call>go<arg_key>a</arg_key><arg_value></tool_call></arg_value></tool_call>"
    assert calls("glm47_moe", text) == [("go", "{}")]


def test_a_glm_call_is_reported_in_one_piece() -> None:
    text = f"<tool_call>find_item\n{PAIRS}</tool_call>"
    assert read("glm45_moe", text[:-1]).calls == ()
    assert text_of("glm45_moe", text[:-1]) == text[:-1]


def m2(*invokes: str) -> str:
    return "<minimax:tool_call>\n" + "\n".join(invokes) + "\n</minimax:tool_call>"


def test_minimax_m2_decodes_entities_and_types_values() -> None:
    invoke = (
        '<invoke name="find_item"><parameter name="code">a &lt; b</parameter>'
        '<parameter name="count">3</parameter></invoke>'
    )
    text = m2(invoke, '<invoke name="wave"></invoke>')
    assert calls("minimax_m2", text) == [
        ("find_item", '{"code": "a < b", "count": 3}'),
        ("wave", "{}"),
    ]


def test_minimax_m2_wants_its_tags_written_exactly() -> None:
    for invoke in ("<invoke name='wave'></invoke>", '<invoke name="wave" ></invoke>'):
        assert calls("minimax_m2", m2(invoke)) == []
        assert text_of("minimax_m2", m2(invoke)) == m2(invoke)


def test_a_closed_minimax_invoke_is_a_call_though_its_wrapper_is_cut_off() -> None:
    text = m2('<invoke name="wave"></invoke>', '<invoke name="la')[:-24]
    assert calls("minimax_m2", text) == [("wave", "{}")]


def step(name: str, *parameters: tuple[str, str]) -> str:
    values = "".join(
        f'<steptml:parameter name="{key}">{value}</steptml:parameter>' for key, value in parameters
    )
    return (
        f'<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="{name}">{values}'
        "</steptml:invoke><｜tool_call_end｜>"
    )


def test_step3_ignores_the_schema_and_trims_values() -> None:
    text = "<｜tool_calls_begin｜>" + step("find_item", ("code", " 12 "), ("count", "x"))
    assert calls("step3", text) == [("find_item", '{"code": 12, "count": "x"}')]


def test_step3_has_calls_without_arguments_and_empty_values() -> None:
    text = "<｜tool_calls_begin｜>" + step("wave") + "\n" + step("go", ("a", ""), ("b", "1"))
    assert calls("step3", text) == [("wave", "{}"), ("go", '{"a": "", "b": 1}')]


def test_a_step3_call_without_its_end_is_incomplete() -> None:
    text = "<｜tool_calls_begin｜>" + step("wave").removesuffix("<｜tool_call_end｜>")
    assert [call.complete for call in read("step3", text).calls] == [False]


def k3(*calls: str) -> str:
    return "<|open|>tools<|sep|>" + "".join(calls) + "<|close|>tools<|sep|>"


def k3_call(heading: str, *arguments: tuple[str, str]) -> str:
    inside = "".join(
        f"<|open|>argument {attributes}<|sep|>{value}<|close|>argument<|sep|>"
        for attributes, value in arguments
    )
    return f"<|open|>call {heading}<|sep|>{inside}<|close|>call<|sep|>"


def test_kimi_k3_believes_the_type_attribute() -> None:
    text = k3(
        k3_call(
            'tool="go" index="1"',
            ('key="a" type="string"', "1"),
            ('key="b" type="number"', "1"),
            ('key="c" type="object"', "oops"),
            ('key="d&quot;e"', "x"),
        )
    )
    assert calls("kimi_k3", text) == [("go", '{"a": "1", "b": 1, "c": "oops", "d\\"e": "x"}')]


def test_kimi_k3_shows_the_first_response_channel() -> None:
    text = "<|open|> response <|sep|>Hi.<|close|>response<|sep|>lost" + k3(k3_call('tool="wave"'))
    assert (text_of("kimi_k3", text), calls("kimi_k3", text)) == ("Hi.", [("wave", "{}")])


def test_kimi_k3_keeps_markers_of_other_channels() -> None:
    text = "a <|open|> b <|close|>think<|sep|>"
    assert text_of("kimi_k3", text) == text


def test_kimi_k3_skips_calls_without_a_tool_and_drops_unfinished_ones() -> None:
    text = k3(k3_call('index="1"'), k3_call('tool="wave"'), "<|open|>call tool=")
    assert calls("kimi_k3", text) == [("wave", "{}")]
