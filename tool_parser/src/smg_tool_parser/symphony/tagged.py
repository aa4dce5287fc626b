"""Calls whose parameters stand between tags, one after the other.

    block( call( name, parameter( key, value )... )... )

The formats differ in the tags, in what ends a name, and in how a parameter's tag tells its key and
its type. What cannot continue a call is text, and reading goes on at the next tag that can.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from ..scanning import expect, until
from ..tape import Grammar
from .desk import CutOff, Desk, Tags, capture, more, next_tag, skip_blanks
from .values import may_be_string, quote, typed_json

__all__ = ("Head", "Tagged")

Head = tuple[str, bool | None]
"""A parameter's key, and whether its value is a string; None leaves that to the schema."""

_BLANKS = (" ", "\n", "\t", "\r")


class Tagged:
    """One such format.

    `block`: the tags around a group of calls, if there are any. `call`: what opens a call, and its
    closing tag. `name_end`: what ends the name; where it is empty, white space and any tag do.
    `parameter`: what opens a parameter's head. `head_end`: what ends that, `head_middle` what ends
    the key before. `value_end`: the closing tag of a value; with `framed`, a newline at either end
    of a string value is not part of it. `stops`: tags that end a value that is not closed.
    """

    def __init__(
        self,
        *,
        block: tuple[str, str] | None = None,
        call: tuple[str, str],
        name_end: str = "",
        parameter: str,
        head_middle: str = "",
        head_end: str,
        value_end: str,
        stops: Sequence[str],
        framed: bool = False,
        read_name: Callable[[str], str] = str.strip,
        read_head: Callable[[str], Head | None] | None = None,
    ) -> None:
        around = block or call
        self.openers: tuple[str, ...] = (around[0],)
        self._call_open, self._call_close = call
        self._end = around[1]
        self._name_end = name_end
        self._parameter = parameter
        self._head_middle = head_middle
        self._head_end = head_end
        self._framed = framed
        self._read_name = read_name
        self._read_head = read_head or _key_only
        self._in_block = Tags(*dict.fromkeys((call[0], *around)))
        in_call = tuple(dict.fromkeys((parameter, *call, *around)))
        self._in_call = Tags(*in_call)
        self._in_name = Tags(*((name_end, *stops) if name_end else (*_BLANKS, *in_call)))
        self._in_head = Tags(head_middle or head_end, *stops)
        self._closings = ("\n" + value_end, value_end) if framed else (value_end,)
        self._in_value = Tags(*self._closings, *stops)

    def __call__(self, desk: Desk, word: str) -> Grammar:
        desk.read(len(word))
        found = word
        while True:
            if found == self._call_open:
                found = yield from self._call(desk)
            elif found == self._end:
                return
            else:
                found = yield from next_tag(desk, self._in_block)
                desk.read(len(found))
                desk.held_is_markup()

    def _call(self, desk: Desk) -> Generator[None, None, str]:
        """Reads a call. Returns the tag that ended it, which was consumed; "" if none did."""
        desk.hold()
        if not self._name_end:
            yield from skip_blanks(desk)
        found = yield from capture(desk, self._in_name)
        if not found or (self._name_end and found != self._name_end):
            desk.held_is_trimmed_text()
            return ""
        name = self._read_name(desk.held())
        if self._name_end:
            desk.read(len(found))
        if not name:
            desk.held_is_markup()
            return ""
        desk.begin(name)
        while True:
            found = yield from next_tag(desk, self._in_call)
            desk.read(len(found))
            if found == self._parameter:
                yield from self._argument(desk)
            else:
                break
        desk.arguments("}" if desk.had_arguments else "{}")
        desk.end_call(complete=True)
        desk.held_is_markup()
        return found

    def _argument(self, desk: Desk) -> Grammar:
        """Reads a parameter, whose opening is in the hold."""
        opened = len(desk.held())
        found = yield from capture(desk, self._in_head)
        if found != (self._head_middle or self._head_end):
            desk.held_is_trimmed_text()
            return
        head = self._read_head(desk.held()[opened:])
        desk.read(len(found))
        if self._head_middle and not (yield from self._value_begins(desk)):
            desk.held_is_markup()
            return
        if head is None:
            desk.held_is_text()
            return
        key, is_string = head
        schema = desk.schemas.argument(desk.name, key)
        member = (", " if desk.had_arguments else "{") + quote(key) + ": "
        if is_string or (is_string is None and may_be_string(schema)):
            yield from self._string(desk, member)
            return
        begun = len(desk.held())
        found = yield from until(desk, self._in_value, desk.read)
        if not found:
            raise CutOff
        if found not in self._closings:
            desk.held_is_trimmed_text()
            return
        value = desk.held()[begun:]
        desk.read(len(found))
        desk.held_is_markup()
        desk.tell(member + typed_json(value, {} if is_string is False else schema), "}")

    def _value_begins(self, desk: Desk) -> Generator[None, None, bool]:
        yield from skip_blanks(desk)
        if (yield from expect(desk, self._head_end)):
            desk.read(len(self._head_end))
            return True
        if desk.ended and self._head_end.startswith(desk.buf[desk.pos :]):
            raise CutOff
        return False

    def _string(self, desk: Desk, member: str) -> Grammar:
        desk.held_is_markup()
        desk.tell(member + '"', '"}')
        if self._framed and (yield from more(desk)) == "\n":
            desk.read(1)
        found = yield from until(desk, self._in_value, desk.string, whole=False)
        if not found:
            raise CutOff
        if found in self._closings:
            desk.read(len(found))
        desk.tell('"', "}")


def _key_only(head: str) -> Head | None:
    return head.strip(), None
