"""Requests of one session stay together, whatever the session is told by."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from smg_gateway.dialects.sessions import BODY_SOURCES, HARNESS_SOURCES, SessionKeys
from smg_gateway.settings import ConfigError, Settings, validate
from smg_gateway.settings.rules.policies import SESSION_MEMBERS
from smg_mock_worker import MockWorker

from .conftest import Running, Start

CHAT = "/v1/chat/completions"
Body = Callable[..., dict[str, Any]]
HARNESS: dict[str, Any] = {
    "policy": "round_robin",
    "routing_key_override": True,
    "session_key_sources": ("harness",),
}


@pytest.fixture
async def fleet(anyio_backend: object) -> AsyncIterator[list[MockWorker]]:
    """Three simulated engines."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(MockWorker()) for _ in range(3)]


async def routed(
    http: aiohttp.ClientSession,
    running: Running,
    body: object,
    path: str = CHAT,
    **headers: str,
) -> str:
    async with http.post(running.url + path, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
        worker = answer.headers["x-smg-routed-worker-id"]
    await running.settled()
    return worker


@pytest.mark.anyio
@pytest.mark.parametrize(
    "named",
    [
        {"prompt_cache_key": "c-1"},
        {"user": "alice"},
        {"metadata": {"user_id": "alice_session_1"}},
        {"session_id": "s-1"},
        {"rid": "r-1"},
    ],
    ids=lambda named: next(iter(named)),
)
async def test_members_of_the_body_hold_a_session_together(
    named: dict[str, Any],
    start: Start,
    fleet: list[MockWorker],
    http: aiohttp.ClientSession,
    chat: Body,
) -> None:
    async with start(*fleet, **HARNESS) as running:
        first = await routed(http, running, chat("turn 1", **named))
        await routed(http, running, chat("somebody else"))
        for turn in range(4):
            assert await routed(http, running, chat(f"turn {turn}", **named)) == first
        source = {"metadata": "metadata.user_id"}.get(key := next(iter(named)), key)
        assert running.metric(f'smg_routing_key_source_total{{source="{source}"}}') == 5
        assert running.metric("smg_manual_policy_cache_entries") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("header", ["x-smg-routing-key", "x-session-id", "session_id"])
async def test_headers_hold_a_session_together(
    header: str, start: Start, fleet: list[MockWorker], http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(*fleet, **HARNESS) as running:
        workers = {
            await routed(http, running, chat(str(turn)), **{header: f"conv_t{turn}"})
            for turn in range(6)
        }
    assert len(workers) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_a_chain_of_responses_stays_where_it_began(
    stream: bool, start: Start, fleet: list[MockWorker], http: aiohttp.ClientSession
) -> None:
    async with start(*fleet, **HARNESS) as running:
        body: dict[str, Any] = {"model": "mock-model", "input": "turn 1", "stream": stream}
        homes: list[str] = []
        for _ in range(5):
            async with http.post(running.url + "/v1/responses", json=body) as answer:
                assert answer.status == 200
                text = await answer.text()
                homes.append(answer.headers["x-smg-routed-worker-id"])
            await running.settled()
            response_id = "resp_" + text.split('"resp_', 1)[1].split('"', 1)[0]
            body["previous_response_id"] = response_id
            await routed(http, running, {"model": "mock-model", "input": "x"}, "/v1/responses")
    assert len(set(homes)) == 1


@pytest.mark.anyio
async def test_without_the_sources_only_header_and_rid_count(
    start: Start, fleet: list[MockWorker], http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(*fleet, policy="round_robin", routing_key_override=True) as running:
        by_user = {await routed(http, running, chat(user="alice")) for _ in range(3)}
        by_rid = {await routed(http, running, chat(rid="conv_r1")) for _ in range(3)}
    assert len(by_user) == 3
    assert len(by_rid) == 1


@pytest.mark.anyio
async def test_overlong_keys_are_no_keys(
    start: Start, fleet: list[MockWorker], http: aiohttp.ClientSession, chat: Body
) -> None:
    async with start(*fleet, **HARNESS) as running:
        key = "k" * 300
        workers = {
            await routed(http, running, chat(user=key), **{"x-smg-routing-key": key})
            for _ in range(3)
        }
    assert len(workers) == 3


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"user": 5}', b'{"conversation": {"id": 7}}', b"\xff", b"[" * 5000],
)
def test_bodies_that_name_no_session_do_no_harm(body: bytes) -> None:
    assert SessionKeys(("harness",)).find({}, body) is None


def test_the_order_of_sources_decides() -> None:
    body = b'{"user": "u", "conversation": {"id": "conv_1"}}'
    assert SessionKeys(("user", "conversation")).find({}, body) == ("user", "u")
    assert SessionKeys(("conversation", "user")).find({}, body) == ("conversation", "conv_1")
    assert SessionKeys(("header:X-Mine", "user")).find({b"x-mine": b"m"}, body) == (
        "header:X-Mine",
        "m",
    )


def test_settings_know_the_sources_that_exist() -> None:
    assert set(SESSION_MEMBERS) == set(BODY_SOURCES)
    validate(Settings(session_key_sources=HARNESS_SOURCES))
    for bad in ("nonsense", "header:", "header:a b"):
        with pytest.raises(ConfigError, match="session_key_sources"):
            validate(Settings(session_key_sources=(bad,)))
