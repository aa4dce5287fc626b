"""`/parse/function_call` and `/parse/reasoning`: run a parser over a finished output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
import smg_reasoning_parser
import smg_tool_parser
from smg_protocols import Dialect, Intake
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ..admission import ControlPlaneKeys
from .answers import json_response
from .endpoints import dialect_route

PARSE_PATHS = frozenset({
    Dialect.PARSE_FUNCTION_CALL.value.encode(),
    Dialect.PARSE_REASONING.value.encode(),
})
T = TypeVar("T")
INLINE_CHARACTERS = 4096
"""A text up to this length is parsed in about a millisecond; a longer one leaves the loop."""


def parse_routes(keys: ControlPlaneKeys, max_body_bytes: int) -> list[BaseRoute]:
    """Both routes. They need no worker and take the control plane's keys."""

    return [
        dialect_route(Dialect.PARSE_FUNCTION_CALL, keys, _function_call, max_body_bytes),
        dialect_route(Dialect.PARSE_REASONING, keys, _reasoning, max_body_bytes),
    ]


async def _function_call(request: Request, intake: Intake) -> Response:
    asked = intake.request
    # Schemas were kept as they came; parsers look into them.
    tools = msgspec.json.decode(msgspec.json.encode(asked.tools))
    name, text = asked.tool_call_parser, asked.text

    def parse() -> smg_tool_parser.Parsed:
        return smg_tool_parser.parse_answer(name, text, tools)

    try:
        parsed = await _run(parse, len(text))
    except smg_tool_parser.ParserUnknown:
        return _unknown(f"Unknown tool parser: {name}")
    calls = [
        {"function": {"name": call.name, "arguments": call.arguments}} for call in parsed.calls
    ]
    return json_response({
        "remaining_text": parsed.normal_text,
        "tool_calls": calls,
        "success": True,
    })


async def _reasoning(request: Request, intake: Intake) -> Response:
    asked = intake.request
    name, text = asked.reasoning_parser, asked.text

    def parse() -> smg_reasoning_parser.Parsed:
        return smg_reasoning_parser.parse(name, text, hold_lead=True)

    try:
        parsed = await _run(parse, len(text))
    except smg_reasoning_parser.ParserUnknown:
        return _unknown(f"Unknown reasoning parser: {name}")
    return json_response({
        "normal_text": parsed.normal_text,
        "reasoning_text": parsed.reasoning,
        "success": True,
    })


async def _run(parse: Callable[[], T], characters: int) -> T:
    return parse() if characters <= INLINE_CHARACTERS else await asyncio.to_thread(parse)


def _unknown(message: str) -> Response:
    return json_response({"error": message, "success": False}, 400)
