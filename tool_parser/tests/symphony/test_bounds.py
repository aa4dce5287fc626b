"""Hostile and long outputs: all of it is read, and little of it is held."""

from __future__ import annotations

import pytest
from smg_tool_parser.symphony import TABLE_NAMES, create_symphony, gather_symphony

from .reading import ALL, recorded

READABLE = [name for name in TABLE_NAMES if name != "hf"]
HEAPS = {
    "angles": "<" * 60_000,
    "braces": "{" * 60_000,
    "brackets": "[" * 60_000,
    "quotes": '"' * 60_000,
    "blanks": " " * 60_000,
    "words": "x y\n" * 15_000,
    "zeros": "\x00" * 60_000,
    "halves of pairs": "\ud83e" * 60_000,
    "mixed": '{"[<(' * 12_000,
}


def call_of(table: str) -> str:
    return next(
        (
            row["text"]
            for row in recorded()
            if row["table"] == table and row["case"] == "unknown-mix"
        ),
        "",
    )


@pytest.mark.parametrize("heap", HEAPS)
@pytest.mark.parametrize("table", READABLE)
def test_heaps_of_one_character_are_read_wherever_they_begin(table: str, heap: str) -> None:
    call = call_of(table)
    for begun in (0, len(call) // 4, len(call) // 3):
        parser = create_symphony(table, ALL)
        told = parser.feed(call[:begun] + HEAPS[heap]) + parser.finish()
        assert gather_symphony(told).calls is not None


@pytest.mark.parametrize("table", READABLE)
def test_thousands_of_calls_are_read(table: str) -> None:
    call = call_of(table)
    if not call or table in {"json", "plain", "xlam"}:
        return
    parser = create_symphony(table, ALL)
    told = parser.feed(call * 700) + parser.finish()
    assert len(gather_symphony(told).calls) == 2_100


@pytest.mark.parametrize("table", READABLE)
def test_text_and_string_arguments_are_told_as_they_come(table: str) -> None:
    call = call_of(table)
    for begun in {"", call[: call.find("7-B") + 2] if "7-B" in call else ""}:
        parser = create_symphony(table, ALL)
        parser.feed("text " * 40 + begun if table not in {"json", "xlam"} else "text")
        for _ in range(1_000):
            parser.feed("a longer piece of text <b> ")
            assert parser.waiting_chars <= 256
