"""Feeding parsers, for tests."""

from __future__ import annotations

from collections.abc import Iterable

from smg_reasoning_parser import (
    Event,
    Parsed,
    ReasoningDelta,
    ReasoningParser,
    create_parser,
)


def join(events: Iterable[Event]) -> Parsed:
    """What the events say in all."""
    told = list(events)
    reasoning = "".join(event.text for event in told if isinstance(event, ReasoningDelta))
    normal = "".join(event.text for event in told if not isinstance(event, ReasoningDelta))
    return Parsed(reasoning, normal)


def read(parser: ReasoningParser, chunks: Iterable[str]) -> Parsed:
    """What a parser makes of an output that arrives in these chunks."""
    return join([event for chunk in chunks for event in parser.feed(chunk)] + parser.finish())


def stream(name: str, *chunks: str, started: bool | None = None) -> tuple[str, str]:
    """Reasoning and text of a streamed output."""
    parsed = read(create_parser(name, reasoning_started=started), chunks)
    return parsed.reasoning, parsed.normal_text
