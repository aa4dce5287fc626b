"""The official Anthropic client against a gateway in front of one engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam, ToolParam
from smg_mock_worker import AnswerStatus, MockWorker, RecordedRequest, ResetMidStream

from e2e_test.conftest import StartGateway
from e2e_test.processes import GatewayProcess

pytestmark = pytest.mark.anyio

MODEL = "mock-model"
MESSAGES: list[MessageParam] = [{"role": "user", "content": "Describe the orchard."}]
WEATHER: ToolParam = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


def anthropic_client(url: str, token: str | None = None) -> AsyncAnthropic:
    """A client that does not try again by itself; `token` goes out as a bearer token."""
    if token is not None:
        return AsyncAnthropic(base_url=url, auth_token=token, max_retries=0)
    return AsyncAnthropic(base_url=url, api_key="none", max_retries=0)


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[AsyncAnthropic]:
    """A client of the gateway."""
    async with anthropic_client(gateway.url) as through:
        yield through


@pytest.fixture
async def direct(engine: MockWorker) -> AsyncIterator[AsyncAnthropic]:
    """A client of the engine, past the gateway."""
    async with anthropic_client(engine.url) as past:
        yield past


def disconnected(request: RecordedRequest) -> bool:
    """Whether the engine has seen its client go away."""
    return request.path == "/v1/messages" and request.outcome == "disconnected"


async def test_a_message_says_what_the_engine_says(
    client: AsyncAnthropic, direct: AsyncAnthropic
) -> None:
    through, past = [
        await api.messages.create(model=MODEL, max_tokens=12, messages=MESSAGES, system="Be brief.")
        for api in (client, direct)
    ]

    assert through.content == past.content
    assert through.content[0].type == "text" and through.content[0].text
    assert through.stop_reason == past.stop_reason == "max_tokens"
    assert through.usage.output_tokens == past.usage.output_tokens == 12


async def test_a_streamed_message_adds_up_to_the_whole_one(
    client: AsyncAnthropic, direct: AsyncAnthropic
) -> None:
    past = await direct.messages.create(model=MODEL, max_tokens=30, messages=MESSAGES)

    async with client.messages.stream(model=MODEL, max_tokens=30, messages=MESSAGES) as stream:
        pieces = [text async for text in stream.text_stream]
        final = await stream.get_final_message()

    assert past.content[0].type == "text"
    assert "".join(pieces) == past.content[0].text
    assert len(pieces) == 30
    assert final.content[0].type == "text"
    assert final.content[0].text == past.content[0].text
    assert final.usage.output_tokens == 30


async def test_a_tool_that_must_be_used_is_used(client: AsyncAnthropic) -> None:
    message = await client.messages.create(
        model=MODEL,
        max_tokens=50,
        messages=MESSAGES,
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
    )

    [call] = message.content
    assert call.type == "tool_use" and call.name == "get_weather"
    assert isinstance(call.input["city"], str)
    assert message.stop_reason == "tool_use"


async def test_tokens_are_counted_by_the_engine(
    client: AsyncAnthropic, direct: AsyncAnthropic
) -> None:
    through, past = [
        await api.messages.count_tokens(model=MODEL, messages=MESSAGES) for api in (client, direct)
    ]

    assert through.input_tokens == past.input_tokens > 0


async def test_the_version_and_beta_headers_reach_the_engine(
    client: AsyncAnthropic, engine: MockWorker
) -> None:
    await client.messages.create(
        model=MODEL,
        max_tokens=1,
        messages=MESSAGES,
        extra_headers={"anthropic-version": "2023-06-01", "anthropic-beta": "long-context"},
    )

    [request] = engine.requests.to("/v1/messages")
    assert request.header("anthropic-version") == "2023-06-01"
    assert request.header("anthropic-beta") == "long-context"


# --- refusals and failures -----------------------------------------------------------------


async def test_a_model_that_nobody_serves_is_not_found(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as refused:
        await client.messages.create(model="claude-unheard-of", max_tokens=1, messages=MESSAGES)

    assert refused.value.type == "not_found_error"
    assert refused.value.body == {
        "type": "error",
        "error": {
            "type": "not_found_error",
            "message": "No worker available for model 'claude-unheard-of'",
        },
        "request_id": refused.value.response.headers["x-request-id"],
    }


async def test_a_temperature_out_of_range_is_a_bad_request(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.messages.create(
            model=MODEL, max_tokens=1, messages=MESSAGES, extra_body={"temperature": 1.5}
        )

    assert refused.value.type == "invalid_request_error"
    assert "temperature" in refused.value.message


async def test_only_the_right_token_opens_a_gateway_that_has_a_key(
    launch: StartGateway, engine: MockWorker
) -> None:
    async with launch([engine.url], "--api-key", "s3cret") as gateway:
        async with anthropic_client(gateway.url) as stranger:
            with pytest.raises(anthropic.AuthenticationError) as refused:
                await stranger.messages.create(model=MODEL, max_tokens=1, messages=MESSAGES)
        async with anthropic_client(gateway.url, token="s3cret") as friend:
            message = await friend.messages.create(model=MODEL, max_tokens=1, messages=MESSAGES)

    assert refused.value.type == "authentication_error"
    assert message.content


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (503, anthropic.InternalServerError, "overloaded_error"),
        (500, anthropic.InternalServerError, "api_error"),
    ],
)
async def test_an_engines_error_is_told_in_the_shape_of_the_messages_api(
    launch: StartGateway,
    engine: MockWorker,
    code: int,
    kind: type[anthropic.APIStatusError],
    name: str,
) -> None:
    engine.faults.add(AnswerStatus(code=code, body='{"error": {"message": "the engine says no"}}'))

    async with launch([engine.url], "--disable-retries") as gateway:
        async with anthropic_client(gateway.url) as client:
            with pytest.raises(kind) as refused:
                await client.messages.create(model=MODEL, max_tokens=1, messages=MESSAGES)

    assert refused.value.status_code == code
    assert refused.value.body == {
        "type": "error",
        "error": {"type": name, "message": "the engine says no"},
        "request_id": refused.value.response.headers["x-request-id"],
    }


async def test_a_stream_that_the_engine_breaks_raises(
    client: AsyncAnthropic, engine: MockWorker
) -> None:
    engine.faults.add(ResetMidStream(after_chunks=5))

    with pytest.raises(anthropic.APIError) as broken:
        async with client.messages.stream(model=MODEL, max_tokens=50, messages=MESSAGES) as stream:
            await stream.until_done()

    assert "worker closed the connection" in str(broken.value) or "reset" in str(broken.value)


async def test_leaving_a_stream_frees_the_engine(
    client: AsyncAnthropic, engine: MockWorker, gateway: GatewayProcess
) -> None:
    async with client.messages.stream(model=MODEL, max_tokens=10_000, messages=MESSAGES) as stream:
        async for _ in stream.text_stream:
            break

    await engine.requests.wait_for(disconnected)
    await gateway.until_drained()
    assert engine.active_requests == 0
