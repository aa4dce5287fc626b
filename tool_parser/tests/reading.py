"""Feeding parsers, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from smg_tool_parser import Event, Parsed, create_parser, gather, parse
from smg_tool_parser.testing import TOOLS


def numbered(index: int, name: str) -> str:
    """Ids that two runs have in common."""
    return f"call-{index}"


def events_of(name: str, chunks: Iterable[str], *, lossless: bool = False) -> list[Event]:
    """The events of an output that arrives in these chunks."""
    parser = create_parser(name, TOOLS, lossless=lossless, call_ids=numbered)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.finish()


def read(name: str, *chunks: str, lossless: bool = False) -> Parsed:
    """What a parser makes of an output that arrives in these chunks."""
    return gather(events_of(name, chunks, lossless=lossless))


def calls(name: str, text: str) -> list[tuple[str, str]]:
    """The complete calls of an output, as names and arguments."""
    return [(call.name, call.arguments) for call in parse(name, text, TOOLS).calls if call.complete]


def text_of(name: str, text: str) -> str:
    """The visible text of an output."""
    return parse(name, text, TOOLS).normal_text


def value_of(text: str) -> Any:
    """The value of a JSON text; unlike the standard library's, this reader takes no NaN."""
    return json.loads(text, parse_int=str, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
