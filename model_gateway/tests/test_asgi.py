"""The same gateway under a foreign ASGI server, and mounted in another application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from smg_gateway.app import Gateway
from smg_gateway.settings import Settings
from smg_mock_worker import CloseMidStream, EngineTiming, MockWorker, Outcome
from starlette.applications import Starlette
from starlette.routing import Mount

from .conftest import last_posted

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The base URL of `app` under uvicorn."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.serve())
        while not server.started:
            assert not task.done()
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True


async def ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(5):
        while (await http.get(url + "/readiness")).status != 200:
            await asyncio.sleep(0.01)


def gateway_for(worker: MockWorker, **settings: Any) -> Gateway:
    return Gateway(Settings(worker_urls=(worker.url,), policy="round_robin", **settings))


async def test_streams_and_errors_pass_under_uvicorn(worker: Any, http: Any, chat: Any) -> None:
    async with served(gateway_for(worker)) as url:
        await ready(http, url)
        async with http.post(url + CHAT, json=chat(stream=True, max_tokens=5)) as answer:
            assert (await answer.text()).endswith("data: [DONE]\n\n")
            assert answer.headers["x-smg-routed-worker-id"] == worker.url
        async with http.post(url + CHAT, json=chat()) as answer:
            assert (await answer.json())["object"] == "chat.completion"
        async with http.post(url + CHAT, json=chat(n=0)) as answer:
            assert answer.status == 400
            assert answer.headers["x-request-id"].startswith("chatcmpl-")
        async with http.get(url + CHAT) as answer:
            assert answer.status == 405


async def test_an_oversized_body_is_refused_under_uvicorn(worker: Any, http: Any) -> None:
    async with served(gateway_for(worker, max_payload_size=100)) as url:
        await ready(http, url)
        async with http.post(url + CHAT, data=b"a" * 1000) as answer:
            assert answer.status == 413


async def test_a_broken_stream_is_visibly_broken_under_uvicorn(
    worker: Any, http: Any, chat: Any
) -> None:
    worker.faults.add(CloseMidStream(after_chunks=2))

    async with served(gateway_for(worker)) as url:
        await ready(http, url)
        async with http.post(url + CHAT, json=chat(stream=True)) as answer:
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


async def test_a_client_that_leaves_frees_the_worker_under_uvicorn(http: Any, chat: Any) -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=0.05)) as slow:
        gateway = gateway_for(slow)
        async with served(gateway) as url:
            await ready(http, url)
            answer = await http.post(url + CHAT, json=chat(stream=True, max_tokens=1000))
            await answer.content.readline()
            answer.close()
            async with asyncio.timeout(5):
                while slow.active_requests or gateway.active_requests:
                    await asyncio.sleep(0.01)
        assert last_posted(slow).outcome is Outcome.DISCONNECTED


async def test_mounted_in_another_application_it_serves_below_its_path(
    worker: Any, http: Any, chat: Any
) -> None:
    gateway = gateway_for(worker)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with gateway.lifespan():
            yield

    app = Starlette(routes=[Mount("/llm", gateway)], lifespan=lifespan)
    async with served(app) as url:
        await ready(http, url + "/llm")
        async with http.post(url + "/llm" + CHAT, json=chat()) as answer:
            assert answer.status == 200
        async with http.get(url + "/llm/v1/models") as answer:
            assert (await answer.json())["data"][0]["id"] == "mock-model"
    assert last_posted(worker).path == CHAT
