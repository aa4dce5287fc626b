"""Tries reasoning parsers of this project, vLLM and SGLang on the same outputs, and times them.

python compare_reasoning.py --vllm FOLDER --sglang FOLDER [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import servers
from smg_reasoning_parser import ReasoningDelta, create_parser
from smg_reasoning_parser.adapters.markers import markers_of
from smg_tool_parser.testing import chunkings
from timing import Feed, microseconds
from tokens import MarkerTokenizer

# Our names with those of vLLM and SGLang; all of these read one block.
NAMES: Mapping[str, tuple[str | None, str | None]] = {
    "cohere_cmd": (None, None),
    "deepseek_r1": ("deepseek_r1", "deepseek-r1"),
    "gemma4": ("gemma4", "gemma4"),
    "glm45": ("glm45", "glm45"),
    "kimi": (None, "kimi"),
    "kimi_k3": ("kimi_k3", "kimi_k3"),
    "minimax_m3": ("minimax_m3", "minimax-m3"),
    "qwen3": ("qwen3", "qwen3"),
    "step3": ("step3", "step3"),
}
LAWS: Mapping[str, str] = {
    "split": "reasoning and answer are told apart, markers arriving whole",
    "chunking": "outputs read alike for any chunking, also inside markers",
    "cut": "the same for outputs that break off",
    "end": "nothing is lost at the end of an output that breaks off",
}
Split = tuple[str, str]
Run = Callable[[Sequence[str]], Split]

_REASONING = "First 3 < 5, and then a <b> tag. "
_ANSWER = "The answer is 3 < 5, said the fox. "


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints one line per parser; with `--json`, writes all results with examples."""
    parser = argparse.ArgumentParser(prog="compare_reasoning.py")
    parser.add_argument("--vllm", type=Path, required=True, help="folder with vLLM's package")
    parser.add_argument("--sglang", type=Path, required=True, help="folder with SGLang's package")
    parser.add_argument("--json", type=Path, help="where to write all results")
    options = parser.parse_args(arguments)
    servers.load([options.vllm, options.sglang])
    results = []
    for name, (vllm, sglang) in NAMES.items():
        tokenizer = MarkerTokenizer([_first_tag(word) for word in markers_of(name)])
        makers: dict[str, Callable[[], _Subject]] = {"ours": partial(_Ours, name)}
        if vllm:
            makers["vllm"] = partial(_Vllm, vllm, tokenizer)
        if sglang:
            makers["sglang"] = partial(_Sglang, sglang)
        for whose, make in makers.items():
            row = {"format": name, "whose": whose, **_tried(make, name, tokenizer)}
            results.append(row)
            print(name, whose, row["laws"], row["us"], flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, ensure_ascii=True, indent=1))
    return 0


class _Subject:
    """A parser of one output; `told` is reasoning and answer."""

    def __init__(self) -> None:
        self.told = ["", ""]

    def feed(self, chunk: str, finished: bool = False) -> None:
        raise NotImplementedError

    def add(self, reasoning: str | None, text: str | None) -> None:
        self.told[0] += reasoning or ""
        self.told[1] += text or ""


class _Ours(_Subject):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._parser = create_parser(name)
        self.bare: Feed = self._parser.feed

    def feed(self, chunk: str, finished: bool = False) -> None:
        for event in self._parser.feed(chunk) + (self._parser.finish() if finished else []):
            self.add(*((event.text, "") if isinstance(event, ReasoningDelta) else ("", event.text)))


class _Vllm(_Subject):
    def __init__(self, name: str, tokenizer: MarkerTokenizer) -> None:
        super().__init__()
        composed = servers.vllm_serving_parser(None, servers.vllm_reasoning_parser(name))
        self._request = servers.vllm_request([])
        self._tokenizer = tokenizer
        self._prompt = tokenizer.encode("Hello")
        thinking = {"enable_thinking": True, "thinking": True}
        self._parser = composed(tokenizer, None, chat_template_kwargs=thinking)

    def bare(self, chunk: str, finished: bool = False) -> Any:
        ids = self._tokenizer.encode(chunk)
        return self._parser.parse_delta(chunk, ids, self._request, self._prompt, finished=finished)

    def feed(self, chunk: str, finished: bool = False) -> None:
        message = self.bare(chunk, finished)
        if message is not None:
            self.add(message.reasoning, message.content)


class _Sglang(_Subject):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._detector = servers.sglang_reasoning_detector(name)()
        self.bare: Feed = self._detector.parse_streaming_increment

    def feed(self, chunk: str, finished: bool = False) -> None:
        results = [self._detector.parse_streaming_increment(chunk)]
        if finished:
            results.append(self._detector.finish())
        for result in results:
            self.add(result.reasoning_text, result.normal_text)


def _first_tag(marker: str) -> str:
    """Of a marker that begins with a control token and goes on in words, the token."""
    at = marker.find(">")
    return marker if at < 0 or marker.endswith(">") else marker[: at + 1]


def _tried(make: Callable[[], Any], name: str, tokenizer: MarkerTokenizer) -> dict[str, Any]:
    start, end = markers_of(name)
    # Where the prompt ends with the start marker, the model does not write it.
    start = "" if create_parser(name).in_reasoning else start
    whole = start + _REASONING + end + _ANSWER
    tried = dict.fromkeys(LAWS, 0)
    failed = dict.fromkeys(LAWS, 0)
    examples: dict[str, Any] = {}

    def note(law: str, chunks: Sequence[str], expected: Split) -> None:
        said = _run(make, chunks)
        tried[law] += 1
        # Some parsers trim by intent.
        if [part.strip() for part in said] != [part.strip() for part in expected]:
            failed[law] += 1
            examples.setdefault(law, {"chunks": list(chunks), "told": said})

    tokens = [tokenizer.decode(token) for token in tokenizer.encode(whole)]
    for size in (1, 2, 3, 7):
        chunks = ["".join(tokens[at : at + size]) for at in range(0, len(tokens), size)]
        note("split", chunks, (_REASONING, _ANSWER))
    for text in (whole, start + _REASONING + end, _ANSWER):
        for chunks in chunkings(text):
            note("chunking", chunks, _run(make, [text]))
    for cut in range(1, len(whole), 3):
        for size in (1, 3):
            chunks = [whole[:cut][at : at + size] for at in range(0, cut, size)]
            note("cut", chunks, _run(make, [whole[:cut]]))
    for tail in ("5 <", "<b", "3 < 5 and"):
        for text, expected in (
            (start + _REASONING + tail, (_REASONING + tail, "")),
            (whole + tail, (_REASONING, _ANSWER + tail)),
        ):
            note("end", [tokenizer.decode(token) for token in tokenizer.encode(text)], expected)
    body = start + _REASONING * 60 + end + _ANSWER * 10
    units = [tokenizer.decode(token) for token in tokenizer.encode(body)]
    timed = ["".join(units[at : at + 4]) for at in range(0, len(units), 4)]
    return {
        "laws": {
            law: "ok" if not failed[law] else f"{100 * (tried[law] - failed[law]) // tried[law]} %"
            for law in LAWS
        },
        "examples": examples,
        "us": round(microseconds(lambda: make().bare, timed, runs=20), 2),
    }


def _run(make: Callable[[], Any], chunks: Sequence[str]) -> Split:
    subject = make()
    for at, chunk in enumerate(chunks):
        subject.feed(chunk, at == len(chunks) - 1)
    return subject.told[0], subject.told[1]


if __name__ == "__main__":
    sys.exit(main())
