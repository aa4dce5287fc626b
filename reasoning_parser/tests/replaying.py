"""One case tried for the laws: a parser with its options, and an output in chunks.

A case is `{"parser": name, "started": true, false or null, "hold_lead": bool, "chunks": [...]}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smg_reasoning_parser import Parsed, ReasoningDelta, create_parser

Case = Mapping[str, Any]

_LONGEST_MARKER_CHARS = 128


def broken_law(case: Case) -> str:
    """What is wrong, or ""."""
    chunks: Sequence[str] = case["chunks"]
    text = "".join(chunks)
    whole = _read(case, [text])
    if any(_read(case, split) != whole for split in (chunks, list(text))):
        return "the result depends on the chunks"
    if not case["hold_lead"] and _most_held(case, text) > _LONGEST_MARKER_CHARS:
        return "more than a marker is held back"
    if len(whole.reasoning) + len(whole.normal_text) > len(text):
        return "there is more text than there was"
    return ""


def _read(case: Case, chunks: Iterable[str]) -> Parsed:
    parser = create_parser(
        case["parser"], reasoning_started=case["started"], hold_lead=case["hold_lead"]
    )
    events = [event for chunk in chunks for event in parser.feed(chunk)] + parser.finish()
    assert all(event.text for event in events), "an event is empty"
    reasoning = (event.text for event in events if isinstance(event, ReasoningDelta))
    normal = (event.text for event in events if not isinstance(event, ReasoningDelta))
    return Parsed("".join(reasoning), "".join(normal))


def _most_held(case: Case, text: str) -> int:
    parser = create_parser(case["parser"], reasoning_started=case["started"])
    parser.feed(text)
    return sum(len(event.text) for event in parser.finish())
