"""Messages of a request become what templates read."""

from __future__ import annotations

from typing import Any

import pytest
from smg_tokenizer.errors import RenderingFailed
from smg_tokenizer.renderers import DeepSeekV32Renderer, KimiK3Renderer, Preparation
from smg_tokenizer.templates import (
    ChatTemplate,
    prepare_messages,
    prepare_tools,
    template_kwargs_for,
    thinking_from_effort,
)

TEXT = ChatTemplate("{% for m in messages %}{{ m.content }}{% endfor %}", {})
PARTS = ChatTemplate(
    "{% for m in messages %}{% for p in m.content %}{{ p }}{% endfor %}{% endfor %}", {}
)
MIXED = [
    {"type": "text", "text": "a"},
    {"type": "image_url", "image_url": {"url": "http://x"}},
    {"type": "text", "text": "b"},
    {"type": "input_audio", "input_audio": {}},
]


def user(content: object) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def test_text_templates_get_the_texts_on_lines_of_their_own() -> None:
    assert prepare_messages(user(MIXED), TEXT) == user("a\nb")


def test_media_are_told_by_their_placeholders_first() -> None:
    placeholders = {"image": "<img>", "audio": "<snd>"}
    prepared = prepare_messages(user(MIXED), TEXT, placeholders=placeholders)
    assert prepared == user("<img>\n<snd>\na\nb")
    in_order = prepare_messages(user(MIXED), TEXT, placeholders=placeholders, media_in_order=True)
    assert in_order == user("a\n<img>\nb\n<snd>")


def test_a_content_of_nothing_printable_stays_as_it_was() -> None:
    assert prepare_messages(user(MIXED[1:2]), TEXT) == user(MIXED[1:2])


def test_part_templates_get_simple_parts_media_first() -> None:
    kept = [MIXED[0], MIXED[2]]
    media = [{"type": "image"}, {"type": "audio"}]
    assert prepare_messages(user(MIXED), PARTS) == user(media + kept)
    in_order = prepare_messages(user(MIXED), PARTS, media_in_order=True)
    assert in_order == user([kept[0], media[0], kept[1], media[1]])


def test_part_templates_get_a_text_as_one_part() -> None:
    assert prepare_messages(user("a"), PARTS) == user([{"type": "text", "text": "a"}])


def test_renderers_written_in_code_get_a_text_as_it_is() -> None:
    assert prepare_messages(user("a"), KimiK3Renderer()) == user("a")


def test_templates_know_developers_as_system() -> None:
    message = [{"role": "developer", "content": "d"}]
    assert prepare_messages(message, TEXT) == [{"role": "system", "content": "d"}]
    assert prepare_messages(message, DeepSeekV32Renderer()) == message


def call(arguments: object) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "a", "function": function}]}


def test_arguments_of_calls_become_objects_and_a_missing_content_none() -> None:
    original = call('{"n": -3e2, "é": [null]}')
    [prepared] = prepare_messages([original], TEXT)
    assert prepared["content"] is None
    assert prepared["tool_calls"][0]["function"]["arguments"] == {"n": -300.0, "é": [None]}
    assert original == call('{"n": -3e2, "é": [null]}')


@pytest.mark.parametrize("arguments", ["", "{bad", "NaN", "[" * 100_000])
def test_arguments_that_are_not_json_are_refused(arguments: str) -> None:
    with pytest.raises(RenderingFailed, match="Failed to parse tool call arguments as JSON"):
        prepare_messages([call(arguments)], TEXT)


def test_a_format_that_prints_raw_arguments_gets_them() -> None:
    [prepared] = prepare_messages([call("{bad")], KimiK3Renderer())
    assert prepared["tool_calls"] == call("{bad")["tool_calls"]


@pytest.mark.parametrize("calls", [None, "x", [1], [{"function": 3}], [{"id": "a"}]])
def test_calls_of_another_shape_are_left_alone(calls: object) -> None:
    [prepared] = prepare_messages([{"role": "assistant", "tool_calls": calls}], TEXT)
    assert prepared["tool_calls"] == calls


def test_functions_without_parameters_take_none() -> None:
    tools: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": "f"}},
        {"type": "other"},
    ]
    assert prepare_tools(tools, None, Preparation()) == [
        {"type": "function", "function": {"name": "f", "parameters": {}}},
        {"type": "other"},
    ]


def test_tools_that_may_not_be_chosen_are_not_printed_unless_the_format_says_so() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert prepare_tools(tools, "none", Preparation()) is None
    assert prepare_tools(tools, "none", Preparation(keep_tools_unused=True)) == tools
    assert prepare_tools([], "auto", Preparation()) is None


def test_parameters_of_the_request_become_variables_and_explicit_ones_win() -> None:
    assert template_kwargs_for() == {}
    assert template_kwargs_for(has_tools=True) == {"tool_choice": "auto"}
    assert template_kwargs_for(
        reasoning_effort="low",
        tool_choice="required",
        response_format={"type": "text"},
        has_tools=True,
        chat_template_kwargs={"reasoning_effort": "max", "x": 1},
    ) == {
        "reasoning_effort": "max",
        "tool_choice": "required",
        "response_format": {"type": "text"},
        "x": 1,
    }


@pytest.mark.parametrize(
    ("effort", "thinking"), [(None, None), ("none", False), ("minimal", False), ("low", None)]
)
def test_only_the_lowest_efforts_say_something_about_thinking(
    effort: str | None, thinking: bool | None
) -> None:
    assert thinking_from_effort(effort) is thinking
