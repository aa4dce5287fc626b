"""Fuzzes every parser and every Symphony table for the laws; run as `python fuzz_parsers.py`.

Needs atheris. Arguments are those of libFuzzer, such as `-max_total_time=300 CORPUS_FOLDER`. A
case that breaks a law is printed as JSON, ready for `tests/data/regressions`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["smg_tool_parser"]):
    from smg_tool_parser import parser_names
    from smg_tool_parser.symphony import TABLE_NAMES
    from smg_tool_parser.testing.formats import FORMATS, MARKERS

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from replaying import broken_law

TABLES = tuple(name for name in TABLE_NAMES if name != "hf")
ODD = ("\n", " ", '"', "'", "\\", "{", "}", "[", "]", "(", ")", ",", ":", "=", "<", ">", "|", "/")
VALUES = ('{"code": "A-1", "count": 3}', "1e-05", "-", "null", "\\u00", "\\ud83d", "\ud800", "é🏝")
CALLS = [("find_item", {"code": "A \"<b>\" 'c'", "count": 3}), ("wave", {})]
SYMPHONY_PIECES = (
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "<function=find_item>", "</function>"),
    *("<parameter=code>", "</parameter>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
    *("[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]", "<TOOLCALL>", "</TOOLCALL>", "find_item"),
    *("<function_calls>", "</function_calls>", "<|tool_call_start|>", "<|tool_call_end|>"),
    *("<seed:tool_call>", "</seed:tool_call>", "<ifm|tool_calls>", "<ifm|arg_key>", "<escape>"),
    *("<start_function_call>call:", "<end_function_call>", "<dots_function_call>", "<mm:think>"),
    *('<invoke name="find_item">', "</invoke>", '<param name="code">', '<function name="wave">'),
)


def pieces_for(name: str) -> Sequence[str]:
    """What texts for a parser are made of; markers of its own format mostly."""
    own = MARKERS.get(name, ())
    written = [FORMATS[name](CALLS[:1]), FORMATS[name](CALLS)] if name in FORMATS else []
    words = [word for text in written for word in (text, text[: len(text) // 2], text[3:])]
    others = (
        [] if own else [*SYMPHONY_PIECES, *(word for many in MARKERS.values() for word in many)]
    )
    return (*own, *words, *others, *VALUES, *ODD, "find_item", "wave", "code", "count")


PIECES = {name: pieces_for(name) for name in (*parser_names(), *TABLES)}


def test_one_input(data: bytes) -> None:
    """Makes a text and its chunks of the bytes, and tries the laws."""
    take = atheris.FuzzedDataProvider(data)
    kind = "table" if take.ConsumeBool() else "parser"
    names = TABLES if kind == "table" else parser_names()
    name = names[take.ConsumeIntInRange(0, len(names) - 1)]
    chunks: list[str] = [""]
    for _ in range(take.ConsumeIntInRange(1, 24)):
        choice = take.ConsumeIntInRange(0, 9)
        known = PIECES[name]
        piece = known[take.ConsumeIntInRange(0, len(known) - 1)]
        if choice == 0:
            piece = take.ConsumeUnicode(take.ConsumeIntInRange(0, 8))
        elif choice < 4:
            piece = piece[: take.ConsumeIntInRange(0, len(piece))]
        # A new chunk begins inside of a piece as well as between two.
        cut = take.ConsumeIntInRange(0, len(piece))
        chunks[-1] += piece[:cut]
        if take.ConsumeBool():
            chunks.append("")
        chunks[-1] += piece[cut:]
    case: dict[str, Any] = {kind: name, "chunks": chunks}
    problem = broken_law(case)
    if problem:
        raise AssertionError(f"{problem}\n{json.dumps(case)}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
