"""json, llama, mistral, qwen, cohere: calls that are JSON values."""

from __future__ import annotations

import pytest

from .reading import calls, read, text_of


def test_json_finds_the_first_value_with_calls_anywhere() -> None:
    text = 'See [a], {"t": 1} or "{": ```{"name": "wave"}``` then {"name": "late"}'
    assert calls("json", text) == [("wave", "{}")]
    assert text_of("json", text) == 'See [a], {"t": 1} or "{": `````` then {"name": "late"}'


def test_json_takes_function_and_parameters_for_name_and_arguments() -> None:
    assert calls("json", '{"function": "go", "parameters": [1]}') == [("go", "[1]")]


def test_json_skips_what_is_no_call_in_a_list() -> None:
    assert calls("json", '[1, {"x": 2}, {"name": "wave"}, null]') == [("wave", "{}")]
    assert text_of("json", '[1, {"x": 2}]') == '[1, {"x": 2}]'


def test_json_waits_for_a_name_behind_the_arguments() -> None:
    assert calls("json", '{"arguments": {"a": 1}, "name": "go"}') == [("go", '{"a": 1}')]


def test_json_reads_no_value_inside_a_broken_one() -> None:
    text = '{[{"name": "wave"}]'
    assert read("json", text).calls == ()
    assert text_of("json", text) == text


def test_a_number_in_exponent_notation_is_passed_on_as_written() -> None:
    parsed = read("json", *'{"name": "go", "arguments": {"x": 1e-05}}')
    assert parsed.calls[0].arguments == '{"x": 1e-05}'


def test_llama_separates_calls_by_semicolons_outside_of_strings() -> None:
    text = '<|python_tag|>{"name": "a", "parameters": {"s": "x;y"}}; {"name": "b"}'
    assert calls("llama", text) == [("a", '{"s": "x;y"}'), ("b", "{}")]


def test_llama_loses_bad_parts_beside_good_ones() -> None:
    assert calls("llama", '<|python_tag|>oops;{"name": "b"}') == [("b", "{}")]
    assert text_of("llama", '<|python_tag|>oops;{"name": "b"}') == ""
    assert text_of("llama", "<|python_tag|>print(1)") == "<|python_tag|>print(1)"


def test_llama_without_the_tag_reads_from_the_very_start_only() -> None:
    assert calls("llama", ' {"name": "a"}') == [("a", "{}")]
    assert calls("llama", 'So: {"name": "a"}') == []


def test_llama_keeps_text_behind_a_call() -> None:
    text = '<|python_tag|>{"name": "a"} and so on; {"name": "b"}'
    assert calls("llama", text) == [("a", "{}"), ("b", "{}")]
    assert text_of("llama", text) == " and so on"


def test_mistral_wants_one_space_behind_the_marker() -> None:
    assert calls("mistral", '[TOOL_CALLS] [{"name": "a"},{"name": "b"}]') == [
        ("a", "{}"),
        ("b", "{}"),
    ]
    assert calls("mistral", '[TOOL_CALLS][{"name": "a"}]') == []


def test_mistral_reads_the_first_marker_only() -> None:
    assert calls("mistral", '[TOOL_CALLS] [oops [TOOL_CALLS] [{"name": "a"}]') == []


def test_qwen_wants_tags_on_lines_of_their_own() -> None:
    assert calls("qwen", '<tool_call>\n\n{"name": "a"}\n\n</tool_call>') == [("a", "{}")]
    assert calls("qwen", '<tool_call>{"name": "a"}</tool_call>') == []
    assert calls("qwen", '<tool_call>\r\n{"name": "a"}\r\n</tool_call>') == []


def test_qwen_loses_a_bad_block_beside_a_good_one() -> None:
    bad, good = ("<tool_call>\n" + body + "\n</tool_call>\n" for body in ("oops", '{"name": "a"}'))
    assert (calls("qwen", bad + good), text_of("qwen", bad + good)) == ([("a", "{}")], "")
    assert text_of("qwen", bad + "So.") == bad + "So."


def test_qwen_passes_its_markers_in_strings_on() -> None:
    body = '{"name": "a", "arguments": {"s": "<tool_call></tool_call>"}}'
    assert calls("qwen", f"<tool_call>\n{body}\n</tool_call>") == [
        ("a", '{"s": "<tool_call></tool_call>"}')
    ]


def test_cohere_reads_blocks_and_trims_text() -> None:
    text = (
        ' Hi. <|START_ACTION|>[{"tool_name": "a", "parameters": {"s": "<|END_ACTION|>"}},'
        '{"name": "b", "arguments": {}}]<|END_ACTION|> <|START_RESPONSE|>Bye.<|END_RESPONSE|>\n'
    )
    assert calls("cohere", text) == [("a", '{"s": "<|END_ACTION|>"}'), ("b", "{}")]
    assert text_of("cohere", text) == "Hi.  Bye."


def test_cohere_drops_a_block_that_is_no_json_and_shows_an_unfinished_one() -> None:
    assert text_of("cohere", "a<|START_ACTION|>oops<|END_ACTION|>b") == "ab"
    assert text_of("cohere", "a<|START_ACTION|>[") == "a<|START_ACTION|>["


@pytest.mark.parametrize(
    "name", ["json", "llama", "mistral", "qwen"], ids=lambda name: f"{name}-names-any"
)
def test_names_need_not_be_declared(name: str) -> None:
    texts = {
        "json": '{"name": "nobody"}',
        "llama": '<|python_tag|>{"name": "nobody"}',
        "mistral": '[TOOL_CALLS] [{"name": "nobody"}]',
        "qwen": '<tool_call>\n{"name": "nobody"}\n</tool_call>',
    }
    assert calls(name, texts[name]) == [("nobody", "{}")]
