"""Output that is the arguments of one function and nothing else, as a forced choice makes it."""

from __future__ import annotations

from collections.abc import Callable

from ..json_stream import read_value
from ..scanning import blanks, rest
from ..tape import Grammar, Tape

__all__ = ("bare_arguments",)


def bare_arguments(name: str) -> Callable[[Tape], Grammar]:
    """The grammar for that function. Output that does not begin with an object is text."""

    def grammar(tape: Tape) -> Grammar:
        tape.hold()
        if (yield from blanks(tape, tape.read)) == "{":
            tape.held_is_markup()
            tape.open_call(name)
            scanner = yield from read_value(tape, tape.arguments)
            if not scanner.done:
                tape.arguments(scanner.ending())
            tape.close_call(scanner.done)
        else:
            tape.held_is_text()
        yield from rest(tape, tape.text)

    return grammar
