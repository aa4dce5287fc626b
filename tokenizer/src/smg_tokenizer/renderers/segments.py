"""Prompts in pieces that know whether control tokens are read in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from .contract import ChatRenderer, JsonObject, RenderOptions

__all__ = ("Segment", "SegmentRenderer", "joined")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt: control tokens of the format, or ordinary text between them.

    Whoever encodes ordinary text without looking for special tokens keeps users from forging them.
    As long as nobody tries, that gives the ids of the whole prompt.
    """

    text: str
    is_control: bool


class SegmentRenderer(ChatRenderer, Protocol):
    """A renderer that can tell its own control tokens from the text of the request."""

    def render_segments(
        self, messages: Sequence[JsonObject], options: RenderOptions
    ) -> list[Segment]:
        """The prompt in pieces; joined they are what `render` gives. Raises the same errors."""
        ...


class Prompt:
    """Collects a prompt; neighbours of one kind become one segment."""

    def __init__(self, controls: re.Pattern[str]) -> None:
        """`controls` matches the control tokens that the format itself writes."""
        self._controls = controls
        self._segments: list[tuple[list[str], bool]] = []

    def markup(self, text: str) -> None:
        """Add text of the format itself, in which control tokens are meant."""
        for piece, is_control in _cut(self._controls, text):
            self._add(piece, is_control=is_control)

    def text(self, text: str) -> None:
        """Add text that came with the request."""
        self._add(text, is_control=False)

    def extend(self, segments: Iterable[Segment]) -> None:
        """Add finished segments."""
        for segment in segments:
            self._add(segment.text, is_control=segment.is_control)

    def segments(self) -> list[Segment]:
        """Everything so far."""
        return [Segment("".join(parts), is_control) for parts, is_control in self._segments]

    def _add(self, text: str, *, is_control: bool) -> None:
        if not text:
            return
        if self._segments and self._segments[-1][1] is is_control:
            self._segments[-1][0].append(text)
        else:
            self._segments.append(([text], is_control))


@lru_cache(maxsize=512)
def _cut(controls: re.Pattern[str], text: str) -> tuple[tuple[str, bool], ...]:
    """A text of a format, cut at its control tokens. Formats say few things, again and again."""
    pieces = []
    start = 0
    for match in controls.finditer(text):
        pieces += [(text[start : match.start()], False), (match.group(), True)]
        start = match.end()
    return (*pieces, (text[start:], False))


def any_of(*tokens: str) -> re.Pattern[str]:
    """A pattern for these tokens."""
    return re.compile("|".join(map(re.escape, tokens)))


def joined(segments: Iterable[Segment]) -> str:
    """The prompt as one text."""
    return "".join(segment.text for segment in segments)
