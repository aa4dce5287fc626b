"""Recorded outputs: how SMG 1.13.0 splits them, family by family."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from smg_reasoning_parser import PARSER_NAMES, Parsed, create_parser, parse

from .reading import read

RECORDS = Path(__file__).parent / "data" / "outputs.jsonl"


def recorded(name: str) -> list[Mapping[str, str]]:
    lines = RECORDS.read_text(encoding="utf-8").splitlines()
    rows = [cast("Mapping[str, str]", json.loads(line)) for line in lines]
    return [row for row in rows if row["parser"] == name]


@pytest.mark.parametrize("name", PARSER_NAMES)
def test_outputs_are_split_as_recorded(name: str) -> None:
    for row in recorded(name):
        expected = Parsed(row["reasoning"], row["normal_text"])
        started = True if row["started"] else None

        got = parse(name, row["text"], reasoning_started=started, hold_lead=True)

        assert got == expected, row["case"]


@pytest.mark.parametrize("name", PARSER_NAMES)
def test_recorded_outputs_may_be_cut_anywhere(name: str) -> None:
    for row in recorded(name):
        text, started = row["text"], True if row["started"] else None
        whole = parse(name, text, reasoning_started=started)
        for cut in range(len(text) + 1):
            parser = create_parser(name, reasoning_started=started)
            assert read(parser, [text[:cut], text[cut:]]) == whole, (row["case"], cut)


@pytest.mark.parametrize("name", PARSER_NAMES)
def test_without_text_before_the_first_marker_nothing_needs_to_be_held(name: str) -> None:
    for row in recorded(name):
        if row["case"] in {"lead-text", "two-after-text", "nostart-0", "end-only"}:
            continue
        if name == "kimi_k3" and row["case"] == "started-two-blocks":
            continue
        started = True if row["started"] else None
        at_once = parse(name, row["text"], reasoning_started=started)
        held = parse(name, row["text"], reasoning_started=started, hold_lead=True)
        assert at_once == held, row["case"]
