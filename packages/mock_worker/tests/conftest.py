"""Shared by all tests: a way to make calls, to play exchanges without a network, and a client."""

from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import Any

import aiohttp
import msgspec
import pytest
from smg_mock_worker.errors import Flavour
from smg_mock_worker.exchange import Call, Exchange, ServedModel


@pytest.fixture(
    params=[
        pytest.param(False, id="asyncio"),
        pytest.param(
            True,
            id="uvloop",
            marks=pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not there"),
        ),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The event loops the worker has to run on."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def served() -> ServedModel:
    """What an SGLang worker serves in unit tests."""
    return ServedModel(
        names=("mock-model", "org/other"),
        flavour=Flavour.SGLANG,
        max_model_len=1_000,
        answer_tokens=12,
    )


@pytest.fixture
def vllm(served: ServedModel) -> ServedModel:
    """The same as a vLLM worker."""
    return ServedModel(
        names=served.names, flavour=Flavour.VLLM, max_model_len=1_000, answer_tokens=12
    )


@pytest.fixture
def call_with() -> Callable[..., Call]:
    """Makes the call that has these fields as its JSON body."""

    def make(**fields: object) -> Call:
        return Call(
            method="POST",
            path="/",
            query={},
            headers={},
            body=msgspec.json.encode(fields),
            received_at=1_700_000_000.5,
        )

    return make


@pytest.fixture
def whole() -> Callable[[Exchange], Any]:
    """The decoded body of an exchange's whole answer, nothing being cached."""

    def answer(exchange: Exchange) -> Any:
        usage = exchange.usage([0] * len(exchange.choices))
        return msgspec.json.decode(exchange.whole(usage))

    return answer


@pytest.fixture
def frames() -> Callable[[Exchange], list[str]]:
    """The server-sent events of an exchange's streamed answer, choice after choice."""

    def play(exchange: Exchange) -> list[str]:
        cached = [0] * len(exchange.choices)
        pieces = [exchange.begin(exchange.usage(cached, 0))]
        for number, choice in enumerate(exchange.choices):
            pieces.append(exchange.open_choice(number, 0))
            pieces += [exchange.token(number, i) for i in range(len(choice.answer.tokens))]
            pieces.append(exchange.close_choice(number))
        pieces.append(exchange.end(exchange.usage(cached)))
        return b"".join(pieces).decode().split("\n\n")[:-1]

    return play


@pytest.fixture
def events(frames: Callable[[Exchange], list[str]]) -> Callable[[Exchange], list[Any]]:
    """The decoded `data` of a streamed answer's events, without the end mark."""

    def play(exchange: Exchange) -> list[Any]:
        data = [frame.rpartition("data: ")[2] for frame in frames(exchange)]
        return [msgspec.json.decode(line) for line in data if line != "[DONE]"]

    return play


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client."""
    async with aiohttp.ClientSession() as client:
        yield client
