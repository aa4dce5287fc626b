"""Messages and token counting: what is refused and what is passed on."""

import json
from typing import Any

import pytest
from smg_protocols import Dialect, Intake, RequestInvalid, check_anthropic_version, read_intake

HELLO = [{"role": "user", "content": "hi"}]
F = {"name": "f", "input_schema": {"type": "object"}}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]}
RESULT = {"type": "tool_result", "tool_use_id": "c", "content": "x"}
RESULT_TURN = {"role": "user", "content": [RESULT]}
OTHER_CALL = {**CALL, "content": [{"type": "tool_use", "id": "d", "name": "f", "input": {}}]}
OTHER_RESULT_TURN = {"role": "user", "content": [{**RESULT, "tool_use_id": "d"}]}
TOOLSET = {"type": "mcp_toolset", "mcp_server_name": "s"}
SERVER = {"name": "s", "url": "http://127.0.0.1:9/"}


def accept(dialect: Dialect = Dialect.MESSAGES, **changes: Any) -> Intake:
    body = {"model": "m", "max_tokens": 16, "messages": HELLO, **changes}
    return read_intake(dialect, json.dumps(body).encode(), content_type=b"application/json")


def refuse(**changes: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        accept(**changes)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0, "top_p": 1, "top_k": 0},
        {"stop_sequences": ["a"] * 9},
        {"system": "s"},
        {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1025},
        {"tools": [F], "tool_choice": {"type": "tool", "name": "f"}},
        {"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "any"}},
        {"tools": [{"type": "web_search_20250305", "name": "w", "max_uses": 3}]},
        {"tools": [TOOLSET], "mcp_servers": [SERVER]},
        {"tools": [TOOLSET], "mcp_servers": [SERVER], "tool_choice": {"type": "tool", "name": "x"}},
        {"tool_choice": {"type": "none"}},
        {"messages": [{"role": "system", "content": "s"}, *HELLO]},
        {"messages": [*HELLO, CALL, {"role": "user", "content": [RESULT]}]},
        {"messages": [*HELLO, CALL, OTHER_CALL, RESULT_TURN, OTHER_RESULT_TURN]},
        {"messages": [*HELLO, {"role": "assistant", "content": ""}]},
        {"metadata": {"user_id": "u"}, "service_tier": "standard_only", "unknown": 1},
    ],
    ids=str,
)
def test_good_requests_pass(changes: dict[str, Any]) -> None:
    assert accept(**changes).model == "m"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ""}, "model: model field is required and cannot be empty"),
        ({"messages": []}, "messages: messages array is required and cannot be empty"),
        ({"temperature": 1.5}, "__all__: temperature: range: 0..1"),
        ({"top_p": -1}, "__all__: top_p: range: 0..1"),
        (
            {"stop_sequences": [" "]},
            "__all__: stop_sequences: each stop sequence must contain non-whitespace",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1023}},
            (
                "__all__: thinking.enabled.budget_tokens: "
                "Input should be greater than or equal to 1024"
            ),
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1024},
            "__all__: `max_tokens` must be greater than `thinking.budget_tokens`",
        ),
        (
            {"messages": [{"role": "user", "content": []}]},
            "__all__: messages.0: user messages must have non-empty content",
        ),
        (
            {"tools": [TOOLSET]},
            "__all__: mcp_servers is required when mcp_toolset tools are present",
        ),
        (
            {"tool_choice": {"type": "auto"}},
            (
                "__all__: Invalid value for 'tool_choice': "
                "'tool_choice' is only allowed when 'tools' are specified."
            ),
        ),
        (
            {"tools": [F], "tool_choice": {"type": "tool", "name": "g"}},
            "__all__: Invalid value for 'tool_choice': tool 'g' not found in 'tools'.",
        ),
    ],
    ids=str,
)
def test_broken_rules_are_told_in_words(changes: dict[str, Any], message: str) -> None:
    assert refuse(**changes).message == message


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tools": [F, F]}, "duplicate_tool_name"),
        ({"tools": [{**F, "name": "x" * 129}]}, "tool_name_too_long"),
        ({"tools": [{**F, "name": "bad name"}]}, "invalid_tool_name"),
        ({"tools": [{**F, "input_schema": {"type": "array"}}]}, "invalid_input_schema_type"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "unexpected_tool_use_id"),
        ({"messages": [CALL, RESULT_TURN, OTHER_CALL, RESULT_TURN]}, "unexpected_tool_use_id"),
        ({"messages": [CALL, RESULT_TURN, RESULT_TURN]}, "duplicate_tool_result"),
        (
            {"messages": [*HELLO, CALL, {"role": "user", "content": [RESULT, RESULT]}]},
            "duplicate_tool_result",
        ),
        (
            {"messages": [*HELLO, {"role": "assistant", "content": "so "}]},
            "prefill_trailing_whitespace",
        ),
        (
            {
                "messages": [
                    *HELLO,
                    {"role": "assistant", "content": [{"type": "text", "text": "a\n"}]},
                ]
            },
            "prefill_trailing_whitespace",
        ),
    ],
    ids=str,
)
def test_conversations_and_tools_must_be_consistent(changes: dict[str, Any], code: str) -> None:
    assert refuse(**changes).code == code


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"max_tokens": None}, "max_tokens: invalid type: null, expected u32"),
        ({"max_tokens": -1}, "max_tokens: invalid value: integer `-1`, expected u32"),
        ({"stop_sequences": "x"}, 'stop_sequences: invalid type: string "x", expected a sequence'),
        ({"metadata": {"user_id": 5}}, "metadata.user_id: invalid type: integer `5`"),
        ({"service_tier": "x"}, "unknown variant `x`, expected `auto` or `standard_only`"),
        ({"system": [{"text": "s"}]}, "system: data did not match any variant"),
        ({"tools": [{"name": "f", "input_schema": {}}]}, "tools[0]: data did not match"),
        (
            {"tools": [{"name": "f"}]},
            "tools[0]: data did not match any variant of untagged enum Tool",
        ),
        ({"thinking": {"type": "on"}}, "thinking.type: unknown variant `on`"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role: unknown variant"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "a", "cache_control": {}}],
                    }
                ]
            },
            "messages[0].content: data did not match any variant of untagged enum InputContent",
        ),
    ],
    ids=str,
)
def test_wrong_types_are_told_in_words(changes: dict[str, Any], complaint: str) -> None:
    refusal = refuse(**changes)

    assert complaint in refusal.message
    assert refusal.message.startswith("Invalid JSON data: Failed to deserialize the JSON body")


