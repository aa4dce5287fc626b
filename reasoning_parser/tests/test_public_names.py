"""The door: its names are frozen, documented, and cost little to open."""

from __future__ import annotations

import subprocess
import sys

import smg_reasoning_parser

NAMES = (
    "PARSER_NAMES",
    "Event",
    "Parsed",
    "ParserFinished",
    "ParserUnknown",
    "ReasoningDelta",
    "ReasoningParser",
    "TextDelta",
    "create_parser",
    "needs_special_tokens",
    "parse",
    "reasoning_parser_for",
    "resolve_parser",
)


def test_the_public_names_are_these() -> None:
    assert smg_reasoning_parser.__all__ == NAMES


def test_every_public_name_says_what_it_is() -> None:
    assert all(getattr(smg_reasoning_parser, name).__doc__ for name in NAMES)


def test_importing_loads_neither_io_nor_what_is_slow_to_load() -> None:
    slow = {"asyncio", "socket", "typing", "dataclasses", "inspect"}
    check = f"import sys, smg_reasoning_parser; print({slow} & set(sys.modules))"
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {check}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
