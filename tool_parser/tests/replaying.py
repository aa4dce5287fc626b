"""One case tried for the laws: a parser or a Symphony table, and an output in chunks.

A case is `{"parser": name, "chunks": [...]}` or `{"table": name, "chunks": [...]}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from smg_tool_parser import Event, MarkupDelta, Parsed, TextDelta, create_parser, gather
from smg_tool_parser.symphony import create_symphony, gather_symphony
from smg_tool_parser.testing import TOOLS

Case = Mapping[str, Any]

# No format has a longer marker; what else is held back is the markup of a call, or junk.
_LONGEST_MARKER_CHARS = 64


def broken_law(case: Case) -> str:
    """What is wrong, or ""."""
    chunks: Sequence[str] = case["chunks"]
    text = "".join(chunks)
    if "table" in case:
        return _broken_by_table(case["table"], text, chunks)
    return _broken_by_parser(case["parser"], text, chunks)


def _broken_by_parser(name: str, text: str, chunks: Sequence[str]) -> str:
    whole = _compared(gather(_events(name, [text])))
    for split in (chunks, list(text)):
        told = _events(name, split)
        if _compared(gather(told)) != whole:
            return "the result depends on the chunks"
        lossless = _events(name, split, lossless=True)
        shown = (one.text for one in lossless if isinstance(one, TextDelta | MarkupDelta))
        if "".join(shown) != text:
            return "text is lost"
    if any(not _is_json(call[1]) for call in whole[1]):
        return "arguments are no JSON"
    return ""


def _events(name: str, chunks: Iterable[str], *, lossless: bool = False) -> list[Event]:
    parser = create_parser(name, TOOLS, lossless=lossless)
    events: list[Event] = []
    for chunk in chunks:
        events += parser.feed(chunk)
        assert parser.unread_chars < _LONGEST_MARKER_CHARS, "too much stays unread"
    return events + parser.finish()


def _broken_by_table(name: str, text: str, chunks: Sequence[str]) -> str:
    for as_written in (False, True):
        whole = _symphony(name, [text], as_written)
        if any(_symphony(name, split, as_written) != whole for split in (chunks, list(text))):
            return "the result depends on the chunks"
        if not as_written and any(not _is_json(call[1]) for call in whole[1]):
            return "arguments are no JSON"
    return ""


def _symphony(name: str, chunks: Iterable[str], as_written: bool) -> _Compared:
    parser = create_symphony(name, TOOLS, as_written=as_written)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    parsed = gather_symphony(events + parser.finish())
    return (
        parsed.reasoning + "|" + parsed.normal_text,
        [(call.name, call.arguments, call.complete) for call in parsed.calls],
    )


_Compared = tuple[str, list[tuple[str, str, bool]]]


def _compared(parsed: Parsed) -> _Compared:
    calls = [(call.name, call.arguments, call.complete) for call in parsed.calls]
    return parsed.normal_text, calls


def _is_json(text: str) -> bool:
    def refuse(name: str) -> Callable[[], None]:
        raise ValueError(name)

    try:
        # As text, because Python limits the digits of integers that it reads.
        json.loads(text, parse_int=str, parse_float=str, parse_constant=refuse)
    except ValueError:
        return False
    return True
