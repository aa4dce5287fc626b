"""The official OpenAI client, used as its manual shows, against a gateway with two engines."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from e2e_test.processes import EngineProcess, GatewayProcess, running_engines, running_gateway

MODEL = "mock-model"
MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "Describe the harbour."},
]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Fleet:
    """A gateway, and the engines behind it."""

    gateway: GatewayProcess
    engines: list[EngineProcess]


@pytest.fixture(scope="module")
async def fleet(
    anyio_backend: object, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    """Two engines that answer at once, and a gateway."""
    log = tmp_path_factory.mktemp("fleet") / "gateway.log"
    async with (
        running_engines(2) as engines,
        running_gateway(log, [engine.url for engine in engines]) as gateway,
    ):
        yield Fleet(gateway, engines)


@pytest.fixture(scope="module")
def client(fleet: Fleet) -> Iterator[OpenAI]:
    """A client of the gateway."""
    with OpenAI(base_url=fleet.gateway.api, api_key="none", max_retries=0) as through:
        yield through


@pytest.fixture(scope="module")
def engine(fleet: Fleet) -> Iterator[OpenAI]:
    """A client of an engine, past the gateway."""
    with OpenAI(base_url=fleet.engines[0].url + "/v1", api_key="none") as direct:
        yield direct


# --- answers -------------------------------------------------------------------------------


def test_the_models_of_the_engines_are_listed_and_can_be_looked_up(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).object == "model"


def test_a_chat_completion_says_what_the_engine_says(client: OpenAI, engine: OpenAI) -> None:
    answers = [
        api.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=12)
        for api in (client, engine)
    ]

    through, direct = (answer.choices[0] for answer in answers)
    assert through.message.content
    assert (through.message, through.finish_reason) == (direct.message, direct.finish_reason)
    assert answers[0].usage is not None and answers[1].usage is not None
    assert answers[0].usage.completion_tokens == answers[1].usage.completion_tokens == 12


def test_a_streamed_chat_completion_says_the_same_and_reports_usage(
    client: OpenAI, engine: OpenAI
) -> None:
    whole = engine.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=40)

    with client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        max_tokens=40,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)

    deltas = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(deltas) == whole.choices[0].message.content
    assert sum(map(bool, deltas)) == 40
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 40


def test_completions_say_the_same_whole_and_streamed(client: OpenAI, engine: OpenAI) -> None:
    prompt = "Once upon a time"
    direct = engine.completions.create(model=MODEL, prompt=prompt, max_tokens=20)

    through = client.completions.create(model=MODEL, prompt=prompt, max_tokens=20)
    with client.completions.create(
        model=MODEL, prompt=prompt, max_tokens=20, stream=True
    ) as stream:
        streamed = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)

    assert through.choices[0].text == streamed == direct.choices[0].text


def test_embeddings_are_the_engines_own(client: OpenAI, engine: OpenAI) -> None:
    through, direct = (
        api.embeddings.create(model=MODEL, input=["a ship", "a harbour"])
        for api in (client, engine)
    )

    assert len(through.data) == 2
    assert [item.embedding for item in through.data] == [item.embedding for item in direct.data]


def test_responses_say_the_same_whole_and_streamed(client: OpenAI, engine: OpenAI) -> None:
    direct = engine.responses.create(model=MODEL, input="Describe a clock.", max_output_tokens=15)

    through = client.responses.create(model=MODEL, input="Describe a clock.", max_output_tokens=15)
    with client.responses.create(
        model=MODEL, input="Describe a clock.", max_output_tokens=15, stream=True
    ) as stream:
        events = list(stream)

    streamed = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert through.output_text == streamed == direct.output_text != ""
    assert events[-1].type in ("response.completed", "response.incomplete")


def test_a_required_tool_is_called_with_arguments_that_fit_its_schema(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, tools=[WEATHER], tool_choice="required"
    )

    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    [call] = choice.message.tool_calls
    assert call.type == "function" and call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert isinstance(arguments["city"], str) and isinstance(arguments["days"], int)


def test_a_streamed_tool_call_arrives_in_pieces_that_make_the_same_arguments(
    client: OpenAI,
) -> None:
    whole = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, tools=[WEATHER], tool_choice="required"
    )
    assert whole.choices[0].message.tool_calls is not None
    [call] = whole.choices[0].message.tool_calls
    assert call.type == "function"

    with client.chat.completions.stream(
        model=MODEL, messages=MESSAGES, tools=[WEATHER], tool_choice="required"
    ) as stream:
        final = stream.get_final_completion()

    assert final.choices[0].message.tool_calls is not None
    [streamed] = final.choices[0].message.tool_calls
    assert streamed.function.name == call.function.name
    assert json.loads(streamed.function.arguments) == json.loads(call.function.arguments)


def test_fields_the_gateway_does_not_know_reach_the_engine(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=MESSAGES, extra_body={"rid": "mine-1", "vendor_knob": [1, 2]}
    )

    assert answer.parse().id == "mine-1"


def test_a_picture_of_many_bytes_reaches_the_engine_whole(client: OpenAI, engine: OpenAI) -> None:
    picture = base64.b64encode(bytes(range(256)) * 1000).decode()
    messages: list[ChatCompletionMessageParam] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
            ],
        }
    ]

    through, direct = (
        api.chat.completions.create(model=MODEL, messages=messages, max_tokens=5)
        for api in (client, engine)
    )

    assert through.choices[0].message.content == direct.choices[0].message.content
    assert through.usage is not None and direct.usage is not None
    assert through.usage.prompt_tokens == direct.usage.prompt_tokens > 20_000


def test_a_transcription_is_the_engines_own(client: OpenAI, engine: OpenAI) -> None:
    recording = ("harbour.wav", b"RIFF" + bytes(range(256)) * 40)

    through, direct = (
        api.audio.transcriptions.create(model=MODEL, file=recording) for api in (client, engine)
    )

    assert through.text == direct.text != ""


def test_requests_go_to_the_engines_in_turn(client: OpenAI, fleet: Fleet) -> None:
    asked = [
        client.chat.completions.with_raw_response.create(
            model=MODEL, messages=MESSAGES, max_tokens=1
        ).headers["x-smg-routed-worker-id"]
        for _ in range(4)
    ]

    assert set(asked) == {engine.url for engine in fleet.engines}
    assert asked[:2] == asked[2:]


def test_the_request_id_of_the_client_comes_back(client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=MESSAGES, extra_headers={"x-request-id": "trace-7"}
    )

    assert answer.request_id == "trace-7"


# --- refusals ------------------------------------------------------------------------------


def test_a_model_that_nobody_serves_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-unheard-of", messages=MESSAGES)

    assert refused.value.code == "model_not_found"
    assert "gpt-unheard-of" in refused.value.message
    assert refused.value.response.headers["x-smg-error-code"] == "model_not_found"
    assert refused.value.request_id is not None
    assert refused.value.request_id.startswith("chatcmpl-")


def test_a_temperature_out_of_range_is_a_bad_request_that_names_the_parameter(
    client: OpenAI,
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=2.5)

    assert refused.value.param == "temperature"
    assert refused.value.code == "decimal_above_max_value"
    assert refused.value.type == "invalid_request_error"


def test_an_engines_own_refusal_reaches_the_client_unchanged(
    client: OpenAI, engine: OpenAI
) -> None:
    bodies = []
    for api in (client, engine):
        with pytest.raises(openai.BadRequestError) as refused:
            api.completions.create(model=MODEL, prompt="word " * 40_000)
        bodies.append(refused.value.body)

    assert bodies[0] == bodies[1]


def test_an_unknown_path_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.fine_tuning.jobs.list()

    assert refused.value.code == "unknown_url"
