"""Parsers, for one output each, and whole outputs at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from .events import Event, MarkupDelta, Parsed, TextDelta, gather
from .families.bare_arguments import bare_arguments
from .registry import Family, family
from .tape import CallIds, Style, Tape
from .tools import ToolSchemas

__all__ = (
    "ToolParser",
    "Tools",
    "create_arguments_parser",
    "create_parser",
    "parse",
    "parse_answer",
)

Tools = Sequence[Mapping[str, object]]


def random_call_id(index: int, name: str) -> str:
    """`call_` and 24 hexadecimal digits."""
    return "call_" + os.urandom(12).hex()


class ToolParser:
    """The parser of one output: feed it the text in any pieces, then finish it.

    Made by `create_parser`. However the text is cut, the events say the same: equal text, equal
    calls, equal arguments. Never raises for what the text contains.
    """

    __slots__ = ("_finished", "_grammar", "_running", "_tape")

    def __init__(self, of: Family, tape: Tape) -> None:
        self._tape = tape
        self._grammar = of.grammar(tape)
        self._running = True
        self._finished = False
        self._step()

    def feed(self, delta: str) -> list[Event]:
        """Takes in the next piece of the text, of any length, and returns what is certain now.

        Raises ValueError after `finish`.
        """
        if self._finished:
            raise ValueError("the parser has been finished")
        # Written out instead of in methods: this runs for each token of an output.
        tape = self._tape
        tape.buf = tape.buf[tape.pos :] + delta if tape.pos < len(tape.buf) else delta
        tape.pos = 0
        if self._running:
            try:
                next(self._grammar)
            except StopIteration:
                self._running = False
        return tape.drain()

    def finish(self) -> list[Event]:
        """Ends the output and returns what was held back.

        A call that is still open is closed as incomplete. A second call returns nothing.
        """
        if not self._finished:
            self._finished = True
            self._tape.ended = True
            self._step()
            self._tape.end()
        return self._tape.drain()

    @property
    def unread_chars(self) -> int:
        """Characters that the next `feed` will look at again: less than a marker's length."""
        return self._tape.unread_chars

    @property
    def waiting_chars(self) -> int:
        """Characters taken in whose meaning is still open."""
        return self._tape.waiting_chars

    def _step(self) -> None:
        if self._running:
            try:
                next(self._grammar)
            except StopIteration:
                self._running = False


def create_parser(
    name: str,
    tools: Tools = (),
    *,
    lossless: bool = False,
    call_ids: CallIds | None = None,
) -> ToolParser:
    """A fresh parser for one output.

    `tools`: the declared functions, as in a chat completion request; their schemas give the types
    of arguments in formats that write text. `lossless`: text that the family would drop is shown,
    and `MarkupDelta` events account for the rest of the input. `call_ids` makes a call's id from
    its index and name; by default ids are random.

    Raises ParserUnknown.
    """
    return _create(family(name), tools, call_ids, lossless=lossless, markup=lossless)


def create_arguments_parser(function: str, *, call_ids: CallIds | None = None) -> ToolParser:
    """A parser for output that is nothing but one JSON object, the arguments of that function.

    That is what an engine writes under the JSON schema that `constraint_for` gives for a named
    function. Other output is text.
    """
    of = Family(bare_arguments(function), Style())
    return _create(of, (), call_ids, lossless=False, markup=False)


def _create(
    of: Family, tools: Tools, call_ids: CallIds | None, *, lossless: bool, markup: bool
) -> ToolParser:
    ids = call_ids or random_call_id
    return ToolParser(of, Tape(ToolSchemas(tools), of.style, ids, lossless=lossless, markup=markup))


def parse(
    name: str,
    text: str,
    tools: Tools = (),
    *,
    lossless: bool = False,
    call_ids: CallIds | None = None,
) -> Parsed:
    """Parses a whole output: `feed` and `finish`, gathered. Raises ParserUnknown."""
    parser = create_parser(name, tools, lossless=lossless, call_ids=call_ids)
    return gather(parser.feed(text) + parser.finish())


def parse_answer(
    name: str, text: str, tools: Tools = (), *, call_ids: CallIds | None = None
) -> Parsed:
    """Parses a whole output for an answer that is not streamed: complete calls only.

    What was written of an incomplete call is text again as far as the family shows text there; an
    output without any complete call comes back as it was. (Families in which broken markup
    vanishes do neither.) Raises ParserUnknown.
    """
    of = family(name)
    parser = _create(of, tools, call_ids, lossless=False, markup=True)
    return _without_incomplete(text, parser.feed(text) + parser.finish(), of.style)


def _without_incomplete(text: str, events: Sequence[Event], style: Style) -> Parsed:
    parsed = gather(events)
    complete = tuple(call for call in parsed.calls if call.complete)
    if len(complete) == len(parsed.calls) or not style.broken_is_text:
        return Parsed(parsed.normal_text, complete)
    if not style.broken_beside_calls:
        return Parsed(parsed.normal_text if complete else text, complete)
    broken = {call.index for call in parsed.calls if not call.complete}
    pieces: list[str] = []
    for event in events:
        match event:
            case TextDelta():
                pieces.append(event.text)
            case MarkupDelta() if event.index in broken:
                pieces.append(event.text)
            case _:
                pass
    return Parsed("".join(pieces), complete)
