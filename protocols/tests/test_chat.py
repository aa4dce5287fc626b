"""Chat completions: what is refused, with which code, and what is passed on."""

import json
from typing import Any

import pytest
from smg_protocols import Dialect, Intake, RequestInvalid, read_intake

HELLO = [{"role": "user", "content": "hi"}]
F = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}


def accept(**changes: Any) -> Intake:
    body = {"model": "m", "messages": HELLO, **changes}
    return read_intake(Dialect.CHAT, json.dumps(body).encode(), content_type=b"application/json")


def refuse(**changes: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        accept(**changes)
    assert caught.value.status == 400
    assert not caught.value.plain_text
    return caught.value


def code_and_param(refusal: RequestInvalid) -> tuple[str | None, str | None]:
    return refusal.code, refusal.param


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ""},
        {"temperature": 0},
        {"temperature": 2},
        {"temperature": 2.00000001},
        {"top_p": 1.00000001},
        {"top_k": -1},
        {"top_k": 1},
        {"n": 10},
        {"min_tokens": 0},
        {"seed": -5},
        {"stop": []},
        {"stop": ["a", "b", "c", "d"]},
        {"stream": None, "logprobs": None, "skip_special_tokens": None, "temperature": None},
        {"logprobs": True, "top_logprobs": 20},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {}},
        {"min_tokens": 5},
        {"min_tokens": 5, "max_tokens": 5},
        {"regex": "a+", "response_format": {"type": "text"}},
        {"response_format": SCHEMA},
        {"tools": [], "tool_choice": "none"},
        {"tool_choice": "auto"},
        {"tools": [F], "tool_choice": "required"},
        {"tools": [F], "tool_choice": F},
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        {"functions": [{"name": "f"}], "function_call": "none", "sampling_seed": 2**64 - 1},
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}, "sampling_seed": 2**63},
        {"tools": [{"type": "anything", "function": {"name": "bad name!"}}]},
        {"reasoning_effort": "none"},
        {"reasoning_effort": 3},
        {"logit_bias": {"1": 101, "0": -200}},
        {"verbosity": "low"},
        {"metadata": {"k" * 65: "v"}},
        {"user": 5, "anything": {"else": [1]}},
        {"chat_template_kwargs": {"enable_thinking": False}, "session_params": {}},
    ],
    ids=str,
)
def test_good_requests_pass(changes: dict[str, Any]) -> None:
    assert accept(**changes).model == changes.get("model", "m")


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"model": None}, "invalid_type", "model"),
        ({"messages": "x"}, "invalid_type", "messages"),
        ({"messages": []}, "empty_array", "messages"),
        ({"messages": ["x"]}, "invalid_type", "messages[0]"),
        ({"temperature": True}, "invalid_type", "temperature"),
        ({"temperature": "1"}, "invalid_type", "temperature"),
        ({"temperature": -0.1}, "decimal_below_min_value", "temperature"),
        ({"temperature": 2.1}, "decimal_above_max_value", "temperature"),
        ({"temperature": 1e39}, "decimal_above_max_value", "temperature"),
        ({"top_p": 0}, "decimal_below_min_value", "top_p"),
        ({"top_p": 1.1}, "decimal_above_max_value", "top_p"),
        ({"top_p": 1e-60}, "decimal_below_min_value", "top_p"),
        ({"top_k": 0}, "invalid_value", "top_k"),
        ({"top_k": -2}, "invalid_value", "top_k"),
        ({"min_p": 1.1}, "decimal_above_max_value", "min_p"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"n": 11}, "integer_above_max_value", "n"),
        ({"n": -1}, "integer_below_min_value", "n"),
        ({"n": 1.0}, "invalid_type", "n"),
        ({"max_tokens": 0}, "integer_below_min_value", "max_tokens"),
        ({"max_tokens": 1.5}, "invalid_type", "max_tokens"),
        ({"max_tokens": 2**32}, "integer_above_max_value", "max_tokens"),
        ({"max_tokens": 2**64}, "invalid_type", "max_tokens"),
        ({"top_logprobs": 21, "logprobs": True}, "integer_above_max_value", "top_logprobs"),
        ({"stop": ""}, "invalid_value", "stop"),
        ({"stop": ["a", ""]}, "invalid_value", "stop"),
        ({"stop": list("abcde")}, "array_above_max_length", "stop"),
        ({"stop": 5}, "invalid_type", "stop"),
        ({"stop_token_ids": [1, -1]}, "integer_below_min_value", "stop_token_ids[1]"),
        ({"logprobs": 1}, "invalid_type", "logprobs"),
        ({"stream": "true"}, "invalid_type", "stream"),
        ({"logit_bias": []}, "invalid_type", "logit_bias"),
        ({"logit_bias": {"1": "x"}}, "invalid_type", "logit_bias.1"),
        ({"logit_bias": {"a": 1}}, "logit_bias_invalid_key", None),
        ({"logit_bias": {"-1": 1}}, "logit_bias_invalid_key", None),
        ({"metadata": {"k": 1}}, "invalid_type", "metadata.k"),
        ({"modalities": "text"}, "invalid_type", "modalities"),
        ({"verbosity": "verbose"}, "unsupported_value", "verbosity"),
        ({"verbosity": 1}, "invalid_type", "verbosity"),
        ({"reasoning_effort": []}, "json_parse_error", "reasoning_effort"),
        ({"function_call": "maybe"}, "json_parse_error", "function_call"),
        ({"function_call": {}}, "json_parse_error", "function_call"),
        ({"function_call": 5}, "json_parse_error", "function_call"),
        ({"stream_options": 5}, "invalid_type", "stream_options"),
        ({"session_params": []}, "invalid_type", "session_params"),
    ],
    ids=str,
)
def test_a_bad_field_is_named(changes: dict[str, Any], code: str, param: str | None) -> None:
    assert code_and_param(refuse(**changes)) == (code, param)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"top_logprobs": 0}, "top_logprobs_requires_logprobs"),
        ({"stream_options": {}}, "stream_options_requires_stream"),
        ({"min_tokens": 5, "max_tokens": 4}, "min_tokens_exceeds_max"),
        ({"min_tokens": 5, "max_completion_tokens": 4}, "min_tokens_exceeds_max"),
        ({"regex": "a", "response_format": {"type": "json_object"}}, "regex_conflicts_with_json"),
        ({"ebnf": "a", "response_format": SCHEMA}, "ebnf_conflicts_with_json"),
        ({"regex": "a", "ebnf": "b"}, "multiple_constraints"),
        (
            {"response_format": {**SCHEMA, "json_schema": {"name": "", "schema": {}}}},
            "json_schema_name_empty",
        ),
        (
            {"response_format": {**SCHEMA, "json_schema": {"name": "n", "schema": 5}}},
            "json_schema_schema_not_object",
        ),
        ({"tool_choice": "required"}, "tool_choice_requires_tools"),
        ({"tool_choice": "required", "tools": []}, "tool_choice_requires_tools"),
        ({"function_call": {"name": "f"}}, "tool_choice_requires_tools"),
        (
            {"tools": [F], "function_call": {"name": "g"}},
            "tool_choice_function_not_found",
        ),
    ],
    ids=str,
)
def test_fields_that_do_not_go_together_are_refused_without_param(
    changes: dict[str, Any], code: str
) -> None:
    assert code_and_param(refuse(**changes)) == (code, None)


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ({"type": "function", "function": {"name": "g"}}, "tool_choice_function_not_found"),
        ({"type": "allowed_tools", "mode": "bad", "tools": []}, "tool_choice_invalid_mode"),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "g"}],
            },
            "tool_choice_tool_not_found",
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "file_search"}]},
            "tool_choice_invalid_tool_type",
        ),
    ],
    ids=str,
)
def test_a_choice_must_be_among_the_tools(choice: Any, code: str) -> None:
    assert code_and_param(refuse(tools=[F], tool_choice=choice)) == (code, None)


