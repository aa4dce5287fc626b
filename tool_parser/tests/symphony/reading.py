"""Feeding Symphony parsers, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from smg_tool_parser.symphony import (
    SymphonyParsed,
    SymphonyParser,
    create_symphony,
    gather_symphony,
)

DATA = Path(__file__).parent / "data"
TOOLS = cast(
    "Mapping[str, list[dict[str, Any]]]", json.loads((DATA / "tools.json").read_text("utf-8"))
)
ALL = TOOLS["all"]
TYPED = TOOLS["typed_fn"]


def recorded() -> list[Mapping[str, Any]]:
    """Recorded outputs: table, tools, prompt, text, and what SMG 1.13.0 makes of them."""
    lines = (DATA / "outputs.jsonl").read_text("utf-8").splitlines()
    return [cast("Mapping[str, Any]", json.loads(line)) for line in lines]


def read(parser: SymphonyParser, chunks: Iterable[str]) -> SymphonyParsed:
    """What a parser makes of an output that arrives in these chunks."""
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return gather_symphony(events + parser.finish())


def told(table: str, *chunks: str, prompt: str = "", as_written: bool = False) -> tuple[Any, ...]:
    """Reasoning, text and calls of a streamed output."""
    parser = create_symphony(table, [*ALL, *TYPED], prompt, as_written=as_written)
    parsed = read(parser, chunks)
    calls = [(call.name, call.arguments) for call in parsed.calls]
    return parsed.reasoning, parsed.normal_text, calls
