"""Recorded outputs: every table reads them as SMG 1.13.0 does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from smg_tool_parser.symphony import TABLE_NAMES, create_symphony, parse_symphony

from .reading import TOOLS, read, recorded

READABLE = [name for name in TABLE_NAMES if name != "hf"]


def rows_of(table: str) -> list[Mapping[str, Any]]:
    return [row for row in recorded() if row["table"] == table]


def as_value(arguments: str) -> object:
    """Arguments compare as JSON values, where they are any."""
    try:
        return ("json", json.loads(arguments))
    except ValueError:
        return ("text", arguments)


@pytest.mark.parametrize("table", READABLE)
def test_outputs_are_read_as_recorded(table: str) -> None:
    for row in rows_of(table):
        parsed = parse_symphony(
            table, row["text"], TOOLS[row["tools"]], row["prompt"], as_written=True
        )

        assert parsed.reasoning == row["reasoning"], row["case"]
        assert parsed.normal_text == row["normal_text"], row["case"]
        calls = [(call.name, as_value(call.arguments)) for call in parsed.calls]
        assert calls == [(name, as_value(text)) for name, text in row["calls"]], row["case"]


@pytest.mark.parametrize("table", READABLE)
def test_recorded_outputs_may_arrive_character_by_character(table: str) -> None:
    for row in rows_of(table):
        tools, prompt = TOOLS[row["tools"]], row["prompt"]
        whole = parse_symphony(table, row["text"], tools, prompt)

        assert read(create_symphony(table, tools, prompt), row["text"]) == whole, row["case"]


@pytest.mark.parametrize("table", READABLE)
def test_arguments_are_json_wherever_an_output_is_cut_off(table: str) -> None:
    for row in rows_of(table):
        if row["case"] != "unknown-mix":
            continue
        for length in range(len(row["text"])):
            parsed = parse_symphony(table, row["text"][:length], TOOLS[row["tools"]])
            for call in parsed.calls:
                json.loads(call.arguments)
            assert all(call.complete for call in parsed.calls[:-1])
