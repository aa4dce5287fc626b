"""The properties that a parser of streamed tool calls should have, and checks for them."""

from __future__ import annotations

import json
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import FrameType
from typing import Any, Protocol

from ..events import (
    ArgumentsDelta,
    CallClosed,
    CallOpened,
    Event,
    MarkupDelta,
    Parsed,
    TextDelta,
    gather,
)
from .corpus import TOOLS, Output

__all__ = ("PROPERTIES", "Factory", "Feeder", "Report", "check", "chunkings")

Tools = Sequence[Mapping[str, Any]]

CHUNKING = "chunking"
LOSSLESS = "lossless"
JSON = "json"
ORDER = "order"
CALLS = "calls"
MEMORY = "memory"
WORK = "work"

PROPERTIES: Mapping[str, str] = {
    CHUNKING: "any chunking of a text gives the result of the whole text",
    LOSSLESS: "text and markup, joined, are the input",
    JSON: "the fragments of a call's arguments, joined, are one JSON value",
    ORDER: "calls open and close one after the other, with indices 0, 1, 2, ...",
    CALLS: "well-formed calls are read as they were written",
    MEMORY: "prose is handed on, not kept",
    WORK: "the work for a chunk does not grow with the text before it",
}
"""Each property with what it says."""

# A parser may keep this much of a long prose, in bytes, and allocate as much for one more chunk.
_KEPT_BYTES = 32_768


class Feeder(Protocol):
    """A parser of one output, or a rival wrapped to look like one."""

    def feed(self, delta: str) -> Iterable[Event]: ...

    def finish(self) -> Iterable[Event]: ...


Factory = Callable[[Tools], Feeder]
"""Makes a fresh parser for the declared tools."""


class Report:
    """How often each property held, and for each one the first text for which it did not."""

    __slots__ = ("failed", "first_failure", "tried")

    def __init__(self) -> None:
        self.tried: dict[str, int] = dict.fromkeys(PROPERTIES, 0)
        self.failed: dict[str, int] = dict.fromkeys(PROPERTIES, 0)
        self.first_failure: dict[str, str] = {}

    @property
    def passed(self) -> bool:
        return not any(self.failed.values())

    def note(self, name: str, holds: bool, text: str) -> None:
        """Counts one try."""
        self.tried[name] += 1
        if not holds:
            self.failed[name] += 1
            self.first_failure.setdefault(name, text)


def chunkings(text: str, seed: int = 0, random_ones: int = 6) -> Iterator[list[str]]:
    """Ways to cut a text: into single characters, pieces of equal size, random pieces."""
    for size in (1, 2, 3, 7, 16):
        yield [text[at : at + size] for at in range(0, len(text), size)]
    chance = random.Random(seed)
    for _ in range(random_ones):
        count = chance.randint(1, 8)
        cuts = sorted(chance.randint(0, len(text)) for _ in range(count))
        bounds = [0, *cuts, len(text)]
        yield [text[start:end] for start, end in pairwise(bounds)]


def check(
    factory: Factory, outputs: Iterable[Output], *, lossless: Factory | None = None, seed: int = 0
) -> Report:
    """Tries a parser on outputs.

    `factory` makes it as it is used; `lossless`, if there is such a mode, so that it accounts for
    every character with `TextDelta` and `MarkupDelta` events. An exception counts as a failure of
    the chunking law.
    """
    report = Report()
    for number, output in enumerate(outputs):
        _check_output(report, factory, output, seed + number)
        if lossless is not None:
            _check_lossless(report, lossless, output.text, seed + number)
    report.note(MEMORY, _keeps_little(factory), "prose")
    report.note(WORK, _works_evenly(factory), "prose")
    return report


def _run(factory: Factory, chunks: Iterable[str]) -> list[Event]:
    feeder = factory(TOOLS)
    events: list[Event] = []
    for chunk in chunks:
        events.extend(feeder.feed(chunk))
    events.extend(feeder.finish())
    return events


