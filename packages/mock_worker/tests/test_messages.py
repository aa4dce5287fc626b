from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Call, Exchange, ServedModel
from smg_mock_worker.messages import count_message_tokens, parse_message

MakeCall = Callable[..., Call]
Whole = Callable[[Exchange], Any]

HELLO: dict[str, Any] = {
    "model": "mock-model",
    "messages": [{"role": "user", "content": "hello there"}],
}
TOOL = {"name": "weather", "input_schema": {"properties": {"city": {"const": "Paris"}}}}


def test_a_whole_answer_is_a_message(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    body = whole(parse_message(call_with(**HELLO, max_tokens=1000), served))

    assert body["id"].startswith("msg_")
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", "mock-model")
    (block,) = body["content"]
    assert block["type"] == "text"
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    assert body["usage"]["output_tokens"] == len(block["text"].split()) == 12


def test_the_events_of_a_stream_come_in_order(
    served: ServedModel, call_with: MakeCall, frames: Callable[[Exchange], list[str]]
) -> None:
    exchange = parse_message(call_with(**HELLO, max_tokens=2, stream=True), served)
    names = [frame.partition("\n")[0].removeprefix("event: ") for frame in frames(exchange)]

    assert names == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_a_stream_says_the_same_as_the_whole_answer(
    served: ServedModel,
    call_with: MakeCall,
    whole: Whole,
    events: Callable[[Exchange], list[Any]],
) -> None:
    exchange = parse_message(call_with(**HELLO, max_tokens=5), served)
    told = events(exchange)
    body = whole(exchange)

    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas) == body["content"][0]["text"]
    assert told[0]["message"]["content"] == []
    assert told[-2]["delta"] == {"stop_reason": "max_tokens", "stop_sequence": None}
    assert told[-2]["usage"]["output_tokens"] == 5


def test_the_cached_part_of_the_prompt_is_counted_apart(
    served: ServedModel, call_with: MakeCall
) -> None:
    exchange = parse_message(call_with(**HELLO, max_tokens=5), served)
    usage = msgspec.json.decode(exchange.whole(exchange.usage([3])))["usage"]

    assert usage == {
        "input_tokens": 1,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 3,
        "output_tokens": 5,
    }


def test_a_stop_sequence_is_named(served: ServedModel, call_with: MakeCall, whole: Whole) -> None:
    call = call_with(**HELLO, max_tokens=12, stop_sequences=[" the"])
    body = whole(parse_message(call, served))

    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", " the")


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_a_demanded_tool_is_used(
    served: ServedModel, call_with: MakeCall, whole: Whole, choice: dict[str, str]
) -> None:
    call = call_with(**HELLO, max_tokens=5, tools=[TOOL], tool_choice=choice)
    body = whole(parse_message(call, served))

    (block,) = body["content"]
    assert block["id"].startswith("toolu_")
    assert (block["type"], block["name"]) == ("tool_use", "weather")
    assert block["input"] == {"city": "Paris"}
    assert body["stop_reason"] == "tool_use"


def test_the_input_of_a_tool_is_streamed_as_json_pieces(
    served: ServedModel, call_with: MakeCall, events: Callable[[Exchange], list[Any]]
) -> None:
    call = call_with(**HELLO, max_tokens=5, tools=[TOOL], tool_choice={"type": "any"})
    told = events(parse_message(call, served))

    assert told[1]["content_block"]["input"] == {}
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    assert {delta["type"] for delta in deltas} == {"input_json_delta"}
    pieces = "".join(delta["partial_json"] for delta in deltas)
    assert msgspec.json.decode(pieces) == {"city": "Paris"}


def test_no_tool_is_used_of_the_models_own_accord(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(**HELLO, max_tokens=5, tools=[TOOL], tool_choice={"type": "auto"})

    assert whole(parse_message(call, served))["content"][0]["type"] == "text"


def test_a_limit_beyond_the_context_is_no_error(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    body = whole(parse_message(call_with(**HELLO, max_tokens=10_000_000), served))

    assert body["stop_reason"] == "end_turn"


def test_tokens_are_counted_as_they_are_billed(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    fields = {**HELLO, "system": [{"type": "text", "text": "Be kind."}], "tools": [TOOL]}
    counted = msgspec.json.decode(count_message_tokens(call_with(**fields), served))
    billed = whole(parse_message(call_with(**fields, max_tokens=1), served))["usage"]

    assert counted == {"input_tokens": billed["input_tokens"]}


def test_results_of_tools_are_part_of_the_prompt(served: ServedModel, call_with: MakeCall) -> None:
    def count(*blocks: dict[str, Any]) -> bytes:
        messages = [{"role": "user", "content": list(blocks)}]
        return count_message_tokens(call_with(model="", messages=messages), served)

    assert count({"type": "tool_result", "content": "one two"}) == b'{"input_tokens":4}'
    parts = [{"type": "text", "text": "one"}]
    assert count({"type": "tool_result", "content": parts}) == b'{"input_tokens":3}'
    assert count(*parts, *parts) == b'{"input_tokens":4}'
    assert count({"type": "tool_result"}) == b'{"input_tokens":2}'


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": 5}, "missing required field `model`"),
        (HELLO, "missing required field `max_tokens`"),
        ({**HELLO, "max_tokens": 0}, "max_tokens: must be at least 1"),
        ({**HELLO, "max_tokens": 5, "messages": []}, "at least one message"),
        ({**HELLO, "max_tokens": 5, "model": "nope"}, "does not exist"),
        ({**HELLO, "max_tokens": 5, "tool_choice": {"type": "any"}}, "no such tool"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    served: ServedModel, call_with: MakeCall, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(RequestRefused, match=message):
        parse_message(call_with(**fields), served)
