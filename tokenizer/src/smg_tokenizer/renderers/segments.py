"""Prompts in pieces that know whether control tokens may be read in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .contract import ChatRenderer, JsonObject, RenderOptions

__all__ = ("Segment", "SegmentRenderer", "joined")


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt.

    `is_markup` pieces are the format's own and hold control tokens. The others came with the
    request: whoever encodes them without special tokens keeps users from forging control tokens.
    """

    text: str
    is_markup: bool


class SegmentRenderer(ChatRenderer, Protocol):
    """A renderer that can tell its own markup from the text of the request."""

    def render_segments(
        self, messages: Sequence[JsonObject], options: RenderOptions
    ) -> list[Segment]:
        """The prompt in pieces; joined they are what `render` gives. Raises the same errors."""
        ...


class Prompt:
    """Collects a prompt; neighbours of one kind become one segment."""

    def __init__(self) -> None:
        self._segments: list[tuple[list[str], bool]] = []

    def markup(self, text: str) -> None:
        """Add text of the format itself."""
        self._add(text, is_markup=True)

    def text(self, text: str) -> None:
        """Add text that came with the request."""
        self._add(text, is_markup=False)

    def extend(self, segments: Iterable[Segment]) -> None:
        """Add finished segments."""
        for segment in segments:
            self._add(segment.text, is_markup=segment.is_markup)

    def segments(self) -> list[Segment]:
        """Everything so far."""
        return [Segment("".join(parts), is_markup) for parts, is_markup in self._segments]

    def _add(self, text: str, *, is_markup: bool) -> None:
        if not text:
            return
        if self._segments and self._segments[-1][1] is is_markup:
            self._segments[-1][0].append(text)
        else:
            self._segments.append(([text], is_markup))


def joined(segments: Iterable[Segment]) -> str:
    """The prompt as one text."""
    return "".join(segment.text for segment in segments)
