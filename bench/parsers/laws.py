"""What is tried on every parser, and the first text on which each law did not hold."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from smg_tool_parser import ArgumentsDelta, CallClosed, CallOpened, Event, Parsed, gather
from smg_tool_parser.testing import PROPERTIES, TOOLS, Feeder, Output, check, chunkings, corpus
from smg_tool_parser.testing.formats import MARKERS
from tokens import MarkerTokenizer

LAWS: Mapping[str, str] = {
    "calls": "well-formed calls are read as written, markers arriving whole",
    "tokens": "well-formed outputs read alike however many tokens a chunk has",
    "chunking": "well-formed outputs read alike for any chunking, also inside markers",
    "broken": "the same for outputs that are cut off, spoiled or hostile",
    "text": "text without a call arrives unchanged, also text that looks like half a marker",
    "json": "a call's arguments, joined, are one JSON value (well-formed outputs)",
    "cut": "the same for outputs that are cut off, spoiled or hostile",
    "order": "calls open one after the other with indices 0, 1, 2, ...",
    "memory": PROPERTIES["memory"],
    "work": PROPERTIES["work"],
}
"""The columns of the table."""

Make = Callable[[], Feeder]

_WELL_FORMED = {"text", "calls", "text behind"}
_PLAIN = ("Nothing to do, just an answer.", 'a < b & [c] {d}: "e"', "x" * 40)


class Tally:
    """How often each law held, with the first failure's text and chunks."""

    def __init__(self) -> None:
        self.tried = dict.fromkeys(LAWS, 0)
        self.failed = dict.fromkeys(LAWS, 0)
        self.example: dict[str, tuple[list[str], str]] = {}

    def note(self, law: str, holds: bool, chunks: Sequence[str], told: str = "") -> None:
        self.tried[law] += 1
        if not holds:
            self.failed[law] += 1
            self.example.setdefault(law, (list(chunks), told))

    def cell(self, law: str) -> str:
        tried, failed = self.tried[law], self.failed[law]
        if not tried:
            return "-"
        return "ok" if not failed else f"{100 * (tried - failed) // tried} %"


def try_all(make: Make, name: str, tokenizer: MarkerTokenizer) -> Tally:
    """Tries the parser of the format `name` on that format's corpus."""
    tally = Tally()
    for number, output in enumerate(corpus(name)):
        if output.kind in _WELL_FORMED:
            _try_tokens(tally, make, output, tokenizer)
        _try_any(tally, make, output, number)
    for text in (*_PLAIN, *(word[:-1] for word in MARKERS[name] if len(word) > 4)):
        for chunks in chunkings(text, random_ones=2):
            _try_text(tally, make, text, chunks)
    _try_suite(tally, make)
    return tally


def _run(make: Make, chunks: Sequence[str]) -> tuple[list[Event], str]:
    """The events, and the exception if there was one."""
    events: list[Event] = []
    try:
        feeder = make()
        for chunk in chunks:
            events.extend(feeder.feed(chunk))
        events.extend(feeder.finish())
    except Exception as problem:  # noqa: BLE001 - a rival raises whatever it raises
        return events, f"{type(problem).__name__}: {problem}"
    return events, ""


def _tokenwise(text: str, tokenizer: MarkerTokenizer) -> Iterator[list[str]]:
    tokens = [tokenizer.decode(token) for token in tokenizer.encode(text)]
    for size in (1, 2, 3, 7):
        yield ["".join(tokens[at : at + size]) for at in range(0, len(tokens), size)]
    chance = random.Random(0)
    for _ in range(3):
        cuts = sorted(chance.randint(0, len(tokens)) for _ in range(4))
        bounds = [0, *cuts, len(tokens)]
        yield ["".join(tokens[a:b]) for a, b in pairwise(bounds)]


def _try_tokens(tally: Tally, make: Make, output: Output, tokenizer: MarkerTokenizer) -> None:
    expected: object = None
    for chunks in _tokenwise(output.text, tokenizer):
        events, problem = _run(make, chunks)
        read = _comparable(events, problem)
        expected = read if expected is None else expected
        tally.note("tokens", read == expected and not problem, chunks, problem or _shown(events))
        tally.note("json", _all_json(events), chunks, _shown(events))
        if output.calls is not None:
            written = [(name, _value(json.dumps(dict(args)))) for name, args in output.calls]
            tally.note("calls", _calls(events) == written, chunks, problem or _shown(events))


def _try_any(tally: Tally, make: Make, output: Output, seed: int) -> None:
    well_formed = output.kind in _WELL_FORMED
    events, problem = _run(make, [output.text])
    expected = _comparable(events, problem)
    for chunks in chunkings(output.text, seed):
        events, problem = _run(make, chunks)
        holds = _comparable(events, problem) == expected and not problem
        told = problem or _shown(events)
        tally.note("chunking" if well_formed else "broken", holds, chunks, told)
        tally.note("order", _in_order(events), chunks, told)
        if not well_formed:
            tally.note("cut", _all_json(events), chunks, told)


def _try_text(tally: Tally, make: Make, text: str, chunks: Sequence[str]) -> None:
    events, problem = _run(make, chunks)
    parsed = _gathered(events)
    holds = parsed is not None and parsed.normal_text == text and not parsed.calls
    tally.note("text", holds and not problem, chunks, problem or _shown(events))


def _try_suite(tally: Tally, make: Make) -> None:
    try:
        report = check(lambda tools: make(), [])
    except Exception as problem:  # noqa: BLE001 - a rival raises whatever it raises
        for law in ("memory", "work"):
            tally.note(law, False, ["prose"], str(problem))
        return
    for law in ("memory", "work"):
        tally.note(law, not report.failed[law], ["prose"])


def _gathered(events: Sequence[Event]) -> Parsed | None:
    try:
        return gather(events)
    except KeyError:
        # Arguments of a call that was never opened.
        return None


def _shown(events: Sequence[Event]) -> str:
    parsed = _gathered(events)
    if parsed is None:
        return "arguments of a call without a name"
    return f"text {parsed.normal_text!r}, calls {[(c.name, c.arguments) for c in parsed.calls]}"


def _comparable(events: Sequence[Event], problem: str) -> object:
    parsed = _gathered(events)
    if parsed is None or problem:
        return problem or "arguments of a call without a name"
    # White space around a text tells a reader nothing, and some parsers drop it by intent.
    return parsed.normal_text.strip(), _calls(events)


def _calls(events: Sequence[Event]) -> list[tuple[str, object]]:
    parsed = _gathered(events)
    return [] if parsed is None else [(c.name, _value(c.arguments)) for c in parsed.calls]


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return ("no JSON", text)


def _refuse(name: str) -> Any:
    """`NaN` and the like are no JSON, whatever the reader thinks."""
    raise ValueError(name)


def _all_json(events: Sequence[Event]) -> bool:
    parsed = _gathered(events)
    return parsed is not None and not any(
        isinstance(_value(call.arguments), tuple) for call in parsed.calls
    )


def _in_order(events: Sequence[Event]) -> bool:
    opened, current = 0, -1
    for event in events:
        match event:
            case CallOpened(index=index):
                if index != opened:
                    return False
                opened, current = opened + 1, index
            case ArgumentsDelta(index=index) | CallClosed(index=index):
                if index != current:
                    return False
            case _:
                pass
    return True


__all__ = ("LAWS", "TOOLS", "Tally", "try_all")