def test_nothing_can_be_generated_over_http_but_the_gateway_may_answer_itself() -> None:
    assert refuse(max_tokens=0).code == "max_tokens_zero_not_relayed"

    body = json.dumps({"model": "m", "max_tokens": 0, "messages": HELLO}).encode()
    intake = read_intake(Dialect.MESSAGES, body, content_type=b"application/json", over_http=False)

    assert intake.request.max_tokens == 0


@pytest.mark.parametrize(
    ("toolset", "found"),
    [
        ({**TOOLSET, "configs": {"t": {"enabled": False}}}, False),
        ({**TOOLSET, "default_config": {"enabled": False}}, False),
        (
            {**TOOLSET, "default_config": {"enabled": False}, "configs": {"t": {"enabled": True}}},
            True,
        ),
    ],
    ids=str,
)
def test_a_toolset_offers_the_tools_it_enables(toolset: Any, found: bool) -> None:
    choice: dict[str, Any] = {
        "tools": [toolset],
        "mcp_servers": [SERVER],
        "tool_choice": {"type": "tool", "name": "t"},
    }
    if found:
        assert accept(**choice).model == "m"
    else:
        assert refuse(**choice).code == "tool_choice_tool_not_found"


def test_counting_tokens_needs_no_limit() -> None:
    body = json.dumps({"model": "m", "messages": HELLO, "system": "s"}).encode()
    intake = read_intake(Dialect.COUNT_TOKENS, body, content_type=b"application/json")

    assert (intake.model, intake.stream, intake.routing_text()) == ("m", False, "s hi")


def test_counting_tokens_refuses_an_empty_conversation() -> None:
    with pytest.raises(RequestInvalid, match="messages array is required"):
        accept(Dialect.COUNT_TOKENS, messages=[])


def test_the_routing_text_takes_system_text_first_and_text_blocks_only() -> None:
    blocks = [
        {"type": "text", "text": "a"},
        {"type": "image", "source": {"type": "url", "url": "u"}},
        {"type": "text", "text": ""},
        {"type": "text", "text": "b"},
    ]
    messages = [{"role": "user", "content": blocks}, {"role": "assistant", "content": "c"}]
    system = [{"type": "text", "text": "S"}]

    assert accept(system=system, messages=messages).routing_text() == "S a b c"


@pytest.mark.parametrize("value", [b"2023-06-01", b" 2023-01-01 "])
def test_a_date_is_a_version(value: bytes) -> None:
    check_anthropic_version(value)


@pytest.mark.parametrize(
    ("value", "shown"), [(b"zz", "zz"), (b"", ""), (b"2023-6-1", "2023-6-1"), (b"\xff", "\\xff")]
)
def test_anything_else_is_no_version(value: bytes, shown: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        check_anthropic_version(value)

    assert caught.value.code == "invalid_anthropic_version"
    assert caught.value.message == f'anthropic-version: "{shown}" is not a valid version'
