"""For callers that have token ids: special tokens are markers, text that spells them is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from smg_reasoning_parser import ReasoningDelta
from smg_tool_parser import ArgumentsDelta, CallOpened, TextDelta

from .composition import Event, OutputParser

__all__ = ("Detokenizer", "TokenFeeder")

_SEAL = "\ufdd0"
"""A code point that Unicode keeps free for a program's own use; put into what must not be read as a
marker, and taken out of everything that is told."""


class Detokenizer(Protocol):
    """Text out of token ids as they come; smg_tokenizer's `DecodeStream` is one."""

    def step(self, token_id: int, /) -> str | None:
        """The text that this token settles; None or "" while it settles none."""
        ...

    def flush(self) -> str | None:
        """What is left when the output has ended."""
        ...


class TokenFeeder:
    """Feeds a parser by token ids.

    `special_tokens` maps ids to their text: those are handed to the parser as they are. All other
    tokens go through the detokenizer, and where their text happens to spell a special token, it is
    no marker: it comes out as the text that the model wrote. Any grouping of the ids gives the
    same result.
    """

    def __init__(
        self,
        parser: OutputParser,
        detokenizer: Detokenizer,
        special_tokens: Mapping[int, str],
    ) -> None:
        self._parser = parser
        self._detokenizer = detokenizer
        self._special = special_tokens
        words = sorted({word for word in special_tokens.values() if len(word) > 1}, key=len)
        self._words = re.compile("|".join(map(re.escape, reversed(words)))) if words else None
        self._beginnings = frozenset(word[:n] for word in words for n in range(1, len(word)))
        self._longest = len(words[-1]) if words else 0
        # Ordinary text whose end could still become a special token's spelling.
        self._held = ""

    def feed(self, token_ids: Iterable[int]) -> list[Event]:
        """Takes in the next ids and returns what is certain now."""
        events: list[Event] = []
        for token_id in token_ids:
            marker = self._special.get(token_id)
            if marker is None:
                events += self._ordinary(self._detokenizer.step(token_id) or "")
            else:
                events += self._release()
                events += self._told(self._parser.feed, marker)
        return events

    def finish(self) -> list[Event]:
        """Ends the output and returns what was held back."""
        events = self._ordinary(self._detokenizer.flush() or "")
        events += self._release()
        return events + _unsealed(self._parser.finish())

    def _ordinary(self, text: str) -> list[Event]:
        if not text:
            return []
        text = self._held + text
        at = self._hold_back(text)
        text, self._held = text[:at], text[at:]
        return self._told(self._parser.feed, self._sealed(text))

    def _release(self) -> list[Event]:
        """The held text has ended before it spelled anything."""
        held, self._held = self._held, ""
        return self._told(self._parser.feed, self._sealed(held))

    def _hold_back(self, text: str) -> int:
        """Where the end begins that the next text could make a special token's spelling."""
        # A spelling that is whole is sealed, so its own end does not count.
        start = 0
        for found in self._words.finditer(text) if self._words else ():
            start = found.end()
        for at in range(max(start, len(text) - self._longest + 1), len(text)):
            if text[at:] in self._beginnings:
                return at
        return len(text)

    def _sealed(self, text: str) -> str:
        if self._words is None:
            return text
        return self._words.sub(lambda found: found[0][0] + _SEAL + found[0][1:], text)

    @staticmethod
    def _told(feed: Callable[[str], list[Event]], text: str) -> list[Event]:
        return _unsealed(feed(text)) if text else []


def _unsealed(events: list[Event]) -> list[Event]:
    return [told for event in events if (told := _without_seal(event)) is not None]


def _without_seal(event: Event) -> Event | None:
    """The event as the model wrote it; None if there was nothing else in it."""
    if isinstance(event, ArgumentsDelta):
        fragment = event.json.replace(_SEAL, "")
        return ArgumentsDelta(event.index, fragment) if fragment else None
    if isinstance(event, CallOpened):
        return CallOpened(event.index, event.id.replace(_SEAL, ""), event.name.replace(_SEAL, ""))
    if isinstance(event, TextDelta | ReasoningDelta) and _SEAL in event.text:
        text = event.text.replace(_SEAL, "")
        return type(event)(text) if text else None
    return event
