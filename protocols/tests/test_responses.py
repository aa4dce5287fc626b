"""Responses: what is refused, with which code, and what is passed on."""

import json
from typing import Any

import pytest
from smg_protocols import Dialect, Intake, RequestInvalid, read_intake

F = {"type": "function", "name": "f", "parameters": {}}
MCP = {"type": "mcp", "server_label": "s", "server_url": "http://127.0.0.1:9/"}
USER = {"role": "user", "content": "hi"}


def accept(**changes: Any) -> Intake:
    body = {"model": "m", "input": "hi", **changes}
    return read_intake(
        Dialect.RESPONSES, json.dumps(body).encode(), content_type=b"application/json"
    )


def refuse(**changes: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        accept(**changes)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "changes",
    [
        {"store": None, "stream": None, "background": True},
        {"reasoning": {"effort": "none", "summary": "auto"}},
        {"conversation": "conv_a-B_1"},
        {"conversation": {"id": "conv_"}},
        {"previous_response_id": "resp_x"},
        {"top_logprobs": 5},
        {"tools": [F], "tool_choice": "auto"},
        {"tools": [F], "tool_choice": {"type": "function", "name": "f"}},
        {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tools": [MCP], "tool_choice": {"type": "mcp", "server_label": "other"}},
        {"tools": [F], "tool_choice": {"type": "web_search"}},
        {
            "tools": [F],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}, {"type": "file_search"}],
            },
        },
        {"tools": [], "tool_choice": "none"},
        {"tools": [{"type": "custom", "name": "c", "format": {"type": "text"}}]},
        {"tools": [{"type": "web_search_2025_08_26", "search_context_size": "low"}]},
        {"tools": [{"type": "computer", "ignored": 1}, {"type": "apply_patch"}]},
        {"tools": [{**MCP, "require_approval": "never", "allowed_tools": ["t"]}]},
        {"tools": [{**MCP, "require_approval": {"always": {"tool_names": ["t"]}}}]},
        {"text": {"format": {"type": "json_object"}}},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
        {"include": ["reasoning.encrypted_content"]},
        {"prompt": {"id": "p", "variables": {"a": "x", "b": {"type": "input_text", "text": "y"}}}},
        {"metadata": {"a": [1]}},
    ],
    ids=str,
)
def test_good_requests_pass(changes: dict[str, Any]) -> None:
    assert accept(**changes).model == "m"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"bogus": 1}, "unknown_parameter", "bogus"),
        ({"input": None}, "invalid_type", "input"),
        ({"input": ""}, "input_text_empty", "input"),
        ({"input": []}, "input_items_empty", "input"),
        ({"input": [5]}, "invalid_type", "input"),
        ({"temperature": 2.5}, "decimal_above_max_value", "temperature"),
        ({"top_k": -2}, "invalid_value", "top_k"),
        ({"top_k": 0}, "invalid_value", "top_k"),
        ({"top_k": None}, "invalid_type", "top_k"),
        ({"min_p": -0.5}, "decimal_below_min_value", "min_p"),
        ({"max_output_tokens": 0}, "integer_below_min_value", "max_output_tokens"),
        ({"stop": list("abcde")}, "array_above_max_length", "stop"),
        ({"metadata": "x"}, "invalid_type", "metadata"),
        ({"service_tier": "foo"}, "invalid_value", "service_tier"),
        ({"reasoning": {"effort": "zzz"}}, "invalid_value", "reasoning.effort"),
        ({"include": ["nope"]}, "invalid_value", "include[0]"),
        ({"truncation": "x"}, "invalid_value", "truncation"),
        ({"service_tier": 5}, "invalid_json", None),
        ({"conversation": "x"}, "invalid_conversation_id", "conversation"),
        ({"conversation": {"id": "conv_a b"}}, "invalid_conversation_id", "conversation"),
        (
            {"text": {"format": {"type": "json_schema", "name": "", "schema": {}}}},
            "json_schema_name_empty",
            "text",
        ),
        (
            {"conversation": "conv_a", "previous_response_id": "resp_a"},
            "mutually_exclusive_parameters",
            None,
        ),
    ],
    ids=str,
)
def test_bad_requests_are_refused(changes: dict[str, Any], code: str, param: str | None) -> None:
    refusal = refuse(**changes)

    assert (refusal.code, refusal.param) == (code, param)


