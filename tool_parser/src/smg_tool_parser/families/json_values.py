"""Families whose whole call is a JSON value: json, llama, mistral, qwen, cohere."""

from __future__ import annotations

import re
from collections.abc import Generator

from ..json_calls import (
    BROKEN,
    CALL,
    CUT,
    CallShape,
    Outcome,
    read_array,
    read_call,
    whole_calls,
)
from ..scanning import Markers, blanks, blanks_before, expect, peek, rest, skip_string, until
from ..tape import Grammar, Tape

__all__ = ("cohere", "json_anywhere", "llama", "mistral", "qwen")

# json


class _Brackets:
    """Counts brackets and quotes in prose, to know where a JSON value may begin.

    A value may begin at an opening bracket outside of strings and of other brackets. Quotes count
    in prose as well: `"{"` opens nothing.
    """

    __slots__ = ("_escaped", "_stack", "_string")

    # Prose nested deeper than this is taken as flat again, to bound what is remembered.
    _MAX_OPEN = 4096
    _OUTSIDE = re.compile(r'["{}\[\]]')
    _INSIDE = re.compile(r'["\\]')

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._string = False
        self._escaped = False

    def find(self, text: str, pos: int) -> int:
        """Where the next value may begin; -1 if not in `text`. Everything before is counted."""
        end = len(text)
        while pos < end:
            if self._escaped:
                self._escaped = False
                pos += 1
                continue
            found = (self._INSIDE if self._string else self._OUTSIDE).search(text, pos)
            if found is None:
                return -1
            char = found.group()
            if char in "{[" and not self._stack:
                return found.start()
            self._count(char)
            pos = found.end()
        return -1

    def _count(self, char: str) -> None:
        if char == '"':
            self._string = not self._string
        elif char == "\\":
            self._escaped = True
        elif char in "{[":
            if len(self._stack) >= self._MAX_OPEN:
                self._stack.clear()
            self._stack.append("}" if char == "{" else "]")
        elif self._stack and self._stack.pop() != char:
            self._stack.clear()

    def count_all(self, text: str) -> None:
        """Counts a text that begins with an opening bracket which did not begin a value."""
        self._count(text[0])
        pos = 1
        while (at := self.find(text, pos)) >= 0:
            self._count(text[at])
            pos = at + 1


_JSON_CALL = CallShape(("name", "function"), ("arguments", "parameters"))


def json_anywhere(tape: Tape) -> Grammar:
    """The first JSON object or array in the text that has calls in it."""
    brackets = _Brackets()
    while not tape.opened_calls:
        at = brackets.find(tape.buf, tape.pos)
        if at < 0:
            tape.text(len(tape.buf) - tape.pos)
            if tape.ended:
                return
            yield
            continue
        tape.text(at - tape.pos)
        outcome = yield from _read_value(tape, _JSON_CALL)
        if outcome is CALL:
            break
        if outcome is BROKEN and not tape.opened_calls:
            brackets.count_all(tape.held())
        tape.held_is_text()
    yield from rest(tape, tape.text)


def _read_value(tape: Tape, shape: CallShape) -> Generator[None, None, Outcome]:
    if tape.buf[tape.pos] == "[":
        return (yield from read_array(tape, shape))
    outcome = yield from read_call(tape, shape)
    if outcome is CALL:
        tape.close_call(True)
    return outcome


# llama

_TAG = "<|python_tag|>"
_PYTHON_TAG = Markers(_TAG)
_SEMICOLON = Markers(";")
_LLAMA_CALL = CallShape(("name",), ("parameters",))


def llama(tape: Tape) -> Grammar:
    """Objects separated by `;` behind the tag, or from the very start of the text."""
    tape.hold()
    char = yield from blanks(tape, tape.read)
    if char == "{":
        outcome = yield from _llama_object(tape)
        if tape.opened_calls:
            yield from _llama_parts(tape, outcome)
            return
    tape.held_is_text()
    if (yield from until(tape, _PYTHON_TAG, tape.text)):
        tape.hold()
        tape.read(len(_TAG))
        outcome = yield from _llama_part(tape)
        yield from _llama_parts(tape, outcome)


def _llama_part(tape: Tape) -> Generator[None, None, Outcome]:
    """Reads what may be a call; an open hold goes on into it."""
    char = yield from blanks(tape, tape.read)
    if char != "{":
        return BROKEN if char else CUT
    return (yield from _llama_object(tape))


def _llama_object(tape: Tape) -> Generator[None, None, Outcome]:
    outcome = yield from read_call(tape, _LLAMA_CALL)
    if outcome is CALL:
        tape.close_call(True)
    return outcome


