"""Calls in braces with unquoted keys: `call:NAME{key:value,...}`, strings between quote markers."""

from __future__ import annotations

from collections.abc import Generator

from ..json_stream import is_json
from ..scanning import expect, until
from ..tape import Grammar
from .desk import CutOff, Desk, Tags, at_tag, capture, skip_blanks, verbatim
from .values import quote

__all__ = ("BraceCalls",)

_MAX_DEPTH = 64
_CALL = "call:"
_Done = Generator[None, None, bool]


class BraceCalls:
    """One such format: its tags, its quote marker, and the words for bare values that are no text."""

    def __init__(self, tags: tuple[str, str], quotes: str, words: dict[str, str]) -> None:
        self.openers: tuple[str, ...] = tags[:1]
        self._closer = tags[1]
        self._quotes = quotes
        self._words = words
        self._tags = Tags(*tags)
        self._in_name = Tags("{", *tags)
        self._in_string = Tags(quotes, tags[1])
        self._in_key = Tags(":", ",", "{", "}", "[", "]", *tags)
        self._in_value = Tags(",", "}", "]", *tags)

    def __call__(self, desk: Desk, word: str) -> Grammar:
        desk.self_closing = True
        found = word
        while found == self.openers[0]:
            desk.read(len(found))
            found = yield from self._call(desk)
        desk.read(len(found))

    def _call(self, desk: Desk) -> Generator[None, None, str]:
        """Reads what stands between the tags; the tag that ended it, which stays unread."""
        desk.hold()
        yield from skip_blanks(desk)
        if not (yield from expect(desk, _CALL)):
            if desk.ended and _CALL.startswith(desk.buf[desk.pos :]):
                raise CutOff
            return (yield from verbatim(desk, self._tags))
        desk.read(len(_CALL))
        begin = len(desk.held())
        found = yield from capture(desk, self._in_name)
        name = desk.held()[begin:].strip()
        if found != "{" or not name:
            return (yield from verbatim(desk, self._tags))
        desk.read(1)
        desk.begin(name)
        desk.tell("{", "}")
        whole = yield from self._members(desk, "}")
        desk.end_call(complete=True) if whole else self._close(desk)
        desk.hold()
        if not whole:
            return (yield from verbatim(desk, self._tags))
        yield from skip_blanks(desk)
        if not (found := (yield from at_tag(desk, self._tags))):
            return (yield from verbatim(desk, self._tags))
        desk.held_is_markup()
        return found

    def _close(self, desk: Desk) -> None:
        desk.arguments(desk.missing)
        desk.missing = ""
        desk.end_call(complete=True)

    def _members(self, desk: Desk, end: str) -> _Done:
        """Reads members behind the opening brace, the closing one too; whether they were readable."""
        outer = desk.missing
        separator = ""
        while True:
            desk.hold()
            char = yield from skip_blanks(desk)
            if char in {",", end}:
                desk.read(1)
                desk.held_is_markup()
                if char == end:
                    desk.tell(end, outer.removeprefix(end))
                    return True
                continue
            key = yield from self._key(desk)
            if key is None or (yield from skip_blanks(desk)) != ":":
                return False
            desk.read(1)
            if not (yield from self._value(desk, f"{separator}{quote(key)}: ")):
                return False
            separator = ", "

    def _items(self, desk: Desk) -> _Done:
        outer = desk.missing
        separator = ""
        while True:
            desk.hold()
            char = yield from skip_blanks(desk)
            if char in ",]":
                desk.read(1)
                desk.held_is_markup()
                if char == "]":
                    desk.tell("]", outer.removeprefix("]"))
                    return True
                continue
            # A bare value would be empty here, and reading would not get ahead.
            if char == "}" or not (yield from self._value(desk, separator)):
                return False
            separator = ", "

    def _key(self, desk: Desk) -> Generator[None, None, str | None]:
        begin = len(desk.held())
        if (yield from self._quoted(desk)):
            desk.read(len(self._quotes))
            begin += len(self._quotes)
            found = yield from capture(desk, self._in_string)
            key = desk.held()[begin:]
            if found != self._quotes:
                return None
            desk.read(len(found))
            return key
        found = yield from capture(desk, self._in_key)
        return desk.held()[begin:].strip() or None if found == ":" else None

    def _quoted(self, desk: Desk) -> _Done:
        there = yield from expect(desk, self._quotes)
        if not there and desk.ended and self._quotes.startswith(desk.buf[desk.pos :]):
            raise CutOff
        return there

    def _value(self, desk: Desk, before: str) -> _Done:
        """Reads a value; what is told before it is held back until it has begun."""
        char = yield from skip_blanks(desk)
        outer = desk.missing
        if char in "{[":
            if len(outer) >= _MAX_DEPTH:
                return False
            desk.read(1)
            desk.held_is_markup()
            end = "}" if char == "{" else "]"
            desk.tell(before + char, end + outer)
            if char == "{":
                return (yield from self._members(desk, end))
            return (yield from self._items(desk))
        if (yield from self._quoted(desk)):
            desk.read(len(self._quotes))
            desk.held_is_markup()
            desk.tell(before + '"', '"' + outer)
            found = yield from until(desk, self._in_string, desk.string, whole=False)
            if not found:
                raise CutOff
            desk.tell('"', outer)
            if found == self._quotes:
                desk.read(len(found))
                return True
            return False
        begin = len(desk.held())
        found = yield from until(desk, self._in_value, desk.read)
        if not found:
            raise CutOff
        if found in self._tags.words:
            return False
        text = desk.held()[begin:].strip()
        desk.held_is_markup()
        desk.arguments(before + self._bare(text))
        return True

    def _bare(self, text: str) -> str:
        if text in self._words:
            return self._words[text]
        is_number = text[:1] in {*"-0123456789"} and is_json(text)
        return text if is_number else quote(text)
