"""Calls written as JSON objects, `{"name": ..., "arguments": ...}`, and arrays of them.

The call is opened as soon as its name is whole, and its arguments are passed on as written. What
comes before the name is held: the object may yet turn out to be no call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator

from .events import gather
from .json_stream import JsonScanner, read_value
from .scanning import blanks, peek
from .tape import Style, Tape
from .tools import ToolSchemas

__all__ = (
    "BROKEN",
    "CALL",
    "CUT",
    "VALUE",
    "CallShape",
    "Outcome",
    "read_array",
    "read_call",
    "read_element",
    "whole_calls",
)

Outcome = str
CALL: Outcome = "call"
"""A whole call was read. It is still open, its closing is up to the caller."""
VALUE: Outcome = "value"
"""A whole value was read that is no call. It is in the hold."""
BROKEN: Outcome = "broken"
"""The next character cannot go on. An opened call has been closed as incomplete."""
CUT: Outcome = "cut"
"""The input ended. An opened call has been closed as incomplete."""


def _any_name(name: str) -> bool:
    return True


class CallShape:
    """Which members make an object a call.

    `names` and `arguments` are the accepted keys; the first member of each kind counts.
    `object_arguments`: other arguments than objects make it no call.
    `accepts`: names to accept.
    """

    __slots__ = ("accepts", "arguments", "names", "needs_arguments", "object_arguments")

    def __init__(
        self,
        names: tuple[str, ...],
        arguments: tuple[str, ...],
        *,
        object_arguments: bool = False,
        needs_arguments: bool = False,
        accepts: Callable[[str], bool] = _any_name,
    ) -> None:
        self.names = names
        self.arguments = arguments
        self.object_arguments = object_arguments
        self.needs_arguments = needs_arguments
        self.accepts = accepts


class _Object:
    """What is known of the object being read."""

    __slots__ = ("arguments", "named", "opened", "refused")

    def __init__(self) -> None:
        self.named = False
        self.opened = False
        self.refused = False
        self.arguments: list[str] | None = None


def read_call(tape: Tape, shape: CallShape) -> Generator[None, None, Outcome]:
    """Reads the object that begins here. Opens a hold; it stays open unless a call was opened."""
    tape.hold()
    tape.read(1)
    seen = _Object()
    first = True
    while True:
        char = yield from blanks(tape, tape.read)
        if char == "}" and first:
            break
        if char != '"':
            return _stop(tape, char)
        key = yield from _read_text(tape)
        if key is None:
            return _stop(tape, (yield from peek(tape)))
        char = yield from blanks(tape, tape.read)
        if char != ":":
            return _stop(tape, char)
        tape.read(1)
        char = yield from blanks(tape, tape.read)
        if not (yield from _read_member(tape, shape, seen, key, char)):
            return _stop(tape, (yield from peek(tape)))
        char = yield from blanks(tape, tape.read)
        if char == "}":
            break
        if char != ",":
            return _stop(tape, char)
        tape.read(1)
        first = False
    tape.read(1)
    if (
        seen.opened
        and not seen.refused
        and (seen.arguments is not None or not shape.needs_arguments)
    ):
        return CALL
    if seen.opened:
        tape.close_call(False)
    return VALUE


def _stop(tape: Tape, char: str) -> Outcome:
    if tape.call_open:
        tape.close_call(False)
    return BROKEN if char else CUT


def _read_text(tape: Tape) -> Generator[None, None, str | None]:
    """Reads a string; None if it is not one that ends well."""
    raw: list[str] = []
    scanner = yield from read_value(tape, raw.append)
    if not scanner.done:
        return None
    text = json.loads("".join(raw))
    assert isinstance(text, str)
    return text


def _read_member(
    tape: Tape, shape: CallShape, seen: _Object, key: str, char: str
) -> Generator[None, None, bool]:
    """Reads the value of `key`, which begins with `char`. Returns whether it is whole."""
    if key in shape.names and not seen.named and not seen.refused and char == '"':
        name = yield from _read_text(tape)
        if name is None:
            return False
        seen.named = True
        _open(tape, shape, seen, name)
        return True
    if key in shape.arguments and seen.arguments is None:
        seen.arguments = []
        if shape.object_arguments and char != "{":
            seen.refused = True
        elif seen.opened:
            scanner = yield from read_value(tape, tape.arguments)
            if not scanner.done:
                tape.arguments(scanner.ending())
            return scanner.done
        scanner = yield from read_value(tape, seen.arguments.append)
        return scanner.done
    scanner = yield from read_value(tape, _nowhere)
    return scanner.done


def _open(tape: Tape, shape: CallShape, seen: _Object, name: str) -> None:
    if seen.refused or not shape.accepts(name):
        seen.refused = True
        return
    tape.open_call(name)
    seen.opened = True
    for fragment in seen.arguments or ():
        tape.arguments(fragment)


def _nowhere(fragment: str) -> None:
    """Takes what nobody needs."""


def read_element(tape: Tape, shape: CallShape, char: str) -> Generator[None, None, Outcome]:
    """Reads any value, which begins with `char`: an object as a call, others as they are."""
    if char == "{":
        return (yield from read_call(tape, shape))
    tape.hold()
    scanner: JsonScanner = yield from read_value(tape, _nowhere)
    if scanner.done:
        return VALUE
    return _stop(tape, (yield from peek(tape)))


def read_array(tape: Tape, shape: CallShape) -> Generator[None, None, Outcome]:
    """Reads the array that begins here, and every call in it, each of which it closes.

    Returns CALL if there was one. Before the first call everything is in the hold.
    """
    tape.hold()
    tape.read(1)
    calls = tape.opened_calls
    char = yield from blanks(tape, tape.read)
    while char != "]":
        outcome = yield from read_element(tape, shape, char)
        if outcome is CALL:
            tape.close_call(True)
        elif outcome is not VALUE:
            return outcome
        elif tape.opened_calls > calls:
            tape.held_is_markup()
        char = yield from blanks(tape, tape.read)
        if char == ",":
            tape.read(1)
            char = yield from blanks(tape, tape.read)
            if char == "]":
                return BROKEN
        elif char != "]":
            return _stop(tape, char)
    tape.read(1)
    return CALL if tape.opened_calls > calls else VALUE


def whole_calls(text: str, shape: CallShape) -> list[tuple[str, str]] | None:
    """The calls, as names and arguments, of a text that is one JSON value; None if it is none."""
    tape = Tape(ToolSchemas(), Style(), _no_id, lossless=False, markup=False)
    tape.push(text)
    tape.ended = True
    try:
        next(_read_document(tape, shape))
    except StopIteration as stop:
        if stop.value:
            parsed = gather(tape.drain())
            return [(call.name, call.arguments) for call in parsed.calls if call.complete]
    return None


def _no_id(index: int, name: str) -> str:
    return ""


def _read_document(tape: Tape, shape: CallShape) -> Generator[None, None, bool]:
    char = yield from blanks(tape, tape.read)
    if char == "[":
        outcome = yield from read_array(tape, shape)
    else:
        outcome = yield from read_element(tape, shape, char)
        if outcome is CALL:
            tape.close_call(True)
    behind = yield from blanks(tape, tape.read)
    return outcome in {CALL, VALUE} and not behind
