"""Calls written like Python's: `name(key=value, ...)`, with JSON or Python literals as values."""

from __future__ import annotations

import re
from collections.abc import Generator

from ..python_literals import literal_json
from ..scanning import Markers, expect, until
from ..tape import Grammar
from .desk import CutOff, Desk, Tags, at_tag, capture, more, skip_blanks, verbatim
from .objects import read_json
from .values import quote

__all__ = ("KeywordCalls",)

_Done = Generator[None, None, bool]
_NAME = re.compile(r"[\w.\-]+")
_BRACKETS = Markers("[", "]", "(", ")", "{", "}", "'", '"', ",")
_STRING_ENDS = {mark: Markers(mark, "\\") for mark in ("'", '"')}
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|[\s\S])")
_LONGEST_ESCAPE_CHARS = 10


class KeywordCalls:
    """Such calls between tags: in brackets and separated by commas, or by white space alone."""

    def __init__(self, tags: tuple[str, str], *, brackets: bool, json_values: bool) -> None:
        self.openers: tuple[str, ...] = tags[:1]
        self._tags = Tags(*tags)
        self._in_name = Tags("(", ")", "[", "]", ",", "\n", *tags)
        self._in_key = Tags("=", "(", ")", ",", *tags)
        self._brackets = brackets
        self._json_values = json_values

    def __call__(self, desk: Desk, word: str) -> Grammar:
        found = word
        while found == self.openers[0]:
            desk.read(len(found))
            found = yield from self._calls(desk)
        desk.read(len(found))

    def _calls(self, desk: Desk) -> Generator[None, None, str]:
        """Reads what stands between the tags; the tag that ended it, which stays unread."""
        desk.hold()
        if self._brackets:
            if (yield from skip_blanks(desk)) != "[":
                return (yield from verbatim(desk, self._tags))
            desk.read(1)
            desk.held_is_markup()
        while True:
            char = yield from skip_blanks(desk)
            if char == "," and self._brackets:
                desk.read(1)
                continue
            if char == "]" and self._brackets:
                desk.read(1)
                return (yield from self._closed(desk))
            desk.hold()
            if not self._brackets and (found := (yield from at_tag(desk, self._tags))):
                desk.held_is_markup()
                return found
            if not (yield from self._call(desk)):
                return (yield from verbatim(desk, self._tags))

    def _closed(self, desk: Desk) -> Generator[None, None, str]:
        desk.hold()
        yield from skip_blanks(desk)
        if not (found := (yield from at_tag(desk, self._tags))):
            return (yield from verbatim(desk, self._tags))
        desk.held_is_markup()
        return found

    def _call(self, desk: Desk) -> _Done:
        """Reads a call and closes it; whether all of it was readable. What was not is in the hold."""
        begin = len(desk.held())
        found = yield from capture(desk, self._in_name)
        name = desk.held()[begin:].strip()
        if found != "(" or not _NAME.fullmatch(name):
            return False
        desk.read(1)
        desk.begin(name)
        whole = yield from self._members(desk)
        if whole:
            desk.arguments("}" if desk.had_arguments else "{}")
        else:
            desk.arguments(desk.missing)
        desk.end_call(complete=True)
        return whole

    def _members(self, desk: Desk) -> _Done:
        while True:
            desk.hold()
            char = yield from skip_blanks(desk)
            if char in ",)":
                desk.read(1)
                desk.held_is_markup()
                if char == ")":
                    return True
                continue
            begin = len(desk.held())
            found = yield from capture(desk, self._in_key)
            key = desk.held()[begin:].strip()
            if found != "=" or not key:
                return False
            desk.read(1)
            char = yield from skip_blanks(desk)
            member = (", " if desk.had_arguments else "{") + quote(key) + ": "
            if not (yield from self._value(desk, char, member)):
                return False

    def _value(self, desk: Desk, char: str, member: str) -> _Done:
        if self._json_values:
            desk.held_is_markup()
            desk.arguments(member)
            whole = yield from read_json(desk, None, enclosed="}")
            desk.missing = "}" if whole else desk.missing
            return whole
        if char in _STRING_ENDS and not (yield from expect(desk, char * 2)):
            yield from self._string(desk, char, member)
            return True
        begin = len(desk.held())
        yield from _skip_literal(desk)
        value = literal_json(desk.held()[begin:].strip())
        if value is None:
            return False
        desk.held_is_markup()
        desk.tell(member + value, "}")
        return True

    def _string(self, desk: Desk, mark: str, member: str) -> Grammar:
        desk.read(1)
        desk.held_is_markup()
        desk.tell(member + '"', '"}')
        while True:
            found = yield from until(desk, _STRING_ENDS[mark], desk.string)
            if not found:
                raise CutOff
            if found == mark:
                break
            while len(desk.buf) - desk.pos < _LONGEST_ESCAPE_CHARS and not desk.ended:
                yield
            escape = _ESCAPE.match(desk.buf, desk.pos)
            if escape is None:
                raise CutOff
            desk.read(escape.end() - desk.pos)
            told = literal_json(f'"{escape.group()}"') if escape.group() != '\\"' else '"\\""'
            desk.arguments((told or quote(escape.group()))[1:-1])
        desk.read(1)
        desk.tell('"', "}")


def _skip_literal(desk: Desk) -> Grammar:
    """Reads up to the comma or the parenthesis behind a value."""
    depth = 0
    while True:
        found = yield from until(desk, _BRACKETS, desk.read)
        if not found:
            raise CutOff
        if found in {"'", '"'}:
            yield from _skip_string(desk, found)
            continue
        if not depth and found in {",", ")"}:
            return
        desk.read(1)
        if found != ",":
            depth += 1 if found in "[({" else -1


def _skip_string(desk: Desk, mark: str) -> Grammar:
    desk.read(1)
    while (found := (yield from until(desk, _STRING_ENDS[mark], desk.read))) == "\\":
        desk.read(1)
        yield from more(desk)
        desk.read(1)
    if not found:
        raise CutOff
    desk.read(1)
