from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Call, Exchange, ServedModel
from smg_mock_worker.responses import parse_response

MakeCall = Callable[..., Call]
Whole = Callable[[Exchange], Any]
Events = Callable[[Exchange], list[Any]]

TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"const": "Paris"}}},
}


def test_a_whole_answer_is_a_completed_response(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(input="hello", instructions="Be kind.", metadata={"k": "v"}, store=False)
    body = whole(parse_response(call, served))

    assert body["id"].startswith("resp_")
    assert (body["object"], body["status"]) == ("response", "completed")
    assert (body["instructions"], body["metadata"], body["store"]) == (
        "Be kind.",
        {"k": "v"},
        False,
    )
    (item,) = body["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    (part,) = item["content"]
    assert len(part["text"].split()) == body["usage"]["output_tokens"] == 12


def test_an_answer_cut_by_the_limit_is_incomplete(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    exchange = parse_response(call_with(input="hello", max_output_tokens=3), served)
    body = whole(exchange)

    assert (body["status"], body["output"][0]["status"]) == ("incomplete", "incomplete")
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events(exchange)[-1]["type"] == "response.incomplete"


def test_the_events_of_a_stream_come_in_order_and_are_numbered(
    served: ServedModel, call_with: MakeCall, events: Events
) -> None:
    told = events(parse_response(call_with(input="hello", stream=True), served))

    kinds = [event["type"].removeprefix("response.") for event in told]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 12,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))


def test_each_event_carries_its_name(
    served: ServedModel, call_with: MakeCall, frames: Callable[[Exchange], list[str]]
) -> None:
    for frame in frames(parse_response(call_with(input="hello"), served)):
        name, _, data = frame.removeprefix("event: ").partition("\ndata: ")
        assert msgspec.json.decode(data)["type"] == name


def test_a_stream_says_the_same_as_the_whole_answer(
    served: ServedModel, call_with: MakeCall, whole: Whole, events: Events
) -> None:
    exchange = parse_response(call_with(input="hello"), served)
    told = events(exchange)
    text = whole(exchange)["output"][0]["content"][0]["text"]

    assert "".join(event["delta"] for event in told if "delta" in event) == text
    assert told[-1]["response"] == whole(exchange)
    assert told[0]["response"]["output"] == []


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_demanded_function_is_called(
    served: ServedModel, call_with: MakeCall, whole: Whole, choice: object
) -> None:
    call = call_with(input="hello", tools=[TOOL], tool_choice=choice)
    (item,) = whole(parse_response(call, served))["output"]

    assert (item["type"], item["name"]) == ("function_call", "weather")
    assert item["call_id"].startswith("call_")
    assert item["arguments"] == '{"city":"Paris"}'


def test_the_arguments_of_a_call_are_streamed(
    served: ServedModel, call_with: MakeCall, events: Events
) -> None:
    call = call_with(input="hello", tools=[TOOL], tool_choice="required")
    told = events(parse_response(call, served))

    kinds = [event["type"] for event in told]
    assert "response.content_part.added" not in kinds
    done = told[kinds.index("response.function_call_arguments.done")]
    assert done["arguments"] == "".join(event["delta"] for event in told if "delta" in event)
    assert told[2]["item"]["arguments"] == ""


@pytest.mark.parametrize("choice", [None, "auto", {"type": "file_search"}])
def test_no_function_is_called_without_demand(
    served: ServedModel, call_with: MakeCall, whole: Whole, choice: object
) -> None:
    call = call_with(input="hello", tools=[TOOL], tool_choice=choice)

    assert whole(parse_response(call, served))["output"][0]["type"] == "message"


def test_input_items_are_the_conversation(served: ServedModel, call_with: MakeCall) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "one two"}]},
        {"type": "message", "role": "assistant", "content": "three"},
        {"type": "function_call_output", "call_id": "c", "output": "four"},
    ]
    prompts = [
        len(parse_response(call_with(input=items[:count]), served).choices[0].prompt)
        for count in (1, 2, 3)
    ]

    assert prompts[:2] == [4, 6]
    assert prompts[2] > 6


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": ""},
        {"input": []},
        {"input": "x", "max_output_tokens": 0},
        {"input": "x", "tool_choice": "required"},
        {"input": "x", "tools": [TOOL], "tool_choice": {"type": "function", "name": "cook"}},
    ],
)
def test_requests_that_make_no_sense_are_refused(
    served: ServedModel, call_with: MakeCall, fields: dict[str, object]
) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse_response(call_with(**fields), served)

    assert refused.value.status == 400
