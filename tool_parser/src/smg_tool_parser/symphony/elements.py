"""Calls whose arguments are elements named after their keys, each tag behind a token of its own.

    §<tool_call> §<invoke name="NAME"> §<key>text§</key> §<list>§<item>a§</item>§</list> §</invoke> §</tool_call>

The token § may be missing. Elements within elements build objects and arrays, by the schema and
else by the names of their tags.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

from ..scanning import until
from ..tape import Grammar
from ..tools import all_types, item_schema, sub_schema
from .desk import CutOff, Desk, Tags, capture, next_tag
from .values import may_be_string, quote, typed_json

__all__ = ("ElementCalls",)

_MAX_DEPTH = 64
_ITEM = "item"
_NAME = re.compile(r"[^\s<>/\"'=\[\]]+")


class ElementCalls:
    """Such calls. `token` stands before every tag; the names of the tags are fixed."""

    def __init__(self, token: str, block: str, call: str) -> None:
        self._token = token
        self._open, self._close = f"<{block}>", f"</{block}>"
        self._call_open, self._call_close = f'<{call} name="', f"</{call}>"
        self.openers: tuple[str, ...] = self._both(self._open)
        self._in_block = Tags(*self._both(self._call_open, self._open, self._close))
        stops = (self._call_close, self._call_open, self._close)
        self._stops = self._both(*stops)
        self._in_name = Tags('">', *self._stops)
        self._in_call = Tags(*self._stops, *self._both(self._open), token + "<", "<")
        self._in_head = Tags(">", token, *stops)

    def _both(self, *tags: str) -> tuple[str, ...]:
        return tuple(prefix + tag for tag in tags for prefix in (self._token, ""))

    def __call__(self, desk: Desk, word: str) -> Grammar:
        desk.read(len(word))
        found = ""
        while not found.endswith(self._close):
            if found.endswith(self._call_open):
                found = yield from self._call(desk)
                continue
            found = yield from next_tag(desk, self._in_block)
            desk.read(len(found))
            desk.held_is_markup()

    def _call(self, desk: Desk) -> Generator[None, None, str]:
        """Reads a call. Returns the tag that ended it, which was consumed; "" if none did."""
        desk.hold()
        found = yield from capture(desk, self._in_name)
        name = desk.held().strip()
        if found != '">' or not name:
            desk.held_is_trimmed_text()
            return ""
        desk.read(len(found))
        desk.begin(name)
        while True:
            found = yield from next_tag(desk, self._in_call)
            desk.read(len(found))
            if not found.endswith("<"):
                break
            yield from self._element(desk, found)
        desk.arguments("}" if desk.had_arguments else "{}")
        desk.end_call(complete=True)
        desk.held_is_markup()
        return found

    def _element(self, desk: Desk, opening: str) -> Grammar:
        """Reads an element, whose opening is in the hold. What is no element is text."""
        found = yield from capture(desk, self._in_head)
        held = desk.held()
        key = held[held.rindex(opening) + len(opening) :]
        if found != ">" or not _NAME.fullmatch(key):
            self._no_element(desk, opening)
            return
        desk.read(1)
        schema = desk.schemas.argument(desk.name, key)
        ends = self._both(f"</{key}>")
        member = (", " if desk.had_arguments else "{") + quote(key) + ": "
        if may_be_string(schema):
            yield from self._string(desk, member, ends)
            return
        begun = len(desk.held())
        found = yield from self._content(desk, key, ends)
        if found not in ends:
            self._no_element(desk, opening)
            return
        text = desk.held()[begun:]
        desk.read(len(found))
        desk.held_is_markup()
        desk.tell(member + _Content(text, self._token, desk).json(schema), "}")

    def _no_element(self, desk: Desk, opening: str) -> None:
        desk.held_is_trimmed_text(without=opening.removesuffix("<"))

    def _content(self, desk: Desk, key: str, ends: tuple[str, ...]) -> Generator[None, None, str]:
        """Reads up to the end of the element, counting those of the same name within it."""
        tags = Tags(f"<{key}>", *ends, *self._stops)
        depth = 0
        while True:
            found = yield from until(desk, tags, desk.read)
            if not found:
                raise CutOff
            if found in self._stops or (found in ends and not depth):
                return found
            depth += -1 if found in ends else 1
            desk.read(len(found))

    def _string(self, desk: Desk, member: str, ends: tuple[str, ...]) -> Grammar:
        desk.held_is_markup()
        desk.tell(member + '"', '"}')
        tags = Tags(*ends, self._token, *self._stops)
        found = yield from until(desk, tags, desk.string, whole=False)
        if not found:
            raise CutOff
        if found in ends:
            desk.read(len(found))
        desk.tell('"', "}")


class _Content:
    """The content of an element, as JSON."""

    def __init__(self, text: str, token: str, desk: Desk) -> None:
        self._text = text
        self._schemas = desk.schemas
        self._function = desk.name
        self._tag = re.compile(rf"(?:{re.escape(token)})?<(/?)([^\s<>/\"'=\[\]]+)>")
        self._pos = 0

    def json(self, schema: Mapping[str, Any]) -> str:
        return self._element(schema, "", 0)

    def _element(self, schema: Mapping[str, Any], key: str, depth: int) -> str:
        schema = self._schemas.resolved(self._function, schema)
        types = all_types(schema)
        members: list[tuple[str, str]] = []
        pieces: list[str] = []
        while True:
            tag = self._tag.search(self._text, self._pos)
            if tag is None:
                pieces.append(self._text[self._pos :])
                self._pos = len(self._text)
                break
            pieces.append(self._text[self._pos : tag.start()])
            self._pos = tag.end()
            name = tag.group(2)
            if tag.group(1):
                if name == key:
                    break
                pieces.append(tag.group())
            elif depth == _MAX_DEPTH:
                pieces.append(tag.group())
            else:
                inner = item_schema(schema) if "array" in types else sub_schema(schema, name)
                members.append((name, self._element(inner, name, depth + 1)))
        text = "".join(pieces)
        if not members:
            return _leaf(text, schema, types)
        if "array" in types or ("object" not in types and all(n == _ITEM for n, _ in members)):
            return "[" + ", ".join(value for _, value in members) + "]"
        if text.strip():
            members.append(("$text", quote(text.strip())))
        return _object(members)


def _leaf(text: str, schema: Mapping[str, Any], types: frozenset[str]) -> str:
    if not text.strip() and "string" not in types:
        if "array" in types:
            return "[]"
        if "object" in types:
            return "{}"
    return typed_json(text, schema)


def _object(members: list[tuple[str, str]]) -> str:
    """Members that share a name become an array."""
    values: dict[str, list[str]] = {}
    for name, value in members:
        values.setdefault(name, []).append(value)
    told = (
        f"{quote(name)}: " + (those[0] if len(those) == 1 else "[" + ", ".join(those) + "]")
        for name, those in values.items()
    )
    return "{" + ", ".join(told) + "}"
