"""gemma4: `call:NAME{key:value,...}` with strings between tokens of their own."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from ..argument_types import bare_json, quote
from ..json_stream import MAX_DEPTH
from ..scanning import Markers, blanks, expect, until
from ..tape import WHITESPACE, Grammar, Tape
from ..tools import ToolSchemas, item_schema, sub_schema

__all__ = ("gemma4",)

_OPEN, _CLOSE, _QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
_RESPONSE = "<|tool_response>"
_BEGIN = Markers(_OPEN)
_BLOCK_END = Markers(_CLOSE)
_NAME_END = Markers("{", _OPEN, _CLOSE, _QUOTE)
_BODY = Markers("{", "}", _QUOTE, _CLOSE)
_STRING_END = Markers(_QUOTE)


def gemma4(tape: Tape) -> Grammar:
    """Calls anywhere in the text. A block that cannot be read is text up to its end."""
    while word := (yield from until(tape, _BEGIN, tape.text)):
        tape.hold()
        tape.read(len(word))
        if (yield from _read_block(tape)):
            yield from _read_behind(tape)
        else:
            tape.held_is_text()
            end = yield from until(tape, _BLOCK_END, tape.text)
            tape.text(len(end))


def _read_block(tape: Tape) -> Generator[None, None, bool]:
    """Reads a block up to the brace that ends its arguments; whether it is a call."""
    for word in ("call", ":"):
        yield from blanks(tape, tape.read)
        if not (yield from expect(tape, word)):
            return False
        tape.read(len(word))
    name_at = len(tape.held())
    if (yield from until(tape, _NAME_END, tape.read)) != "{":
        return False
    body_at = len(tape.held())
    if not (yield from _read_braces(tape)):
        return False
    name = tape.held()[name_at:body_at].strip(WHITESPACE)
    arguments = _Body(tape.held()[body_at:], tape.tools, name).read()
    if not name or arguments is None:
        return False
    tape.whole_call(name, arguments)
    return True


def _read_braces(tape: Tape) -> Generator[None, None, bool]:
    depth = 0
    while word := (yield from until(tape, _BODY, tape.read)):
        if word == _CLOSE:
            return False
        tape.read(len(word))
        if word == _QUOTE:
            end = yield from until(tape, _STRING_END, tape.read)
            tape.read(len(end))
            continue
        depth += 1 if word == "{" else -1
        if not depth:
            return True
    return False


def _read_behind(tape: Tape) -> Grammar:
    """Reads the end of a call that has been reported, and the response marker behind it."""
    for word in (_CLOSE, _RESPONSE):
        tape.hold()
        yield from blanks(tape, tape.read)
        if not (yield from expect(tape, word)):
            tape.held_is_text()
            return
        tape.read(len(word))
        tape.held_is_markup()


class _Unreadable(Exception):
    """The arguments do not follow the format."""


class _Body:
    """Reads the arguments of one call. Nesting is bounded, so it recurses safely."""

    __slots__ = ("_depth", "_name", "_pos", "_text", "_tools")

    def __init__(self, text: str, tools: ToolSchemas, name: str) -> None:
        self._text = text
        self._tools = tools
        self._name = name
        self._pos = 0
        self._depth = 0

    def read(self) -> str | None:
        """The arguments as JSON; None if they cannot be read."""
        try:
            return self._object(self._tools.parameters(self._name))
        except _Unreadable:
            return None

    def _blanks(self) -> str:
        text, pos = self._text, self._pos
        while pos < len(text) and text[pos] in " \t\r\n":
            pos += 1
        self._pos = pos
        return text[pos : pos + 1]

    def _object(self, schema: Mapping[str, object]) -> str:
        members: dict[str, str] = {}
        self._enter()
        while self._blanks() != "}":
            key = self._key()
            members[key] = self._value(sub_schema(schema, key))
            self._separator("}")
        self._leave()
        return "{" + ", ".join(f"{quote(key)}: {json}" for key, json in members.items()) + "}"

    def _array(self, schema: Mapping[str, object]) -> str:
        items: list[str] = []
        self._enter()
        while self._blanks() != "]":
            items.append(self._value(item_schema(schema)))
            self._separator("]")
        self._leave()
        return "[" + ", ".join(items) + "]"

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Unreadable
        self._pos += 1

    def _leave(self) -> None:
        self._depth -= 1
        self._pos += 1

    def _separator(self, closer: str) -> None:
        char = self._blanks()
        if char == ",":
            self._pos += 1
        elif char != closer:
            raise _Unreadable

    def _key(self) -> str:
        if self._text.startswith(_QUOTE, self._pos):
            key = self._string()
            if self._blanks() != ":":
                raise _Unreadable
            self._pos += 1
            return key
        colon = self._text.find(":", self._pos)
        if colon < 0:
            raise _Unreadable
        key = self._text[self._pos : colon].strip(WHITESPACE)
        self._pos = colon + 1
        if not key or any(char in key for char in ",{}[]"):
            raise _Unreadable
        return key

    def _string(self) -> str:
        start = self._pos + len(_QUOTE)
        end = self._text.find(_QUOTE, start)
        if end < 0:
            raise _Unreadable
        self._pos = end + len(_QUOTE)
        return self._text[start:end]

    def _value(self, schema: Mapping[str, object]) -> str:
        char = self._blanks()
        if char == "{":
            return self._object(schema)
        if char == "[":
            return self._array(schema)
        if self._text.startswith(_QUOTE, self._pos):
            return quote(self._string())
        start = self._pos
        while self._text[self._pos : self._pos + 1] not in {",", "}", "]", ""}:
            self._pos += 1
        bare = self._text[start : self._pos].strip(WHITESPACE)
        if not bare:
            raise _Unreadable
        return bare_json(bare, schema)