def _check_output(report: Report, factory: Factory, output: Output, seed: int) -> None:
    text = output.text
    try:
        whole = _run(factory, [text])
        expected = _comparable(gather(whole))
        for chunks in chunkings(text, seed):
            events = _run(factory, chunks)
            report.note(CHUNKING, _comparable(gather(events)) == expected, text)
            report.note(ORDER, _in_order(events), text)
            report.note(JSON, _valid_json(events), text)
    except Exception:  # noqa: BLE001 - a rival raises whatever it raises, and has then failed
        report.note(CHUNKING, False, text)
        return
    if output.calls is not None:
        written = [(name, json.dumps(dict(arguments))) for name, arguments in output.calls]
        read = [(call.name, call.arguments) for call in gather(whole).calls if call.complete]
        report.note(CALLS, _same_calls(read, written), text)


def _check_lossless(report: Report, factory: Factory, text: str, seed: int) -> None:
    for chunks in chunkings(text, seed, random_ones=2):
        pieces = [
            event.text
            for event in _run(factory, chunks)
            if isinstance(event, TextDelta | MarkupDelta)
        ]
        report.note(LOSSLESS, "".join(pieces) == text, text)


def _comparable(parsed: Parsed) -> object:
    return parsed.normal_text, [
        (call.name, _value(call.arguments), call.complete) for call in parsed.calls
    ]


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return ("no JSON", text)


def _refuse(name: str) -> None:
    """`NaN` and the like are no JSON, whatever the reader thinks."""
    raise ValueError(name)


def _same_calls(read: list[tuple[str, str]], written: list[tuple[str, str]]) -> bool:
    def values(calls: list[tuple[str, str]]) -> list[tuple[str, object]]:
        return [(name, json.loads(arguments)) for name, arguments in calls]

    try:
        return values(read) == values(written)
    except ValueError:
        return False


def _valid_json(events: Iterable[Event]) -> bool:
    return not any(isinstance(_value(call.arguments), tuple) for call in gather(events).calls)


def _in_order(events: Iterable[Event]) -> bool:
    open_index, next_index = -1, 0
    for event in events:
        match event:
            case CallOpened(index=index):
                if open_index >= 0 or index != next_index:
                    return False
                open_index, next_index = index, index + 1
            case ArgumentsDelta(index=index):
                if index != open_index:
                    return False
            case CallClosed(index=index):
                if index != open_index:
                    return False
                open_index = -1
            case _:
                pass
    return open_index < 0


_PROSE = "The tea is ready, and so is the cake; help yourself to some of it. "


def _prose_chunks(count: int, size: int) -> list[str]:
    text = _PROSE * (count * size // len(_PROSE) + 1)
    return [text[at * size : (at + 1) * size] for at in range(count)]


def _keeps_little(factory: Factory) -> bool:
    """Feeds a long prose and looks at what stays allocated, and at what a late chunk allocates."""
    chunks = _prose_chunks(8_000, 32)
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        feeder = factory(TOOLS)
        for chunk in chunks[:100]:
            list(feeder.feed(chunk))
        before, _ = tracemalloc.get_traced_memory()
        for chunk in chunks[100:]:
            list(feeder.feed(chunk))
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        list(feeder.feed(chunks[0]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return after - before < _KEPT_BYTES and peak - after < _KEPT_BYTES


def _works_evenly(factory: Factory) -> bool:
    """Counts the lines executed for early and for late chunks."""
    chunks = _prose_chunks(4_000, 4)
    feeder = factory(TOOLS)
    early = _lines(feeder, chunks[:400])
    for chunk in chunks[400:3_600]:
        list(feeder.feed(chunk))
    late = _lines(feeder, chunks[3_600:])
    return late <= 2 * early + 100


def _lines(feeder: Feeder, chunks: Sequence[str]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for chunk in chunks:
            list(feeder.feed(chunk))
    finally:
        sys.settrace(before)
    return count
