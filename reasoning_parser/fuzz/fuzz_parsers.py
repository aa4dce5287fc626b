"""Fuzzes every parser for the laws; run as `python fuzz_parsers.py`.

Needs atheris. Arguments are those of libFuzzer, such as `-max_total_time=300 CORPUS_FOLDER`. A
case that breaks a law is printed as JSON, ready for `tests/data/regressions`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["smg_reasoning_parser"]):
    from smg_reasoning_parser import PARSER_NAMES

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from replaying import broken_law

PIECES = (
    *("<think>", "</think>", "<think:x>", "</think:x>", "</think:y>", "<mm:think>", "</mm:think>"),
    *("◁think▷", "◁/think▷", "<|START_THINKING|>", "<|END_THINKING|>", "<|channel>thought\n"),
    *("thought\n", "<channel|>", "<|tool_call>", "<｜DSML｜ calls>", "<|open|>", "<|close|>"),
    *("<|sep|>", "think", "response", "tools", "message", "<|open|>think<|sep|>"),
    *("<|close|>think<|sep|>", "<|open|>response<|sep|>", "<|open|>tools<|sep|>"),
    *("<|message_model|>", "<|content_thinking|>", "<|content_text|>", "<|end_message|>"),
    *("<|content_invoke_tool_json|>", "<|content_invoke_tool_text|>", "<|endoftext|>"),
    *("<|content_model_end_sampling|>", "<|message_user|>", "<|content_image|>"),
    *("<think:", "x" * 70, " " * 40, "\n", "word", "\ud83e", "\0", "<", ">", "|", "/"),
)


def test_one_input(data: bytes) -> None:
    """Makes a text and its chunks of the bytes, and tries the laws."""
    take = atheris.FuzzedDataProvider(data)
    case: dict[str, Any] = {
        "parser": PARSER_NAMES[take.ConsumeIntInRange(0, len(PARSER_NAMES) - 1)],
        "started": (None, False, True)[take.ConsumeIntInRange(0, 2)],
        "hold_lead": take.ConsumeBool(),
    }
    chunks: list[str] = [""]
    for _ in range(take.ConsumeIntInRange(1, 24)):
        choice = take.ConsumeIntInRange(0, 9)
        piece = PIECES[take.ConsumeIntInRange(0, len(PIECES) - 1)]
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
    case["chunks"] = chunks
    problem = broken_law(case)
    if problem:
        raise AssertionError(f"{problem}\n{json.dumps(case)}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
