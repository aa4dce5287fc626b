"""Families that write the name between markers and the arguments as JSON behind it.

deepseek, deepseek31 and kimik2 differ in nothing but the markers and in what is around the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

from ..json_stream import read_value
from ..scanning import Markers, blanks, blanks_before, until
from ..tape import Grammar, Tape

__all__ = ("DEEPSEEK", "DEEPSEEK31", "KIMI_K2", "MarkedJson")


class MarkedJson:
    """One such format.

    `section` opens the part of the output with calls; a call is `begin`, a heading with the name,
    `middle`, the arguments, `end`. `call_end` is the marker in `end` that ends bad calls as well.
    `name_of` reads the heading. Arguments that are no object are wrapped in one, or refused.
    """

    __slots__ = (
        "_begin",
        "_call_end",
        "_end",
        "_heading",
        "_middle",
        "_name_of",
        "_section",
        "_wrap",
    )

    def __init__(
        self,
        *,
        section: str,
        begin: str,
        middle: str,
        end: str,
        call_end: str,
        name_of: Callable[[str], str | None],
        wrap: bool,
    ) -> None:
        self._section = Markers(section)
        self._begin = Markers(begin)
        self._middle = middle
        self._call_end = Markers(call_end)
        self._heading = Markers(begin, middle, call_end)
        self._end = end
        self._name_of = name_of
        self._wrap = wrap

    def __call__(self, tape: Tape) -> Grammar:
        section = yield from until(tape, self._section, tape.text)
        tape.junk(len(section))
        while begin := (yield from until(tape, self._begin, tape.junk)):
            tape.hold()
            tape.read(len(begin))
            word = yield from until(tape, self._heading, tape.read)
            name = self._name_of(tape.held()[len(begin) :])
            if word == self._middle and name:
                tape.read(len(word))
                if (yield from self._arguments(tape, name)):
                    continue
                # Arguments that cannot be read go on to where the call should end.
                tape.held_is_junk()
                yield from until(tape, self._call_end, tape.junk)
            tape.held_is_junk()

    def _arguments(self, tape: Tape, name: str) -> Generator[None, None, bool]:
        """Reads arguments and the end of the call; whether all of that was there."""
        char = yield from blanks(tape, tape.read)
        if char == "{":
            tape.open_call(name)
            scanner = yield from read_value(tape, tape.arguments)
            if not scanner.done:
                tape.arguments(scanner.ending())
        elif self._wrap:
            raw: list[str] = []
            scanner = yield from read_value(tape, raw.append)
            if scanner.done and (yield from blanks_before(tape, self._end)):
                tape.open_call(name)
                tape.arguments('{"value": ' + "".join(raw) + "}")
        else:
            return False
        whole = scanner.done and (yield from blanks_before(tape, self._end))
        if whole and tape.call_open:
            tape.read(len(self._end))
        if tape.call_open:
            tape.close_call(whole)
        return whole


def _deepseek_name(heading: str) -> str | None:
    kind, _, name = heading.partition("<｜tool▁sep｜>")
    return name.strip() if kind.strip() == "function" else None


_KIMI_ID = re.compile(r"\s*(?:functions\.)?([\w.]+):[0-9]+\s*")


def _kimi_name(heading: str) -> str | None:
    found = _KIMI_ID.fullmatch(heading)
    return found.group(1) if found else None


DEEPSEEK = MarkedJson(
    section="<｜tool▁calls▁begin｜>",
    begin="<｜tool▁call▁begin｜>",
    middle="\n```json\n",
    end="\n```<｜tool▁call▁end｜>",
    call_end="<｜tool▁call▁end｜>",
    name_of=_deepseek_name,
    wrap=True,
)

DEEPSEEK31 = MarkedJson(
    section="<｜tool▁calls▁begin｜>",
    begin="<｜tool▁call▁begin｜>",
    middle="<｜tool▁sep｜>",
    end="<｜tool▁call▁end｜>",
    call_end="<｜tool▁call▁end｜>",
    name_of=str.strip,
    wrap=True,
)

KIMI_K2 = MarkedJson(
    section="<|tool_calls_section_begin|>",
    begin="<|tool_call_begin|>",
    middle="<|tool_call_argument_begin|>",
    end="<|tool_call_end|>",
    call_end="<|tool_call_end|>",
    name_of=_kimi_name,
    wrap=False,
)
