"""Texts to try parsers on: well-formed, cut off, spoiled, and hostile ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from .formats import FORMATS, MARKERS, WrittenCall, write_calls

__all__ = ("TOOLS", "Output", "corpus", "hostile_texts", "spoiled")


def _tool(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS: Sequence[Mapping[str, Any]] = (
    _tool(
        "plan_trip",
        {
            "place": {"type": "string"},
            "days": {"type": "integer"},
            "budget": {"type": "number"},
            "flexible": {"type": "boolean"},
            "stops": {"type": "array", "items": {"type": "string"}},
            "extras": {"type": "object", "properties": {"seat": {"type": "integer"}}},
        },
    ),
    _tool("find_item", {"code": {"type": "string"}, "count": {"type": "integer"}}),
    _tool("wave", {}),
)
"""The tools that the corpus calls."""

_CALLS: tuple[tuple[WrittenCall, ...], ...] = (
    (("find_item", {"code": "A-1", "count": 3}),),
    (("wave", {}),),
    (("plan_trip", {"place": "Lund", "days": 2, "budget": 10.5, "flexible": True}),),
    (("plan_trip", {"place": "São Tomé 🏝", "stops": ["x", "y z"], "extras": {"seat": 4}}),),
    (("find_item", {"code": "A-1"}), ("wave", {}), ("find_item", {"code": "B-2", "count": 0})),
    (("wave", {}), ("plan_trip", {"place": "line one\nline two"})),
)
_PROSE = ("", "Let me look. ", "見てみます。\n")


class Output:
    """A model's output. `calls` is what is in it, or None where that is for nobody to say."""

    __slots__ = ("calls", "kind", "text")

    def __init__(self, kind: str, text: str, calls: Sequence[WrittenCall] | None = None) -> None:
        self.kind = kind
        self.text = text
        self.calls = calls


def corpus(name: str, seed: int = 0) -> list[Output]:
    """Outputs for the parser `name`, the same for the same seed."""
    chance = random.Random(f"{name} {seed}")
    outputs = [
        Output("text", "Nothing to do, just an answer about tea & cake. "),
        Output("text", ""),
    ]
    sets = _CALLS if name in FORMATS else ()
    for calls in sets:
        markup = write_calls(name, calls)
        for before in _PROSE:
            outputs.append(Output("calls", before + markup, calls))
        outputs.append(Output("text behind", markup + " There you are."))
        for _ in range(4):
            cut = chance.randrange(1, len(markup))
            outputs.append(Output("cut off", _PROSE[1] + markup[:cut]))
        for _ in range(6):
            outputs.append(Output("spoiled", spoiled(chance, name, markup)))
    outputs.extend(Output("hostile", text) for text in hostile_texts(name))
    return outputs


def spoiled(chance: random.Random, name: str, text: str) -> str:
    """`text` with some of it missing, and markers and odd characters put in."""
    odd = (*MARKERS[name], "\n", " ", '"', "<", "{", "}", "\\", "\0", "\ud800", "é", "'")
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(0, len(text))
        if chance.random() < 0.5:
            text = text[:at] + text[at + chance.randint(1, 9) :]
        else:
            text = text[:at] + chance.choice(odd) + text[at:]
    return text


def hostile_texts(name: str, repeats: int = 40) -> list[str]:
    """Texts made to make a parser work, remember or lose too much."""
    markers = MARKERS[name]
    texts = [marker * repeats for marker in markers]
    texts += [marker[:-1] for marker in markers if len(marker) > 1]
    texts += ["".join(markers) * 3, "{" * repeats, "[" * repeats, '"' * repeats, "\\" * repeats]
    texts += ["\0\0 \ud800 \udfff", "\r\n \t" * repeats]
    if name in FORMATS:
        markup = write_calls(name, _CALLS[0])
        texts.append(markup[: len(markup) // 2] * repeats)
        texts.append(markup * repeats)
        # Markers inside a value.
        inside = {"code": " ".join(marker for marker in markers)}
        texts.append(write_calls(name, [("find_item", inside)]))
        nested: object = 1
        for _ in range(200):
            nested = [nested]
        texts.append(write_calls(name, [("find_item", {"code": nested})]))
    return texts