@pytest.mark.parametrize(
    ("tool", "code", "param"),
    [
        ({"type": "function"}, "missing_required_parameter", "tools[0].name"),
        ({"type": "nope"}, "invalid_value", "tools[0].type"),
        ({**F, "bogus": 1}, "unknown_parameter", "tools[0]"),
        ({**MCP, "server_label": ""}, "missing_required_parameter", "tools"),
        ({**MCP, "server_label": "1a"}, "invalid_server_label", "tools"),
        ({**MCP, "connector_id": "connector_gmail"}, "mcp_tool_conflicting_targets", "tools"),
        ({**MCP, "require_approval": "sometimes"}, "invalid_type", "tools[0]"),
        ({"type": "local_shell"}, "tool_not_supported", "tools"),
    ],
    ids=str,
)
def test_tools_are_closed_objects(tool: Any, code: str, param: str) -> None:
    refusal = refuse(tools=[tool])

    assert (refusal.code, refusal.param) == (code, param)


def test_server_labels_are_compared_without_case() -> None:
    refusal = refuse(tools=[MCP, {**MCP, "server_label": "S"}])

    assert (refusal.code, refusal.param) == ("mcp_tool_duplicate_server_label", "tools")


@pytest.mark.parametrize(
    ("tools", "choice", "code"),
    [
        (None, "auto", "tool_choice_requires_tools"),
        ([], "required", "tool_choice_requires_tools"),
        ([F], {"type": "function", "name": "g"}, "tool_choice_function_not_found"),
        (
            [F],
            {"type": "function", "function": {"name": "g"}},
            "tool_choice_function_not_found",
        ),
        ([F], {"type": "allowed_tools", "mode": "x", "tools": []}, "tool_choice_invalid_mode"),
        (
            [F],
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]},
            "tool_choice_tool_not_found",
        ),
    ],
    ids=str,
)
def test_a_choice_must_be_among_the_tools(tools: Any, choice: Any, code: str) -> None:
    refusal = refuse(tools=tools, tool_choice=choice)

    assert (refusal.code, refusal.param) == (code, None)


@pytest.mark.parametrize(
    "choice",
    ["sometimes", {}, {"type": "nope"}, {"type": "function"}, {"type": "mcp"}, {"type": "custom"}],
    ids=str,
)
def test_a_choice_of_no_known_form_is_an_invalid_type(choice: Any) -> None:
    refusal = refuse(tools=[F], tool_choice=choice)

    assert (refusal.code, refusal.param) == ("invalid_type", "tool_choice")


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {"type": "message", "role": "user", "content": "a"},
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "n"}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": ""},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}]},
        {"type": "reasoning", "id": "r", "content": [{"type": "reasoning_text", "text": "t"}]},
        {"type": "item_reference", "id": "i"},
        {"id": "i"},
        {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": ""},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        {"type": "computer_call", "id": "i", "call_id": "c", "status": "completed"},
        {
            "type": "computer_call_output",
            "call_id": "c",
            "output": {"type": "computer_screenshot", "image_url": "u"},
        },
        {"type": "mcp_call", "id": "i", "arguments": "", "name": "n", "server_label": "s"},
    ],
    ids=str,
)
def test_items_of_every_kind_pass(item: Any) -> None:
    assert accept(input=[USER, item]).model == "m"


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"role": "user"},
        {"type": "nope", "role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "nope"}]},
        {"role": "user", "content": [{"type": "reasoning_text", "text": "t"}]},
        {"type": "function_call", "call_id": "c", "name": "f"},
        {"type": "reasoning", "summary": []},
        {"type": "reasoning", "id": "r", "content": [{"type": "input_text", "text": "t"}]},
        {"type": "item_reference"},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"], "bogus": 1}},
    ],
    ids=str,
)
def test_an_item_of_no_known_kind_makes_the_input_an_invalid_type(item: Any) -> None:
    refusal = refuse(input=[USER, item])

    assert (refusal.code, refusal.param) == ("invalid_type", "input")
    assert "did not match any variant of untagged enum ResponseInput" in refusal.message


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"role": "user", "content": ""}, "message_content_empty"),
        ({"type": "message", "role": "user", "content": []}, "message_content_empty"),
        (
            {"type": "custom_tool_call_output", "call_id": "c", "output": ""},
            "custom_tool_call_output_empty",
        ),
        (
            {"type": "custom_tool_call_output", "call_id": "c", "output": []},
            "custom_tool_call_output_empty",
        ),
    ],
    ids=str,
)
def test_empty_items_are_refused(item: Any, code: str) -> None:
    refusal = refuse(input=[USER, item])

    assert (refusal.code, refusal.param) == (code, "input")


def test_the_routing_text_takes_messages_and_reasoning() -> None:
    items = [
        {"role": "system", "content": "S"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "u"},
                {"type": "output_text", "text": "b"},
            ],
        },
        {"type": "reasoning", "id": "r", "content": [{"type": "reasoning_text", "text": "t"}]},
        {"type": "function_call_output", "call_id": "c", "output": "not this"},
        {"type": "item_reference", "id": "i"},
    ]
    unusual = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}

    assert accept(input=items).routing_text() == "S a b t"
    assert accept(input=[*items, unusual]).routing_text() == "S a b t"
    assert accept().routing_text() == "hi"
