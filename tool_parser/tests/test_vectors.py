"""Recorded outputs of the reference gateway are read as it read them.

`SMG_PARSER_VECTORS` names a folder of recordings in the same form, to check those instead:
`*.jsonl` files of outputs, and `meta.json` with the tool sets they name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smg_tool_parser import Call, Parsed, create_parser, gather, parse, parse_answer

FOLDER = os.environ.get("SMG_PARSER_VECTORS")
HERE = Path(__file__).parent / "data"

# Recordings that are not followed, by the end of their id, and why.
DECIDED = {
    "json/complete/trunc-6": "a complete call of a list stays a call when the list is cut off",
    "json/complete/trunc-7": "the same",
    "json/complete/mut-del-1": "a complete call stays one when the list goes wrong behind it",
    "json/stream/trunc-3": "a call whose name is known is opened, also behind prose",
    "json/stream/trunc-6": "the same",
    "json/stream/trunc-7": "the same",
    "mistral/complete/trunc-6": "a complete call of a list stays a call when the list is cut off",
    "mistral/complete/trunc-7": "the same",
    "llama/complete/text-around": "text behind a call does not undo the call",
    "llama/complete/sp-two_tags": "a second tag begins a second call",
    "deepseek32/complete/trunc-6": "a complete invoke stays a call when its block is cut off",
    "deepseek32/complete/trunc-7": "the same",
    "deepseek32/complete/mut-del-1": "the same",
    "deepseek_v4/complete/trunc-6": "the same",
    "deepseek_v4/complete/trunc-7": "the same",
    "minimax_m2/complete/trunc-6": "the same",
    "minimax_m2/complete/trunc-7": "the same",
    "step3/stream/args-emptystr": "an empty value is empty; the recording swallows what follows",
}


def recordings() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    folder = Path(FOLDER) if FOLDER else HERE
    if FOLDER:
        toolsets = json.loads((folder / "meta.json").read_text("utf-8"))["toolsets"]
    else:
        toolsets = json.loads((folder / "toolsets.json").read_text("utf-8"))
    for path in sorted(folder.glob("tool-*.jsonl" if FOLDER else "outputs.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            case = json.loads(line)
            # Where a recorded stream differs from its own complete result, that one counts.
            if case.get("same_as_complete", True):
                tools = case["tools"]
                yield case, toolsets[tools] if isinstance(tools, str) else tools


def parameters(mode: str) -> list[Any]:
    return [
        pytest.param(case, tools, id=case["id"])
        for case, tools in recordings()
        if case["mode"] == mode and case["id"].removeprefix("tool/") not in DECIDED
    ]


def told(parsed: Parsed) -> tuple[str, list[tuple[str, Any]]]:
    return parsed.normal_text, [(call.name, json.loads(call.arguments)) for call in parsed.calls]


def expected(case: dict[str, Any]) -> tuple[str, list[tuple[str, Any]]]:
    wanted = case["expect"]
    calls = [(call["name"], json.loads(call["arguments"])) for call in wanted["calls"]]
    return wanted["normal_text"], calls


@pytest.mark.parametrize(("case", "tools"), parameters("complete"))
def test_a_whole_output_is_read_as_recorded(
    case: dict[str, Any], tools: list[dict[str, Any]]
) -> None:
    assert told(parse_answer(case["parser"], case["text"], tools)) == expected(case)


@pytest.mark.parametrize(("case", "tools"), parameters("stream"))
def test_a_streamed_output_is_read_as_recorded(
    case: dict[str, Any], tools: list[dict[str, Any]]
) -> None:
    parser = create_parser(case["parser"], tools)
    events = [event for chunk in case["chunks"] for event in parser.feed(chunk)]
    streamed = gather(events + parser.finish())
    assert told(streamed) == expected(case)
    whole = parse(case["parser"], "".join(case["chunks"]), tools)
    assert _without_ids(streamed) == _without_ids(whole)


def _without_ids(parsed: Parsed) -> Parsed:
    calls = tuple(
        Call(call.index, "", call.name, call.arguments, call.complete) for call in parsed.calls
    )
    return Parsed(parsed.normal_text, calls)
