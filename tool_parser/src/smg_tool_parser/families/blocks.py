"""Families whose calls are read once their end tag has come: glm, minimax_m2, step3, kimi_k3.

The text of a block is held until then, and read in one go, in time linear to its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator

from ..argument_types import glm_json, minimax_json, quote, step_json, text_json, unescape
from ..argument_writer import object_json
from ..scanning import Markers, blanks, expect, rest, until
from ..tape import WHITESPACE, Grammar, Tape
from ..tools import ToolSchemas

__all__ = ("Blocks", "glm45", "glm47", "kimi_k3", "minimax_m2", "step3")

Call = tuple[str, str]


class Blocks:
    """A grammar of blocks between two fixed tags, read by a function of their inside.

    The function returns the calls in the block, as names and JSON arguments; none if it is junk.
    """

    __slots__ = ("_close", "_open", "_read")

    def __init__(
        self, open_tag: str, close_tag: str, read: Callable[[str, ToolSchemas], list[Call]]
    ) -> None:
        self._open = Markers(open_tag)
        self._close = Markers(close_tag)
        self._read = read

    def __call__(self, tape: Tape) -> Grammar:
        while opened := (yield from until(tape, self._open, tape.text)):
            tape.hold()
            tape.read(len(opened))
            closed = yield from until(tape, self._close, tape.read)
            if not closed:
                return
            inside = tape.held()[len(opened) :]
            tape.read(len(closed))
            for name, arguments in self._read(inside, tape.tools):
                tape.whole_call(name, arguments)
            tape.held_is_junk()


def _values(text: str, opener: re.Pattern[str], closer: str) -> Iterator[tuple[str, str]]:
    """Every `opener ... closer` in `text`: the opener's first group and what is between."""
    pos = 0
    while (found := opener.search(text, pos)) is not None:
        end = text.find(closer, found.end())
        if end < 0:
            return
        yield found.group(1), text[found.end() : end]
        pos = end + len(closer)


# glm45_moe, glm47_moe

_GLM_KEY = "<arg_key>"
_GLM_BETWEEN = re.compile(r"</arg_key>\s*<arg_value>")
_GLM_VALUE_END = "</arg_value>"
_GLM47_NAME = re.compile(r"\s*([^<\s]+)")


def _glm_call(name: str, body: str, tools: ToolSchemas) -> Call:
    members: dict[str, str] = {}
    pos = body.find(_GLM_KEY)
    while pos >= 0:
        start = pos + len(_GLM_KEY)
        between = _GLM_BETWEEN.search(body, start)
        if between is None:
            break
        end = body.find(_GLM_VALUE_END, between.end())
        if end < 0:
            break
        key = body[start : between.start()].strip(WHITESPACE)
        declared = tools.declared_type(name, key)
        members[key] = glm_json(body[between.end() : end], declared)
        pos = body.find(_GLM_KEY, end)
    return name, object_json(members)


def _glm45(inside: str, tools: ToolSchemas) -> list[Call]:
    name, newline, body = inside.partition("\n")
    name = name.strip(WHITESPACE)
    return [_glm_call(name, body, tools)] if newline and name else []


def _glm47(inside: str, tools: ToolSchemas) -> list[Call]:
    # The opening tag may be repeated; the call then begins at the last of them.
    pos = 0
    while inside.startswith("<tool_call>", pos):
        pos += len("<tool_call>")
    found = _GLM47_NAME.match(inside, pos)
    return [_glm_call(found.group(1), inside[found.end() :], tools)] if found else []


glm45 = Blocks("<tool_call>", "</tool_call>", _glm45)
glm47 = Blocks("<tool_call>", "</tool_call>", _glm47)

# minimax_m2

_M2_OPEN = Markers("<minimax:tool_call>")
_M2_ENDS = Markers("</invoke>", "</minimax:tool_call>")
_M2_INVOKE = re.compile(r'<invoke +name="([^"]+)">')
_M2_PARAMETER = re.compile(r'<parameter +name="([^"]+)">')


def minimax_m2(tape: Tape) -> Grammar:
    """Invokes in a wrapper. Each is read when it is closed, the wrapper need not be."""
    while opened := (yield from until(tape, _M2_OPEN, tape.text)):
        tape.hold()
        tape.read(len(opened))
        while word := (yield from until(tape, _M2_ENDS, tape.read)):
            inside = tape.held()
            tape.read(len(word))
            invoke = _M2_INVOKE.search(inside) if word == "</invoke>" else None
            if invoke is not None:
                name = invoke.group(1)
                members = {
                    key: minimax_json(unescape(value), tape.tools.declared_type(name, key))
                    for key, value in _values(inside[invoke.end() :], _M2_PARAMETER, "</parameter>")
                }
                tape.whole_call(name, object_json(members))
            tape.held_is_junk()
            if word != "</invoke>":
                break
            tape.hold()


# step3

_STEP_SECTION = Markers("<｜tool_calls_begin｜>")
_STEP_BEGIN = Markers("<｜tool_call_begin｜>")
_STEP_HEADING = Markers("<｜tool_sep｜>", "<｜tool_call_begin｜>", "<｜tool_call_end｜>")
_STEP_BODY = Markers("</steptml:invoke>", "<｜tool_call_end｜>")
_STEP_END = Markers("<｜tool_call_end｜>")
_STEP_INVOKE = re.compile(r'<steptml:invoke name="([^"]+)">')
_STEP_PARAMETER = re.compile(r'<steptml:parameter name="([^"]+)">')