@pytest.mark.parametrize(
    "choice",
    [
        "sometimes",
        5,
        {},
        {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "nope"}]},
        {"type": "function", "function": {}},
    ],
    ids=str,
)
def test_a_choice_of_no_known_form_is_an_invalid_type(choice: Any) -> None:
    refusal = refuse(tools=[F], tool_choice=choice)

    assert code_and_param(refusal) == ("invalid_type", "tool_choice")
    assert "did not match any variant of untagged enum ToolChoice" in refusal.message


def test_an_unsupported_reference_is_named_in_full() -> None:
    reference = {"type": "mcp", "server_label": "s", "name": "t"}
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [reference]}

    assert "got 'mcp:s:t'." in refuse(tools=[F], tool_choice=choice).message


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": ""},
        {"role": "root", "content": "x"},
        {"role": "developer", "content": "x", "tools": [F]},
        {"role": "user", "content": []},
        {"role": "user", "content": [{"type": "text"}]},
        {"role": "user", "content": [{"type": "text", "text": 5}]},
        {"role": "user", "content": [{"type": "nope", "x": 1}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},
        {"role": "assistant"},
        {"role": "assistant", "content": None, "reasoning_content": "r"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}],
        },
        {"role": "tool", "content": "x", "tool_call_id": "c"},
        {"role": "function", "content": "x", "name": "f"},
        {"role": "user", "content": "x", "name": "n", "unknown": [1]},
    ],
    ids=str,
)
def test_good_messages_pass(message: Any) -> None:
    assert accept(messages=[message]).model == "m"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ({"content": "x"}, "missing_required_parameter", "messages[0].role"),
        ({"role": "user"}, "missing_required_parameter", "messages[0].content"),
        ({"role": "nobody", "content": "x"}, "invalid_value", "messages[0].role"),
        ({"role": 5, "content": "x"}, "invalid_type", "messages[0].role"),
        ({"role": "user", "content": None}, "invalid_type", "messages[0]"),
        ({"role": "user", "content": 5}, "invalid_type", "messages[0]"),
        ({"role": "user", "content": ["x"]}, "invalid_type", "messages[0]"),
        (
            {"role": "tool", "content": "x"},
            "missing_required_parameter",
            "messages[0].tool_call_id",
        ),
        ({"role": "assistant", "tool_calls": "x"}, "invalid_type", "messages[0]"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c"}]},
            "missing_required_parameter",
            "messages[0].type",
        ),
    ],
    ids=str,
)
def test_a_bad_message_is_located_up_to_its_union(message: Any, code: str, param: str) -> None:
    assert code_and_param(refuse(messages=[message])) == (code, param)


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].function"),
        (
            {"tools": [F, {"type": "function", "function": {}}]},
            "missing_required_parameter",
            "tools[1].function.name",
        ),
        ({"tools": {"type": "function"}}, "invalid_type", "tools"),
        ({"response_format": "json"}, "invalid_type", "response_format"),
        ({"response_format": {}}, "missing_required_parameter", "response_format.type"),
        ({"response_format": {"type": "xml"}}, "invalid_value", "response_format.type"),
        (
            {"response_format": {"type": "json_schema"}},
            "missing_required_parameter",
            "response_format.json_schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            "missing_required_parameter",
            "response_format.schema",
        ),
    ],
    ids=str,
)
def test_nested_fields_are_located(changes: dict[str, Any], code: str, param: str) -> None:
    assert code_and_param(refuse(**changes)) == (code, param)


