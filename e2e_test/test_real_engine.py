"""A real engine behind the gateway: mlx-lm's server on the CPU, with a model made on the spot.

The engine speaks HTTP/1.0 and ends its streams by closing the connection, unlike the simulator.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from e2e_test.processes import (
    HOST,
    POLL_S,
    GatewayProcess,
    get,
    reserved_port,
    running_gateway,
    spawn,
)
from e2e_test.tiny_model import write_model

_REASON = "needs mlx-lm and mlx's CPU wheels (pip install 'mlx[cpu]' mlx-lm)"
mx: Any = pytest.importorskip("mlx.core", reason=_REASON, exc_type=ImportError)
tokenizers: Any = pytest.importorskip("tokenizers", reason=_REASON, exc_type=ImportError)
if importlib.util.find_spec("mlx_lm") is None:
    pytest.skip(_REASON, allow_module_level=True)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

LOAD_TIMEOUT_S = 90.0
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "the early sailor"}]


@asynccontextmanager
async def running_mlx(folder: Path) -> AsyncIterator[str]:
    """The URL of an mlx-lm server with the model in `folder`."""
    cache = folder / "cache"
    (cache / "hub").mkdir(parents=True)
    with reserved_port() as port, (folder / "engine.log").open("wb") as log:
        command = [sys.executable, "-m", "mlx_lm", "server", "--model", str(folder)]
        command += ["--host", HOST, "--port", str(port)]
        engine = spawn(command, log, HF_HUB_OFFLINE="1", HF_HOME=str(cache))
        try:
            await _until_healthy(engine, f"http://{HOST}:{port}")
            yield f"http://{HOST}:{port}"
        finally:
            engine.kill()
            engine.wait()
            print((folder / "engine.log").read_text(encoding="utf-8"))


async def _until_healthy(engine: subprocess.Popen[bytes], url: str) -> None:
    async with asyncio.timeout(LOAD_TIMEOUT_S):
        while True:
            try:
                if (await get(url + "/health"))[0] == 200:
                    return
            except aiohttp.ClientConnectionError:
                assert engine.poll() is None, "the engine has exited"
            await asyncio.sleep(POLL_S)


@pytest.fixture(scope="module")
async def engine(
    anyio_backend: object, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The URL of the engine."""
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, mx, tokenizers)
    async with running_mlx(folder) as url:
        yield url


@pytest.fixture(scope="module")
async def gateway(
    engine: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GatewayProcess]:
    """A gateway in front of the engine."""
    log = tmp_path_factory.mktemp("gateway") / "gateway.log"
    async with running_gateway(log, [engine]) as running:
        yield running


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[AsyncOpenAI]:
    """A client of the gateway."""
    async with AsyncOpenAI(base_url=gateway.api, api_key="none", max_retries=0) as through:
        yield through


@pytest.fixture
async def direct(engine: str) -> AsyncIterator[AsyncOpenAI]:
    """A client of the engine, past the gateway."""
    async with AsyncOpenAI(base_url=engine + "/v1", api_key="none", max_retries=0) as past:
        yield past


@pytest.fixture
async def model(direct: AsyncOpenAI) -> str:
    """What the engine calls its model: the folder."""
    models = await direct.models.list()
    return models.data[0].id


async def test_the_model_is_listed_under_the_engines_name(client: AsyncOpenAI, model: str) -> None:
    assert [card.id async for card in client.models.list()] == [model]
    assert (await client.models.retrieve(model)).id == model


async def test_a_chat_completion_is_the_engines_own(
    client: AsyncOpenAI, direct: AsyncOpenAI, model: str
) -> None:
    through, past = [
        await api.chat.completions.create(model=model, messages=MESSAGES, max_tokens=24)
        for api in (client, direct)
    ]

    assert through.choices[0].message.content == past.choices[0].message.content
    assert through.choices[0].message.content
    assert through.usage is not None and through.usage.completion_tokens == 24


async def test_a_streamed_chat_completion_adds_up_to_the_whole_one(
    client: AsyncOpenAI, direct: AsyncOpenAI, model: str
) -> None:
    past = await direct.chat.completions.create(model=model, messages=MESSAGES, max_tokens=48)

    stream = await client.chat.completions.create(
        model=model,
        messages=MESSAGES,
        max_tokens=48,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == past.choices[0].message.content
    assert sum(map(bool, pieces)) > 5
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 48


async def test_completions_are_the_same_whole_and_streamed(
    client: AsyncOpenAI, direct: AsyncOpenAI, model: str
) -> None:
    prompt = "a steady engine"
    past = await direct.completions.create(model=model, prompt=prompt, max_tokens=20)

    through = await client.completions.create(model=model, prompt=prompt, max_tokens=20)
    stream = await client.completions.create(model=model, prompt=prompt, max_tokens=20, stream=True)
    streamed = "".join([chunk.choices[0].text async for chunk in stream if chunk.choices])

    assert through.choices[0].text == streamed == past.choices[0].text != ""


async def test_many_streams_at_once_do_not_mix(
    client: AsyncOpenAI, direct: AsyncOpenAI, model: str
) -> None:
    prompts = [f"{word} remembers" for word in ("garden", "bridge", "harbour", "library")]

    async def streamed(prompt: str) -> str:
        stream = await client.completions.create(
            model=model, prompt=prompt, max_tokens=16, stream=True
        )
        return "".join([chunk.choices[0].text async for chunk in stream if chunk.choices])

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(streamed(prompt)) for prompt in prompts]

    for prompt, task in zip(prompts, tasks, strict=True):
        past = await direct.completions.create(model=model, prompt=prompt, max_tokens=16)
        assert task.result() == past.choices[0].text


async def test_the_engines_own_refusal_reaches_the_client(client: AsyncOpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(
            model=model, messages=MESSAGES, extra_body={"xtc_probability": 2.0}
        )

    assert refused.value.response.json() == {"error": "xtc_probability must be at most 1"}


async def test_a_client_that_leaves_in_mid_stream_leaves_nothing_behind(
    client: AsyncOpenAI, gateway: GatewayProcess, model: str
) -> None:
    stream = await client.chat.completions.create(
        model=model, messages=MESSAGES, max_tokens=2000, stream=True
    )
    await anext(aiter(stream))

    await stream.close()

    await gateway.until_drained()
    answer = await client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=4)
    assert answer.usage is not None and answer.usage.completion_tokens == 4
