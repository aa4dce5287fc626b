from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from smg_mock_worker.chat import parse_chat, render_messages, text_of
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Call, Exchange, ServedModel

HELLO = [{"role": "user", "content": "hello there"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"const": "Paris"}}},
        },
    }
    for name in ("weather", "trains")
]

MakeCall = Callable[..., Call]
Whole = Callable[[Exchange], Any]
Events = Callable[[Exchange], list[Any]]


def test_a_whole_answer_is_a_chat_completion(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    body = whole(parse_chat(call_with(model="org/other", messages=HELLO, max_tokens=3), served))

    assert body["id"].startswith("chatcmpl-")
    assert {key: body[key] for key in ("object", "created", "model")} == {
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "org/other",
    }
    (choice,) = body["choices"]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert len(choice["message"]["content"].split()) == 3
    assert (choice["finish_reason"], choice["matched_stop"]) == ("length", None)
    assert body["usage"]["completion_tokens"] == 3


def test_a_stream_says_the_same_as_the_whole_answer_token_by_token(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    call = call_with(messages=HELLO, max_tokens=5)
    chunks = events(parse_chat(call, served))

    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[-1] == {}
    assert len(deltas) == 7
    text = "".join(delta.get("content", "") for delta in deltas)
    assert text == whole(parse_chat(call, served))["choices"][0]["message"]["content"]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * 6 + ["length"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_a_stream_ends_with_the_end_mark(
    served: ServedModel, call_with: MakeCall, frames: Callable[[Exchange], list[str]]
) -> None:
    assert frames(parse_chat(call_with(messages=HELLO), served))[-1] == "data: [DONE]"


def test_a_stream_reports_usage_only_when_asked(
    served: ServedModel, call_with: MakeCall, events: Events
) -> None:
    asked = call_with(messages=HELLO, stream=True, stream_options={"include_usage": True})
    last = events(parse_chat(asked, served))[-1]

    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 4 + 12
    unasked = events(parse_chat(call_with(messages=HELLO, stream=True), served))
    assert not any("usage" in chunk for chunk in unasked)


def test_several_choices_are_different_and_indexed(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    exchange = parse_chat(call_with(messages=HELLO, n=3), served)
    choices = whole(exchange)["choices"]

    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3
    assert {chunk["choices"][0]["index"] for chunk in events(exchange)} == {0, 1, 2}


def test_the_newer_name_of_the_token_limit_wins(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(messages=HELLO, max_tokens=5, max_completion_tokens=2)

    assert whole(parse_chat(call, served))["usage"]["completion_tokens"] == 2


def test_without_a_limit_the_answer_ends_by_itself(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    (choice,) = whole(parse_chat(call_with(messages=HELLO), served))["choices"]

    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].endswith(".")


def test_a_stop_string_ends_the_answer(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(messages=HELLO, max_tokens=50, stop=[" the"])
    (choice,) = whole(parse_chat(call, served))["choices"]

    assert (choice["finish_reason"], choice["matched_stop"]) == ("stop", " the")
    assert " the" not in choice["message"]["content"]


@pytest.mark.parametrize(
    ("tool_choice", "name"),
    [
        ("required", "weather"),
        ({"type": "function", "function": {"name": "trains"}}, "trains"),
    ],
)
def test_a_demanded_tool_is_called(
    served: ServedModel, call_with: MakeCall, whole: Whole, tool_choice: object, name: str
) -> None:
    call = call_with(messages=HELLO, tools=TOOLS, tool_choice=tool_choice)
    (choice,) = whole(parse_chat(call, served))["choices"]

    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    (tool_call,) = choice["message"]["tool_calls"]
    assert tool_call["id"].startswith("call_")
    assert tool_call["function"] == {"name": name, "arguments": '{"city":"Paris"}'}


def test_a_tool_call_is_streamed_in_pieces(
    served: ServedModel, call_with: MakeCall, events: Events
) -> None:
    call = call_with(messages=HELLO, tools=TOOLS, tool_choice="required", stream=True)
    chunks = events(parse_chat(call, served))

    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert calls[0]["function"] == {"name": "weather", "arguments": ""}
    arguments = "".join(part["function"]["arguments"] for part in calls)
    assert msgspec.json.decode(arguments) == {"city": "Paris"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("tool_choice", [None, "auto", "none"])
def test_the_model_calls_no_tool_of_its_own_accord(
    served: ServedModel, call_with: MakeCall, whole: Whole, tool_choice: str | None
) -> None:
    call = call_with(messages=HELLO, tools=TOOLS, tool_choice=tool_choice)

    assert whole(parse_chat(call, served))["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "cook"}}},
        {"tools": TOOLS, "tool_choice": {"type": "function"}},
    ],
)
def test_a_demanded_tool_must_exist(
    served: ServedModel, call_with: MakeCall, fields: dict[str, object]
) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse_chat(call_with(messages=HELLO, **fields), served)

    assert (refused.value.status, refused.value.param) == (400, "tool_choice")


def test_log_probabilities_come_with_each_token(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    call = call_with(messages=HELLO, max_tokens=4, logprobs=True, top_logprobs=2)
    content = whole(parse_chat(call, served))["choices"][0]["logprobs"]["content"]
    streamed = [chunk["choices"][0]["logprobs"] for chunk in events(parse_chat(call, served))]

    assert [len(entry["top_logprobs"]) for entry in content] == [2] * 4
    assert [part["content"][0] for part in streamed if part] == content


def test_the_request_id_of_the_caller_is_kept(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    exchange = parse_chat(call_with(messages=HELLO, rid="mine"), served)

    assert exchange.rid == whole(exchange)["id"] == "mine"


def test_fields_of_sglang_are_absent_from_vllm(
    vllm: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    exchange = parse_chat(call_with(messages=HELLO), vllm)

    assert "matched_stop" not in whole(exchange)["choices"][0]
    assert "matched_stop" not in events(exchange)[-1]["choices"][0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "missing required field `messages`"),
        ({"messages": []}, "messages must not be empty"),
        ({"messages": HELLO, "max_tokens": 0}, "max_tokens must be at least 1"),
        ({"messages": HELLO, "model": "nope"}, "does not exist"),
        ({"messages": [{"content": "x"}]}, "missing required field `role`"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    served: ServedModel, call_with: MakeCall, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(RequestRefused, match=message):
        parse_chat(call_with(**fields), served)


def test_a_longer_conversation_begins_with_the_shorter_one(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    first = parse_chat(call_with(messages=HELLO), served)
    reply = whole(first)["choices"][0]["message"]
    longer = [*HELLO, reply, {"role": "user", "content": "and then?"}]
    second = parse_chat(call_with(messages=longer), served)

    so_far = [*first.choices[0].prompt, *first.choices[0].answer.ids]
    assert list(second.choices[0].prompt[: len(so_far)]) == so_far


def test_tools_and_tool_calls_are_part_of_the_prompt(
    served: ServedModel, call_with: MakeCall
) -> None:
    called = [{"role": "assistant", "tool_calls": [{"id": "call_1"}]}, *HELLO]
    lengths = [
        len(parse_chat(call, served).choices[0].prompt)
        for call in (
            call_with(messages=HELLO),
            call_with(messages=called),
            call_with(messages=called, tools=TOOLS),
        )
    ]

    assert lengths == sorted(set(lengths))


def test_content_parts_become_text() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "http://x/cat.png"}},
    ]

    assert text_of(parts) == 'What is this? <|image_url|> {"url":"http://x/cat.png"}'
    assert text_of(None) == ""


def test_the_template_marks_the_roles() -> None:
    turns = [("system", "Be kind."), ("user", "Hi")]

    assert render_messages(turns) == "<|system|> Be kind.\n<|user|> Hi\n<|assistant|>"
    assert render_messages(turns, ["t"]).startswith('<|tools|> ["t"]\n<|system|>')
