"""Families that write Python: pythonic (a list of calls) and sarashina (a list of dictionaries)."""

from __future__ import annotations

import re
from collections.abc import Generator

from ..json_calls import CallShape, whole_calls
from ..python_literals import call_list, literal_json
from ..scanning import Markers, blanks, expect, peek, rest, until
from ..tape import Grammar, Tape

__all__ = ("pythonic", "sarashina")

_BRACKETS = Markers("[", "]", "(", ")", "{", "}", "'", '"')
_STRING_ENDS = {quote: Markers(quote, "\\") for quote in ("'", '"', "'''", '"""')}


def _read_brackets(tape: Tape, depth: int = 0) -> Generator[None, None, bool]:
    """Reads up to the counterpart of the first bracket; whether that is there.

    `depth` brackets are open already. They are counted, not matched: what does not match is no
    Python anyway.
    """
    while word := (yield from until(tape, _BRACKETS, tape.read)):
        if word in {"'", '"'}:
            yield from _read_string(tape, word)
            continue
        tape.read(1)
        depth += 1 if word in "[({" else -1
        if not depth:
            return True
    return False


def _read_string(tape: Tape, quote: str) -> Generator[None, None, None]:
    if (yield from expect(tape, quote * 3)):
        quote *= 3
    elif (yield from expect(tape, quote * 2)):
        tape.read(2)
        return
    tape.read(len(quote))
    ends = _STRING_ENDS[quote]
    while word := (yield from until(tape, ends, tape.read)):
        tape.read(len(word))
        if word == quote:
            return
        if (yield from peek(tape)):
            tape.read(1)


# pythonic

_START, _END = "<|python_start|>", "<|python_end|>"
_PYTHONIC = Markers("[", _START, _END)
_PYTHON_TAGS = Markers(_START, _END)
_BRACKET_RUN = re.compile(r"\[+")


def pythonic(tape: Tape) -> Grammar:
    """The first list that looks like calls; without one the text is as it was."""
    while word := (yield from until(tape, _PYTHONIC, tape.text)):
        if word != "[":
            tape.junk(len(word))
            continue
        run = _BRACKET_RUN.match(tape.buf, tape.pos)
        assert run is not None
        # A bracket that another follows begins no list of calls.
        tape.text(run.end() - tape.pos - 1)
        tape.hold()
        if (yield from _looks_like_calls(tape)):
            calls = None
            if (yield from _read_brackets(tape, 1)):
                calls = call_list(tape.held())
            for name, arguments in calls or ():
                tape.whole_call(name, arguments)
            tape.held_is_text()
            break
        tape.held_is_text()
    take = tape.read if tape.closed_calls else tape.text
    while word := (yield from until(tape, _PYTHON_TAGS, tape.text)):
        take(len(word))


def _looks_like_calls(tape: Tape) -> Generator[None, None, bool]:
    """Whether a name and `(` follow the bracket. Reads no further than needed to see."""
    start = len(tape.held())
    tape.read(1)
    char = yield from blanks(tape, tape.read)
    while char.isidentifier() or char.isdigit():
        tape.read(1)
        char = yield from peek(tape)
    name = tape.held()[start + 1 :].strip()
    char = yield from blanks(tape, tape.read)
    return char == "(" and name.isidentifier()


# sarashina

_MARKER = "<|tool_calls|>"
_TOOL_CALLS = Markers(_MARKER)
_SARASHINA_CALL = CallShape(("name",), ("arguments",))


def sarashina(tape: Tape) -> Grammar:
    """A list or dictionary behind the marker, or at the very start of the text."""
    tape.hold()
    char = yield from blanks(tape, tape.read)
    if char and char in "[{":
        yield from _read_payload(tape, len(tape.held()))
    tape.held_is_text()
    while not tape.closed_calls and (yield from until(tape, _TOOL_CALLS, tape.text)):
        tape.read(len(_MARKER))
        while (yield from expect(tape, _MARKER)):
            tape.read(len(_MARKER))
        tape.hold()
        char = yield from blanks(tape, tape.read)
        if char and char in "[{":
            yield from _read_payload(tape, len(tape.held()))
        tape.held_is_text()
    yield from rest(tape, tape.text)


def _read_payload(tape: Tape, start: int) -> Grammar:
    """Reads a payload that begins here, `start` characters into the hold, and its calls."""
    if not (yield from _read_brackets(tape)):
        return
    json = literal_json(tape.held()[start:])
    for name, arguments in (whole_calls(json, _SARASHINA_CALL) or ()) if json else ():
        tape.whole_call(name, arguments)
