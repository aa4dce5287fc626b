"""deepseek, deepseek31, kimik2: names between markers, JSON behind them."""

from __future__ import annotations

import pytest

from .reading import calls, read, text_of

BEGIN, END = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
SECTION, SEP = "<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>"
K_SECTION, K_BEGIN = "<|tool_calls_section_begin|>", "<|tool_call_begin|>"
K_ARGS, K_END = "<|tool_call_argument_begin|>", "<|tool_call_end|>"


def v3(name: str, body: str) -> str:
    return f"{BEGIN}function{SEP}{name}\n```json\n{body}\n```{END}"


def v31(name: str, body: str) -> str:
    return f"{BEGIN}{name}{SEP}{body}{END}"


def k2(heading: str, body: str) -> str:
    return f"{K_BEGIN}{heading}{K_ARGS}{body}{K_END}"


def test_deepseek_streams_what_is_in_the_fence() -> None:
    parsed = read("deepseek", *(SECTION + v3("a", '{"x": 1}') + "\n" + v3("b", "{}")))
    assert [(call.name, call.arguments) for call in parsed.calls] == [
        ("a", '{"x": 1}'),
        ("b", "{}"),
    ]


@pytest.mark.parametrize("call", [v3, v31])
def test_deepseek_wraps_what_is_no_object(call: object) -> None:
    name, text = ("deepseek", v3("a", "[3]")) if call is v3 else ("deepseek31", v31("a", "[3]"))
    assert calls(name, SECTION + text) == [("a", '{"value": [3]}')]


def test_deepseek_wants_the_word_function_and_the_fence() -> None:
    for call in (
        f"{BEGIN}tool{SEP}a\n```json\n{{}}\n```{END}",
        f"{BEGIN}function{SEP}a\n{{}}{END}",
    ):
        assert calls("deepseek", SECTION + call) == []
        assert text_of("deepseek", SECTION + call) == SECTION + call


def test_a_bad_call_is_lost_beside_a_good_one() -> None:
    text = "So. " + SECTION + v31("a", "oops") + v31("b", "{}")
    assert (calls("deepseek31", text), text_of("deepseek31", text)) == ([("b", "{}")], "So. ")


def test_markers_in_strings_are_part_of_the_string() -> None:
    body = '{"s": "' + END + '"}'
    assert calls("deepseek31", SECTION + v31("a", body)) == [("a", body)]


def test_calls_outside_of_a_section_are_text() -> None:
    assert text_of("deepseek31", v31("a", "{}")) == v31("a", "{}")
    assert text_of("kimik2", k2("a:0", "{}")) == k2("a:0", "{}")


def test_arguments_that_break_close_the_call_incomplete() -> None:
    parsed = read("deepseek31", SECTION + v31("a", '{"x": oops}'))
    assert [(call.arguments, call.complete) for call in parsed.calls] == [('{"x":null}', False)]


def test_kimi_reads_names_with_an_index_and_passes_arguments_on_as_written() -> None:
    body = '{\n  "x" : 1.0\n}'
    text = K_SECTION + k2(" functions.lab.read:7 ", f" {body} ") + k2("b:1", "{}")
    assert calls("kimik2", text) == [("lab.read", body), ("b", "{}")]


@pytest.mark.parametrize("heading", ["a", "a-b:0", "functions.a:x", "a :0"])
def test_kimi_refuses_other_headings(heading: str) -> None:
    assert calls("kimik2", K_SECTION + k2(heading, "{}")) == []


def test_kimi_wants_objects() -> None:
    assert calls("kimik2", K_SECTION + k2("a:0", "[1]") + k2("b:1", "{}")) == [("b", "{}")]
