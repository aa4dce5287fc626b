"""Tries tool parsers of this project, vLLM and SGLang on the same outputs, and times them.

python compare.py --vllm FOLDER --sglang FOLDER [--json FILE] [FORMAT ...]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import servers
from laws import LAWS, TOOLS, Tally, try_all
from smg_tool_parser import create_parser
from smg_tool_parser.adapters import sglang as sglang_adapter
from smg_tool_parser.adapters import vllm as vllm_adapter
from smg_tool_parser.testing import Feeder
from subjects import SGLANG, VLLM, SglangSubject, VllmSubject, tokenizer_for
from timing import Feed, microseconds, streamed_chunks
from tokens import MarkerTokenizer

SHORT, LONG = 4, 48


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line per parser; with `--json`, writes all results with examples."""
    options = _options().parse_args(arguments)
    servers.load([options.vllm, options.sglang])
    print("python", platform.python_version(), file=sys.stderr)
    results: list[dict[str, Any]] = []
    for name in options.formats or dict.fromkeys([*SGLANG, *VLLM]):
        for whose in ("ours", "vllm", "sglang"):
            row = _row(name, whose)
            if row is not None:
                results.append(row)
                print(name, whose, *(row["laws"][law] for law in LAWS), row["times"], flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, ensure_ascii=True, indent=1))
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compare.py")
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help="names of our parsers")
    parser.add_argument("--vllm", type=Path, required=True, help="folder with vLLM's package")
    parser.add_argument("--sglang", type=Path, required=True, help="folder with SGLang's package")
    parser.add_argument("--json", type=Path, help="where to write all results")
    return parser


def _row(name: str, whose: str) -> dict[str, Any] | None:
    tokenizer = tokenizer_for(name)
    make = _maker(name, whose)
    if make is None:
        return None
    tally = try_all(make, name, tokenizer)
    return {
        "format": name,
        "whose": whose,
        "laws": {law: tally.cell(law) for law in LAWS},
        "examples": _examples(tally),
        "times": _times(name, whose, tokenizer),
    }


def _examples(tally: Tally) -> dict[str, Any]:
    return {
        law: {"chunks": chunks if len(chunks) < 60 else f"{len(chunks)} chunks", "told": told[:400]}
        for law, (chunks, told) in tally.example.items()
    }


def _maker(name: str, whose: str) -> Callable[[], Feeder] | None:
    if whose == "ours":
        return lambda: create_parser(name, TOOLS)
    if name not in {"vllm": VLLM, "sglang": SGLANG}[whose]:
        return None
    if whose == "vllm":
        parser = servers.vllm_tool_parser(VLLM[name])
        return lambda: VllmSubject(parser, name, TOOLS)
    detector = servers.sglang_detector(SGLANG[name])
    return lambda: SglangSubject(detector, name, TOOLS)


def _times(name: str, whose: str, tokenizer: MarkerTokenizer) -> Mapping[str, float | None]:
    """Microseconds per chunk, for short arguments and for long ones."""
    feeds: Mapping[str, Mapping[str, Callable[[], Feed]]] = {
        "ours": {"": lambda: create_parser(name, TOOLS).feed},
        "vllm": {
            "": lambda: _vllm_feed(servers.vllm_tool_parser(VLLM[name]), tokenizer),
            " with ours": lambda: _vllm_feed(vllm_adapter.tool_parser_class(name), tokenizer),
        },
        "sglang": {
            "": lambda: _sglang_feed(servers.sglang_detector(SGLANG[name])),
            " with ours": lambda: _sglang_feed(sglang_adapter.detector_class(name)),
        },
    }
    times: dict[str, float | None] = {}
    for label, feed in feeds[whose].items():
        for size, repeats in (("short", SHORT), ("long", LONG)):
            chunks = streamed_chunks(name, tokenizer, repeats)
            times[size + label] = _timed(feed, chunks, runs=20 if size == "short" else 4)
    return times


def _timed(feed: Callable[[], Feed], chunks: Sequence[str], runs: int) -> float | None:
    try:
        return round(microseconds(feed, chunks, runs), 2)
    except Exception as problem:  # noqa: BLE001 - a rival raises whatever it raises
        print("  not timed:", problem, file=sys.stderr)
        return None


def _vllm_feed(parser: type[Any], tokenizer: MarkerTokenizer) -> Feed:
    """What vLLM's server does for a chunk; tokens are looked up beforehand."""
    request = servers.vllm_request(TOOLS)
    driven = servers.vllm_serving_parser(parser)(tokenizer, request.tools)
    known: dict[str, list[int]] = {}

    def feed(chunk: str) -> object:
        ids = known.get(chunk)
        if ids is None:
            ids = known[chunk] = tokenizer.encode(chunk)
        return driven.parse_delta(chunk, ids, request, [], finished=False)

    return feed


def _sglang_feed(detector: type[Any]) -> Feed:
    driven = detector()
    tools = servers.sglang_tools(TOOLS)
    return lambda chunk: driven.parse_streaming_increment(chunk, tools)


if __name__ == "__main__":
    sys.exit(main())
