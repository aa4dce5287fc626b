"""The tables of the guide, out of what the two comparisons wrote.

python table.py TOOL_RESULTS.json REASONING_RESULTS.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from compare_reasoning import LAWS as REASONING_LAWS
from laws import LAWS
from subjects import SGLANG, VLLM

Rows = Sequence[Mapping[str, Any]]

_WHOSE = {"ours": "this project", "vllm": "vLLM", "sglang": "SGLang"}


def main(arguments: Sequence[str]) -> int:
    """Prints the tables as markdown."""
    tools, reasoning = (json.loads(Path(path).read_text()) for path in arguments)
    _print_laws(tools, LAWS)
    _print_times(tools)
    _print_laws(reasoning, REASONING_LAWS)
    _print_reasoning_times(reasoning)
    _print_examples(tools)
    return 0


def _line(cells: Iterable[object]) -> None:
    print("|", " | ".join(map(str, cells)), "|")


def _head(*names: str) -> None:
    print()
    _line(names)
    _line("---" for _ in names)


def _print_laws(rows: Rows, laws: Mapping[str, str]) -> None:
    _head("format", "parser", *laws)
    for row in rows:
        if row["whose"] == "ours" and all(cell == "ok" for cell in row["laws"].values()):
            continue
        _line([f"`{row['format']}`", _name(row), *(row["laws"][law] for law in laws)])


def _name(row: Mapping[str, Any]) -> str:
    names = {"vllm": VLLM, "sglang": SGLANG}.get(row["whose"], {})
    name = names.get(row["format"])
    return f"{_WHOSE[row['whose']]} `{name}`" if name and "times" in row else _WHOSE[row["whose"]]


def _print_times(rows: Rows) -> None:
    _head("format", "ours", "vLLM", "ours in vLLM", "SGLang", "ours in SGLang")
    found = {(row["format"], row["whose"]): row["times"] for row in rows}
    for name in dict.fromkeys(row["format"] for row in rows):
        ours = found[name, "ours"]
        cells: list[str] = [f"{ours['short']:.1f} / {ours['long']:.1f}"]
        for whose in ("vllm", "sglang"):
            theirs = found.get((name, whose), {})
            cells.append(_pair(theirs, "", ours))
            cells.append(_pair(theirs, " with ours", None))
        _line([f"`{name}`", *cells])


def _pair(times: Mapping[str, Any], label: str, ours: Mapping[str, Any] | None) -> str:
    short, long = times.get("short" + label), times.get("long" + label)
    if short is None or long is None:
        return "-"
    shown = f"{short:.1f} / {long:.1f}"
    if ours is None:
        return shown
    return f"{shown} (x{short / ours['short']:.1f} / x{long / ours['long']:.0f})"


def _print_reasoning_times(rows: Rows) -> None:
    _head("format", "ours", "vLLM", "SGLang")
    found = {(row["format"], row["whose"]): row["us"] for row in rows}
    for name in dict.fromkeys(row["format"] for row in rows):
        ours = found[name, "ours"]
        cells = [f"{ours:.1f}"]
        for whose in ("vllm", "sglang"):
            us = found.get((name, whose))
            cells.append("-" if us is None else f"{us:.1f} (x{us / ours:.1f})")
        _line([f"`{name}`", *cells])


def _print_examples(rows: Rows) -> None:
    """The shortest failing example of each law and server."""
    print()
    for whose in ("vllm", "sglang"):
        for law in LAWS:
            failing = [row for row in rows if row["whose"] == whose and law in row["examples"]]
            listed = [row for row in failing if isinstance(row["examples"][law]["chunks"], list)]
            if not listed:
                continue
            row = min(listed, key=lambda row: len(json.dumps(row["examples"][law])))
            example = row["examples"][law]
            if not example["told"]:
                continue
            print(f"- **{law}**, {_name(row)}: {_shown(example['chunks'])} gave")
            print(f"  `{example['told']}`")


def _shown(chunks: Sequence[str]) -> str:
    sizes = {len(chunk) for chunk in chunks[:-1]}
    if len(sizes) == 1 and chunks[0]:
        return f"`{json.dumps(''.join(chunks), ensure_ascii=False)}` in pieces of {sizes.pop()}"
    return f"the chunks `{json.dumps(list(chunks), ensure_ascii=False)}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
