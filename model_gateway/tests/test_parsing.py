"""The parsers behind `/parse/*`."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from .conftest import Start

pytestmark = pytest.mark.anyio

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


async def parse(
    http: aiohttp.ClientSession, url: str, path: str, body: object, **headers: str
) -> tuple[int, Any]:
    async with http.post(url + path, json=body, headers=headers) as answer:
        text = await answer.text()
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status, json.loads(text) if is_json else text


async def test_calls_are_found_without_any_worker(
    start: Start, http: aiohttp.ClientSession
) -> None:
    text = (
        'Sure.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    )
    body = {"text": text, "tool_call_parser": "qwen", "tools": TOOLS}
    async with start() as running:
        status, answer = await parse(http, running.url, "/parse/function_call", body)
    assert status == 200
    (call,) = answer["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert answer["remaining_text"].strip() == "Sure."
    assert answer["success"] is True


async def test_reasoning_is_split_off(start: Start, http: aiohttp.ClientSession) -> None:
    body = {"text": "<think>hm</think>Yes.", "reasoning_parser": "qwen3"}
    async with start() as running:
        status, answer = await parse(http, running.url, "/parse/reasoning", body)
    assert (status, answer) == (
        200,
        {"normal_text": "Yes.", "reasoning_text": "hm", "success": True},
    )


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        (
            "/parse/function_call",
            {"text": "", "tool_call_parser": "zz", "tools": []},
            "Unknown tool parser: zz",
        ),
        (
            "/parse/reasoning",
            {"text": "", "reasoning_parser": "zz"},
            "Unknown reasoning parser: zz",
        ),
    ],
)
async def test_unknown_parsers_are_named(
    path: str, body: Any, error: str, start: Start, http: aiohttp.ClientSession
) -> None:
    async with start() as running:
        assert await parse(http, running.url, path, body) == (
            400,
            {"error": error, "success": False},
        )


async def test_a_missing_field_is_422_in_text(start: Start, http: aiohttp.ClientSession) -> None:
    async with start() as running:
        status, answer = await parse(http, running.url, "/parse/reasoning", {"text": "x"})
    assert status == 422 and isinstance(answer, str)


async def test_the_control_planes_key_is_asked_for(
    start: Start, http: aiohttp.ClientSession
) -> None:
    body = {"text": "x", "reasoning_parser": "qwen3"}
    async with start(api_key="secret-key") as running:
        assert (await parse(http, running.url, "/parse/reasoning", body))[0] == 401
        key = {"Authorization": "Bearer secret-key"}
        assert (await parse(http, running.url, "/parse/reasoning", body, **key))[0] == 200


async def test_a_long_text_is_parsed_away_from_the_loop(
    start: Start, http: aiohttp.ClientSession
) -> None:
    body = {"text": "<think>" + "hm " * 100_000, "reasoning_parser": "qwen3"}
    async with start() as running:
        status, answer = await parse(http, running.url, "/parse/reasoning", body)
    assert status == 200 and len(answer["reasoning_text"]) > 290_000


async def test_a_request_may_ask_for_a_family_of_parsers_that_exists(
    start: Start, worker: Any, http: aiohttp.ClientSession, chat: Any
) -> None:
    async with start(worker) as running:
        url = running.url + "/v1/chat/completions"
        async with http.post(url, json=chat(), headers={"x-smg-parser": "symphony"}) as answer:
            assert answer.status == 200
        async with http.post(url, json=chat(), headers={"x-smg-parser": 'a"b'}) as answer:
            error = (await answer.json())["error"]
    assert answer.status == 400
    assert answer.headers["x-smg-error-code"] == error["code"] == "invalid_parser_header"
    assert error["message"] == 'x-smg-parser must be legacy or symphony, not "a\\"b"'