def _llama_parts(tape: Tape, outcome: Outcome) -> Grammar:
    """What follows a part with this outcome: prose behind a call, or more parts."""
    while True:
        if outcome is CALL:
            tape.hold()
            char = yield from blanks(tape, tape.read)
            if not char:
                tape.held_is_dropped()
                return
            tagged = yield from expect(tape, _TAG)
            if char != ";" and not tagged:
                tape.held_is_text()
                outcome = yield from _llama_prose(tape)
                if outcome is CUT:
                    return
                continue
            tape.read(len(_TAG) if tagged else 1)
        else:
            # Bad parts are lost beside good ones.
            if tape.closed_calls:
                tape.held_is_dropped()
            else:
                tape.held_is_junk()
            lose = tape.drop if tape.closed_calls else tape.junk
            if not (yield from until(tape, _SEMICOLON, lose)):
                return
            tape.hold()
            tape.read(1)
        outcome = yield from _llama_part(tape)


def _llama_prose(tape: Tape) -> Generator[None, None, Outcome]:
    """Text behind a call, up to a `;` with an object behind it; the outcome of that."""
    while (yield from until(tape, _SEMICOLON, tape.text)):
        tape.hold()
        tape.read(1)
        if (yield from blanks(tape, tape.read)) == "{":
            return (yield from _llama_object(tape))
        tape.held_is_text()
    return CUT


# mistral

_TOOL_CALLS = "[TOOL_CALLS] "
_MISTRAL_MARKER = Markers(_TOOL_CALLS + "[")
_MISTRAL_CALL = CallShape(("name",), ("arguments",))


def mistral(tape: Tape) -> Grammar:
    """The array behind the first marker."""
    if (yield from until(tape, _MISTRAL_MARKER, tape.text)):
        tape.hold()
        tape.read(len(_TOOL_CALLS))
        yield from read_array(tape, _MISTRAL_CALL)
        tape.held_is_text()
    yield from rest(tape, tape.text)


# qwen

_QWEN_OPEN = Markers("<tool_call>")
_QWEN_CLOSE = Markers("\n</tool_call>")
_QWEN_CALL = CallShape(("name",), ("arguments",))


def qwen(tape: Tape) -> Grammar:
    """Blocks between tags, each on lines of its own."""
    while word := (yield from until(tape, _QWEN_OPEN, tape.text)):
        tape.hold()
        tape.read(len(word))
        char = yield from peek(tape)
        if char == "\n":
            tape.read(1)
            yield from _qwen_block(tape)
        elif char == "{":
            # Junk like a block that cannot be read, whatever is in it.
            yield from _qwen_junk(tape)
        else:
            tape.held_is_text()


def _qwen_block(tape: Tape) -> Grammar:
    close = _QWEN_CLOSE.words[0]
    # A block is over at the first closing tag, whatever was read until then.
    over = yield from blanks_before(tape, close)
    if not over and (yield from peek(tape)) == "{":
        outcome = yield from read_call(tape, _QWEN_CALL)
        if outcome is CALL:
            over = yield from blanks_before(tape, close)
            if over:
                tape.read(len(close))
            tape.close_call(over)
            if over:
                return
    yield from _qwen_junk(tape)


def _qwen_junk(tape: Tape) -> Grammar:
    tape.held_is_junk()
    close = yield from until(tape, _QWEN_CLOSE, tape.junk)
    tape.junk(len(close))


# cohere

_COHERE_MARKERS = Markers(
    "<|START_ACTION|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
    "<|START_TEXT|>",
    "<|END_TEXT|>",
)
_ACTION = "<|START_ACTION|>"
_ACTION_END = Markers("<|END_ACTION|>")
_QUOTE = Markers('"', "<|END_ACTION|>")
_COHERE_CALL = CallShape(("tool_name", "name"), ("parameters", "arguments"))


def cohere(tape: Tape) -> Grammar:
    """Action blocks. One is read when its end has come, which does not count inside strings."""
    while word := (yield from until(tape, _COHERE_MARKERS, tape.text)):
        if word != _ACTION:
            tape.read(len(word))
            continue
        tape.hold()
        tape.read(len(word))
        if (yield from _action_end(tape)):
            end = len(_ACTION_END.words[0])
            block = tape.held()[len(word) :]
            calls = whole_calls(block, _COHERE_CALL)
            tape.read(end)
            if calls is None:
                tape.held_is_dropped()
            else:
                tape.held_is_markup()
            for name, arguments in calls or ():
                tape.whole_call(name, arguments)
        else:
            tape.held_is_text()


def _action_end(tape: Tape) -> Generator[None, None, bool]:
    """Reads on to the end marker that is not in a string."""
    while word := (yield from until(tape, _QUOTE, tape.read)):
        if word != '"':
            return True
        tape.read(1)
        yield from skip_string(tape)
    return False