def step3(tape: Tape) -> Grammar:
    """Calls in a section, each with an invoke in it."""
    section = yield from until(tape, _STEP_SECTION, tape.text)
    tape.junk(len(section))
    while begin := (yield from until(tape, _STEP_BEGIN, tape.junk)):
        tape.hold()
        tape.read(len(begin))
        word = yield from until(tape, _STEP_HEADING, tape.read)
        kind = tape.held()[len(begin) :].strip(WHITESPACE)
        if word == "<｜tool_sep｜>" and kind == "function":
            yield from _step_invoke(tape)
        tape.held_is_junk()


def _step_invoke(tape: Tape) -> Grammar:
    word = yield from until(tape, _STEP_BODY, tape.read)
    invoke = _STEP_INVOKE.search(tape.held()) if word == "</steptml:invoke>" else None
    if invoke is None:
        return
    body = tape.held()[invoke.end() :]
    members = {
        key: step_json(value.strip(WHITESPACE))
        for key, value in _values(body, _STEP_PARAMETER, "</steptml:parameter>")
    }
    tape.open_call(invoke.group(1))
    tape.arguments(object_json(members))
    end = yield from until(tape, _STEP_END, tape.read)
    tape.read(len(end))
    tape.close_call(bool(end))


# kimi_k3

_K3_MARKS = Markers("<|open|>", "<|close|>")
_K3_CLOSE = Markers("<|close|>")
_K3_SEP = Markers("<|sep|>")
_K3_OPENED = ("response", "message", "tools")
_K3_CLOSED = ("response", "message")
_K3_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"([^"]*)"')
_K3_ARGUMENT = re.compile(r"<\|open\|>\s*argument\s")
_K3_ARGUMENT_END = re.compile(r"<\|close\|>\s*argument\s*<\|sep\|>")


def kimi_k3(tape: Tape) -> Grammar:
    """Channels: the text of the first `response`, or what is outside, and calls in `tools`."""
    responses = 0
    take = tape.text
    while mark := (yield from until(tape, _K3_MARKS, take)):
        tape.hold()
        tape.read(len(mark))
        word = yield from _k3_word(tape, _K3_OPENED if mark == "<|open|>" else _K3_CLOSED)
        if not word:
            if take == tape.text:
                tape.held_is_text()
            else:
                tape.held_is_dropped()
            continue
        tape.held_is_markup()
        if word == "tools":
            yield from _k3_tools(tape)
            yield from rest(tape, tape.drop)
        elif word == "response" and mark == "<|open|>":
            responses += 1
            take = tape.text if responses == 1 else tape.drop
        elif word == "response" and responses:
            take = tape.drop


def _k3_word(tape: Tape, words: tuple[str, ...]) -> Generator[None, None, str]:
    """Reads one of the words and the separator behind it; "" if something else is there."""
    yield from blanks(tape, tape.read)
    for word in words:
        if (yield from expect(tape, word)):
            tape.read(len(word))
            yield from blanks(tape, tape.read)
            if (yield from expect(tape, "<|sep|>")):
                tape.read(len("<|sep|>"))
                return word
            return ""
    return ""


def _k3_tools(tape: Tape) -> Grammar:
    while mark := (yield from until(tape, _K3_MARKS, tape.drop)):
        tape.hold()
        tape.read(len(mark))
        if mark == "<|close|>":
            word = yield from _k3_word(tape, ("tools",))
            if word:
                tape.held_is_markup()
                return
        else:
            yield from blanks(tape, tape.read)
            if (yield from expect(tape, "call")):
                yield from _k3_call(tape)
        tape.held_is_dropped()


def _k3_call(tape: Tape) -> Grammar:
    heading_at = len(tape.held())
    sep = yield from until(tape, _K3_SEP, tape.read)
    if not sep:
        return
    heading = tape.held()[heading_at:]
    tape.read(len(sep))
    body_at = len(tape.held())
    while mark := (yield from until(tape, _K3_CLOSE, tape.read)):
        tape.read(len(mark))
        if (yield from _k3_word(tape, ("call",))):
            name = _k3_attributes(heading).get("tool")
            if name is not None:
                tape.whole_call(name, _k3_arguments(tape.held()[body_at:]))
            return


def _k3_attributes(heading: str) -> dict[str, str]:
    return {
        key: value.replace("&quot;", '"').replace("&amp;", "&")
        for key, value in _K3_ATTRIBUTE.findall(heading)
    }


def _k3_arguments(body: str) -> str:
    members: dict[str, str] = {}
    pos = 0
    while (found := _K3_ARGUMENT.search(body, pos)) is not None:
        sep = body.find("<|sep|>", found.end())
        end = _K3_ARGUMENT_END.search(body, sep) if sep >= 0 else None
        if end is None:
            break
        attributes = _k3_attributes(body[found.end() : sep])
        value = body[sep + len("<|sep|>") : end.start()]
        pos = end.end()
        if (key := attributes.get("key")) is not None:
            json = None if attributes.get("type", "string") == "string" else text_json(value)
            members[key] = quote(value) if json is None else json
    return object_json(members)
