"""What an OpenAI client sees when keys, engines or its own patience fail, and what the engine sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from smg_mock_worker import (
    AnswerStatus,
    CloseMidStream,
    Hang,
    MockWorker,
    RecordedRequest,
    ResetConnection,
    ResetMidStream,
)

from e2e_test.conftest import StartGateway
from e2e_test.processes import GatewayProcess

pytestmark = pytest.mark.anyio

MODEL = "mock-model"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Describe a lantern."}]
CHAT = "/v1/chat/completions"
LONG = 10_000
"""Tokens of an answer that takes minutes."""


def openai_client(gateway: GatewayProcess, key: str = "none") -> AsyncOpenAI:
    """A client that does not try again by itself."""
    return AsyncOpenAI(base_url=gateway.api, api_key=key, max_retries=0)


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[AsyncOpenAI]:
    """A client of the gateway."""
    async with openai_client(gateway) as through:
        yield through


async def begin(
    client: AsyncOpenAI, max_tokens: int = LONG
) -> tuple[AsyncStream[ChatCompletionChunk], ChatCompletionChunk]:
    """A stream, and its first chunk."""
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=max_tokens, stream=True
    )
    return stream, await anext(aiter(stream))


def disconnected(request: RecordedRequest) -> bool:
    """Whether the engine has seen its client go away."""
    return request.path == CHAT and request.outcome == "disconnected"


def arrived(request: RecordedRequest) -> bool:
    """Whether the request is for the model."""
    return request.path == CHAT


async def is_free(engine: MockWorker, gateway: GatewayProcess) -> bool:
    """Whether neither the engine nor the gateway works on anything, once the gateway has drained."""
    await gateway.until_drained()
    return engine.active_requests == 0


# --- keys ----------------------------------------------------------------------------------


async def test_only_the_right_key_opens_a_gateway_that_has_one(
    launch: StartGateway, engine: MockWorker
) -> None:
    async with launch([engine.url], "--api-key", "s3cret") as gateway:
        async with openai_client(gateway, key="wrong") as stranger:
            with pytest.raises(openai.AuthenticationError) as refused:
                await stranger.chat.completions.create(model=MODEL, messages=MESSAGES)
            assert [model.id async for model in stranger.models.list()] == [MODEL]
        async with openai_client(gateway, key="s3cret") as friend:
            answer = await friend.chat.completions.create(
                model=MODEL, messages=MESSAGES, max_tokens=2
            )

    assert refused.value.code == "invalid_api_key"
    assert answer.choices[0].message.content


# --- engines -------------------------------------------------------------------------------


async def test_an_engines_503_is_tried_again_and_then_passed_on(
    launch: StartGateway, engine: MockWorker
) -> None:
    engine.faults.add(AnswerStatus(code=503, count=2))
    flags = ("--retry-max-retries", "2", "--retry-initial-backoff-ms", "1")

    async with launch([engine.url], *flags) as gateway, openai_client(gateway) as client:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=2)

    assert refused.value.status_code == 503
    assert answer.choices[0].message.content
    assert len(engine.requests.to(CHAT)) == 3


async def test_an_engine_that_is_gone_is_an_error_that_says_so(
    launch: StartGateway, engine: MockWorker
) -> None:
    async with launch([engine.url], "--disable-retries") as gateway:
        await engine.stop()
        async with openai_client(gateway) as client:
            with pytest.raises(openai.InternalServerError) as refused:
                await client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert refused.value.status_code == 500
    assert refused.value.code == "call_upstream_connection_failed"


async def test_with_every_circuit_open_the_client_is_asked_to_come_back(
    launch: StartGateway, engine: MockWorker
) -> None:
    engine.faults.add(ResetConnection())
    flags = ("--disable-retries", "--cb-failure-threshold", "1")

    async with launch([engine.url], *flags) as gateway, openai_client(gateway) as client:
        with pytest.raises(openai.InternalServerError) as first:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        with pytest.raises(openai.InternalServerError) as second:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)

    assert (first.value.status_code, first.value.code) == (500, "call_upstream_request_error")
    assert (second.value.status_code, second.value.code) == (503, "no_available_workers")
    assert second.value.response.headers["retry-after"] == "1"


async def test_an_engine_that_never_answers_is_given_up_after_the_request_timeout(
    launch: StartGateway, engine: MockWorker
) -> None:
    engine.faults.add(Hang())
    flags = ("--disable-retries", "--request-timeout-secs", "1")

    async with launch([engine.url], *flags) as gateway, openai_client(gateway) as client:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        await engine.requests.wait_for(disconnected)

    assert (refused.value.status_code, refused.value.code) == (504, "call_upstream_timeout")


@pytest.mark.parametrize("fault", [ResetMidStream(after_chunks=5), CloseMidStream(after_chunks=5)])
async def test_a_stream_that_the_engine_breaks_raises_and_does_not_end_quietly(
    client: AsyncOpenAI, engine: MockWorker, fault: ResetMidStream | CloseMidStream
) -> None:
    engine.faults.add(fault)

    stream, _ = await begin(client, max_tokens=50)
    with pytest.raises(openai.APIError) as broken:
        async for _ in stream:
            pass

    assert "Stream error" in broken.value.message


# --- clients -------------------------------------------------------------------------------


async def test_a_client_that_times_out_frees_the_engine(
    client: AsyncOpenAI, engine: MockWorker, gateway: GatewayProcess
) -> None:
    engine.faults.add(Hang())

    with pytest.raises(openai.APITimeoutError):
        await client.chat.completions.create(model=MODEL, messages=MESSAGES, timeout=0.3)

    await engine.requests.wait_for(disconnected)
    assert await is_free(engine, gateway)


async def test_a_task_cancelled_while_it_waits_for_an_answer_frees_the_engine(
    client: AsyncOpenAI, engine: MockWorker, gateway: GatewayProcess
) -> None:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(
            client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=LONG)
        )
        await engine.requests.wait_for(arrived)
        asking.cancel()

    await engine.requests.wait_for(disconnected)
    assert await is_free(engine, gateway)


async def test_a_task_cancelled_in_mid_stream_frees_the_engine(
    client: AsyncOpenAI, engine: MockWorker, gateway: GatewayProcess
) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        stream, _ = await begin(client)
        async with stream:
            async for _ in stream:
                begun.set()

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        await begun.wait()
        reading.cancel()

    request = await engine.requests.wait_for(disconnected)
    assert 0 < request.chunks_sent < LONG
    assert await is_free(engine, gateway)


async def test_a_stream_closed_after_its_first_chunk_frees_the_engine(
    client: AsyncOpenAI, engine: MockWorker, gateway: GatewayProcess
) -> None:
    stream, _ = await begin(client)
    await stream.close()

    await engine.requests.wait_for(disconnected)
    assert await is_free(engine, gateway)


async def test_many_clients_at_once_get_their_own_answers(client: AsyncOpenAI) -> None:
    async def ask(number: int, stream: bool) -> str:
        content = f"Describe number {number}."
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": content}]
        if not stream:
            answer = await client.chat.completions.create(
                model=MODEL, messages=messages, max_tokens=10
            )
            return answer.choices[0].message.content or ""
        text = ""
        async for chunk in await client.chat.completions.create(
            model=MODEL, messages=messages, max_tokens=10, stream=True
        ):
            text += chunk.choices[0].delta.content or ""
        return text

    async with asyncio.TaskGroup() as group:
        whole = [group.create_task(ask(number, stream=False)) for number in range(20)]
        streamed = [group.create_task(ask(number, stream=True)) for number in range(20)]

    texts = [task.result() for task in whole]
    assert [task.result() for task in streamed] == texts
    assert len(set(texts)) == 20