def test_several_bad_fields_are_told_together_and_the_first_by_name_counts() -> None:
    refusal = refuse(top_k=0, n=0, temperature=3)

    assert code_and_param(refusal) == ("integer_below_min_value", "n")
    assert [line.split(":")[0] for line in refusal.message.splitlines()] == [
        "n",
        "temperature",
        "top_k",
    ]


def test_combinations_are_looked_at_only_when_every_field_is_good() -> None:
    assert refuse(n=0, top_logprobs=1).code == "integer_below_min_value"


def test_range_messages_print_single_precision_values_widened() -> None:
    assert refuse(temperature=2.1).message == (
        'temperature: Validation error: range [{"min": Number(0.0), "max": Number(2.0), '
        '"value": Number(2.0999999046325684)}]'
    )


def test_top_p_messages_print_the_shortest_digits() -> None:
    assert refuse(top_p=1.1).message == (
        "top_p: Invalid 'top_p': decimal above maximum value. "
        "Expected a value <= 1.0, but got 1.1 instead."
    )


def test_the_routing_text_joins_every_piece_of_text_with_one_space() -> None:
    messages = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": ""},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "u"}},
                {"type": "text", "text": ""},
                {"type": "text", "text": "b"},
                {"type": "other", "text": "not this"},
            ],
        },
        {"role": "assistant", "content": "c", "reasoning_content": "r"},
        {"role": "assistant", "content": None, "reasoning_content": ""},
        {"role": "function", "content": "f", "name": "n"},
    ]

    assert accept(messages=messages).routing_text() == "S a b c r f"


def test_an_intake_tells_what_routing_asks() -> None:
    intake = accept(stream=True, n=3, rid="r1", cache_salt="salt", extra_key=5, lora_path="adapter")

    assert (intake.dialect, intake.stream, intake.choices) == (Dialect.CHAT, True, 3)
    assert (intake.rid, intake.cache_salt, intake.extra_key) == ("r1", "salt", None)
    assert intake.lora_path == "adapter"
    assert intake.token_ids is None
    assert repr(intake) == "Intake(CHAT, model='m', stream=True)"
