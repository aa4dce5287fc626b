"""Python literals, and calls whose arguments are literals, as JSON.

Only literals, and bare names, which are read as texts: no operators, comprehensions, f-strings.
Nesting is bounded, so reading recurses safely. What is no literal is refused by returning None.
"""

from __future__ import annotations

import re
from json import loads
from json.encoder import encode_basestring
from math import isfinite

from .json_stream import MAX_DEPTH

__all__ = ("call_list", "literal_json")

_BLANKS = re.compile(r"(?:[ \t\n\r\f]|\\\r?\n|#[^\n]*)*")
_NAME = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(
    r"0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+"
    r"|(?:[0-9](?:_?[0-9])*)?\.[0-9](?:_?[0-9])*(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
    r"|[0-9](?:_?[0-9])*\.?(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
)
_STRING_START = re.compile(r"([rRbBuU]{0,2})('''|\"\"\"|'|\")")
_ESCAPE = re.compile(
    r"\\(\r?\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|.)", re.DOTALL
)
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_CONSTANTS = {"True": "true", "False": "false", "None": "null"}
_KEY_TEXTS = {"true": "True", "false": "False", "null": "None"}


class _Refused(Exception):
    """What was read is no literal."""


class _Reader:
    __slots__ = ("depth", "pos", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.depth = 0

    def blanks(self) -> str:
        """Skips white space and comments; the character behind it, or ""."""
        found = _BLANKS.match(self.text, self.pos)
        assert found is not None
        self.pos = found.end()
        return self.text[self.pos : self.pos + 1]

    def take(self, char: str) -> None:
        if self.blanks() != char:
            raise _Refused
        self.pos += 1

    def value(self) -> str:
        """One literal as JSON."""
        char = self.blanks()
        if char and char in "{[(":
            return self._nested(char)
        if char and char in "+-":
            self.pos += 1
            json = self._number(self.blanks())
            return json if char == "+" else _negated(json)
        string = _STRING_START.match(self.text, self.pos)
        if string is not None:
            return self._strings()
        if char.isdigit() or char == ".":
            return self._number(char)
        name = _NAME.match(self.text, self.pos)
        if name is None:
            raise _Refused
        self.pos = name.end()
        # Any other name stands for itself, `true` and `null` as well.
        return _CONSTANTS.get(name.group()) or encode_basestring(name.group())

    def _nested(self, char: str) -> str:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused
        self.pos += 1
        json = self._dict() if char == "{" else self._sequence("]" if char == "[" else ")")
        self.depth -= 1
        return json

    def _dict(self) -> str:
        members: dict[str, str] = {}
        while self.blanks() != "}":
            key = _key_text(self.value())
            self.take(":")
            members[key] = self.value()
            if self.blanks() == ",":
                self.pos += 1
            elif self.blanks() != "}":
                raise _Refused
        self.pos += 1
        return "{" + ", ".join(f"{encode_basestring(k)}: {v}" for k, v in members.items()) + "}"

    def _sequence(self, closer: str) -> str:
        items: list[str] = []
        comma = False
        while self.blanks() != closer:
            items.append(self.value())
            if self.blanks() == ",":
                self.pos += 1
                comma = True
            elif self.blanks() != closer:
                raise _Refused
        self.pos += 1
        if closer == ")" and len(items) == 1 and not comma:
            return items[0]
        return "[" + ", ".join(items) + "]"

    def _number(self, char: str) -> str:
        found = _NUMBER.match(self.text, self.pos)
        if found is None:
            raise _Refused
        self.pos = found.end()
        if self.text[self.pos : self.pos + 1].isidentifier():
            raise _Refused
        return _number_json(found.group().replace("_", ""))

    def _strings(self) -> str:
        """One string, or several in a row, which are one."""
        parts: list[str] = []
        while (start := _STRING_START.match(self.text, self.pos)) is not None:
            prefix, mark = start.group(1).lower(), start.group(2)
            parts.append(self._string(start.end(), mark, "r" in prefix, "b" in prefix))
            self.blanks()
        return encode_basestring("".join(parts))

    def _string(self, start: int, mark: str, raw: bool, is_bytes: bool) -> str:
        pos = start
        while True:
            end = self.text.find(mark, pos)
            if end < 0:
                raise _Refused
            slashes = end
            while slashes > start and self.text[slashes - 1] == "\\":
                slashes -= 1
            if (end - slashes) % 2 == 0:
                break
            pos = end + 1
        self.pos = end + len(mark)
        body = self.text[start:end]
        if len(mark) == 1 and "\n" in body.replace("\\\n", "").replace("\\\r\n", ""):
            raise _Refused
        return body if raw else _ESCAPE.sub(lambda found: _unescaped(found, is_bytes), body)


def _unescaped(found: re.Match[str], is_bytes: bool) -> str:
    code = found.group(1)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code[-1] == "\n":
        return ""
    if code[0] in "01234567":
        return chr(int(code, 8))
    if len(code) > 1 and code[0] == "x":
        return chr(int(code[1:], 16))
    if len(code) > 1 and code[0] in "uU" and not is_bytes:
        value = int(code[1:], 16)
        return chr(value) if value < 0x110000 else found.group()
    return found.group()


def _negated(json: str) -> str:
    if json[:1] == '"':
        return '"-' + json[1:]
    if json.isdigit() and int(json) > 2**63:
        return encode_basestring("-" + json)
    return "-" + json


def _number_json(text: str) -> str:
    """A number as JSON. An integer that does not fit 64 bits becomes a string."""
    base = {"x": 16, "o": 8, "b": 2}.get(text[1:2].lower(), 10)
    if base != 10:
        # Beyond 64 bits it stays as it is written; huge ones could not be converted at all.
        value = int(text, base)
        return str(value) if value < 2**64 else encode_basestring(text)
    if text.isdigit():
        digits = text.lstrip("0")
        if digits and digits != text:
            # Python has no decimals with leading zeros.
            raise _Refused
        return _integer_json(digits or "0")
    number = float(text)
    if not isfinite(number):
        raise _Refused
    return repr(number)


def _integer_json(digits: str) -> str:
    if len(digits) > 20 or int(digits) >= 2**64:
        return encode_basestring(digits)
    return digits


def _key_text(json: str) -> str:
    """A dictionary's key as text."""
    if json[:1] == '"':
        text = loads(json)
        assert isinstance(text, str)
        return text
    return _KEY_TEXTS.get(json, json)


def literal_json(text: str) -> str | None:
    """The JSON of a text that is one literal, white space around it allowed; None if it is none."""
    reader = _Reader(text)
    try:
        json = reader.value()
    except _Refused:
        return None
    return None if reader.blanks() else json


def call_list(text: str) -> list[tuple[str, str]] | None:
    """The calls of `[name(key=literal, ...), ...]` as names and JSON arguments; None if refused."""
    reader = _Reader(text)
    calls: list[tuple[str, str]] = []
    try:
        reader.take("[")
        while True:
            calls.append(_read_call(reader))
            if reader.blanks() == "]":
                break
            reader.take(",")
    except _Refused:
        return None
    return calls


def _read_call(reader: _Reader) -> tuple[str, str]:
    name = _read_name(reader)
    reader.take("(")
    members: dict[str, str] = {}
    while reader.blanks() != ")":
        key = _read_name(reader)
        reader.take("=")
        members[key] = reader.value()
        if reader.blanks() == ",":
            reader.pos += 1
        elif reader.blanks() != ")":
            raise _Refused
    reader.pos += 1
    return name, "{" + ", ".join(f"{encode_basestring(k)}: {v}" for k, v in members.items()) + "}"


def _read_name(reader: _Reader) -> str:
    reader.blanks()
    found = _NAME.match(reader.text, reader.pos)
    if found is None:
        raise _Refused
    reader.pos = found.end()
    return found.group()
