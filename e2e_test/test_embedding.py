"""The gateway as a library: under uvicorn, and mounted in another application.

This is the one module here that imports the gateway: embedding it is what is tested. Requests come
over the wire as everywhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from openai import APIError, AsyncOpenAI, NotFoundError
from openai.types.chat import ChatCompletionMessageParam
from smg_gateway.app import Gateway, create_app
from smg_gateway.settings import Settings
from smg_mock_worker import CloseMidStream, MockWorker
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from e2e_test.processes import HOST, POLL_S, START_TIMEOUT_S, STOP_TIMEOUT_S, get

pytestmark = pytest.mark.anyio

MODEL = "mock-model"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Describe a bridge."}]


class Served:
    """An application that uvicorn serves."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://{HOST}:{port}"

    async def until_ready(self, mount: str) -> None:
        """Wait until the gateway at `mount` has a worker."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while (await get(f"{self.url}{mount}/readiness"))[0] != 200:
                await asyncio.sleep(POLL_S)

    async def until_idle(self) -> None:
        """Wait until every call of the application has returned."""
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while self._server.server_state.tasks:
                await asyncio.sleep(POLL_S)


@asynccontextmanager
async def served(app: Callable[..., Any]) -> AsyncIterator[Served]:
    """`app` under uvicorn on a port of the system's choice."""
    config = uvicorn.Config(
        app, host=HOST, port=0, lifespan="on", log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve())
        async with asyncio.timeout(START_TIMEOUT_S):
            while not server.started:
                await asyncio.sleep(POLL_S)
        try:
            yield Served(server)
        finally:
            server.should_exit = True


def alone(gateway: Gateway) -> Callable[..., Any]:
    """The gateway as the whole application: the server drives its lifespan."""
    return gateway


def mounted(gateway: Gateway) -> Callable[..., Any]:
    """The gateway below `/llm` of an application that has a route and a lifespan of its own."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with gateway.lifespan():
            yield

    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse("home")

    return Starlette(routes=[Route("/", home), Mount("/llm", gateway)], lifespan=lifespan)


Embedding = tuple[Callable[[Gateway], Callable[..., Any]], str]


@pytest.fixture(params=[(alone, ""), (mounted, "/llm")], ids=["alone", "mounted"])
def embedding(request: pytest.FixtureRequest) -> Embedding:
    """How the gateway is embedded, and below which path it is found."""
    chosen: Embedding = request.param
    return chosen


@pytest.fixture
async def host(engine: MockWorker, embedding: Embedding) -> AsyncIterator[Served]:
    """A server with the gateway in it."""
    embed, mount = embedding
    settings = Settings(worker_urls=(engine.url,), policy="round_robin")
    async with served(embed(create_app(settings))) as running:
        await running.until_ready(mount)
        yield running


@pytest.fixture
async def client(host: Served, embedding: Embedding) -> AsyncIterator[AsyncOpenAI]:
    """A client of the gateway in the server."""
    base = f"{host.url}{embedding[1]}/v1"
    async with AsyncOpenAI(base_url=base, api_key="none", max_retries=0) as through:
        yield through


async def test_an_embedded_gateway_streams(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=10)
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=10, stream=True
    )

    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert text == whole.choices[0].message.content != ""


async def test_an_embedded_gateway_lists_models_and_refuses_unknown_ones(
    client: AsyncOpenAI,
) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL]
    with pytest.raises(NotFoundError) as refused:
        await client.chat.completions.create(model="unheard-of", messages=MESSAGES)
    assert refused.value.code == "model_not_found"


async def test_a_client_that_leaves_frees_the_engine_and_the_server(
    client: AsyncOpenAI, engine: MockWorker, host: Served
) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=10_000, stream=True
    )
    await anext(aiter(stream))

    await stream.close()

    await engine.requests.wait_for(lambda request: request.outcome == "disconnected")
    await host.until_idle()


async def test_a_stream_that_the_engine_breaks_raises(
    client: AsyncOpenAI, engine: MockWorker, host: Served
) -> None:
    engine.faults.add(CloseMidStream(after_chunks=3))
    stream = await client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_tokens=50, stream=True
    )

    with pytest.raises(APIError) as broken:
        async for _ in stream:
            pass

    assert "Stream error" in broken.value.message
    await host.until_idle()


async def test_the_routes_of_the_embedding_application_stay_its_own(engine: MockWorker) -> None:
    gateway = create_app(Settings(worker_urls=(engine.url,), policy="round_robin"))

    async with served(mounted(gateway)) as host:
        await host.until_ready("/llm")
        assert await get(host.url + "/") == (200, "home")
        assert (await get(host.url + "/v1/models"))[0] == 404


async def test_a_server_that_stops_takes_its_requests_off_the_engines(
    engine: MockWorker, embedding: Embedding
) -> None:
    embed, mount = embedding
    gateway = create_app(Settings(worker_urls=(engine.url,), policy="round_robin"))
    async with AsyncExitStack() as server:
        host = await server.enter_async_context(served(embed(gateway)))
        await host.until_ready(mount)
        client = AsyncOpenAI(base_url=f"{host.url}{mount}/v1", api_key="none", max_retries=0)
        async with client:
            stream = await client.chat.completions.create(
                model=MODEL, messages=MESSAGES, max_tokens=10_000, stream=True
            )
            await anext(aiter(stream))

            await server.aclose()

            await engine.requests.wait_for(lambda request: request.outcome == "disconnected")
            await stream.close()
    assert gateway.active_requests == 0
