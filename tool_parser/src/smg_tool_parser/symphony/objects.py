"""Calls that are JSON objects with a name and arguments, or JSON behind a name.

The name is announced as soon as it is whole, and the arguments are passed on as they are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence

from ..json_stream import JsonRelay
from ..scanning import peek
from ..tape import Grammar
from .desk import CutOff, Desk, Tags, at_tag, capture, more, skip_blanks, verbatim

__all__ = ("JsonCalls", "NamedJson", "read_json", "read_object")

_Done = Generator[None, None, bool]


def read_json(desk: Desk, pass_on: Callable[[str], None] | None, *, enclosed: str = "") -> _Done:
    """Reads one JSON value; whether it is whole. Raises `CutOff`.

    Without `pass_on` it goes to the arguments of the open call, where `enclosed` completes it.
    """
    relay = JsonRelay()
    scanner = relay.scanner
    while True:
        begin = desk.pos
        end, fragment = relay.scan(desk.buf, begin)
        raw = desk.buf[begin:end]
        desk.read(end - begin)
        if pass_on is not None:
            pass_on(raw)
        else:
            desk.tell(raw if desk.as_written else fragment, scanner.ending() + enclosed)
        if scanner.done or scanner.failed:
            return scanner.done
        if desk.ended:
            if scanner.finish():
                return True
            raise CutOff
        yield


def _read_text(desk: Desk) -> Generator[None, None, str | None]:
    raw: list[str] = []
    if (yield from more(desk)) != '"' or not (yield from read_json(desk, raw.append)):
        return None
    text = json.loads("".join(raw))
    assert isinstance(text, str)
    return text


def read_object(desk: Desk, arguments_keys: Sequence[str]) -> _Done:
    """Reads the object that begins here as a call, and closes the call if one was opened.

    The call is opened when its name is known and its arguments begin, or the object ends.
    Whether it is a whole call. Otherwise, if no call was opened, it is in the hold.
    Raises `CutOff`.
    """
    desk.hold()
    desk.read(1)
    name: str | None = None
    early: list[str] = []
    told = False
    first = True
    while (char := (yield from skip_blanks(desk))) != "}":
        if not first:
            if char != ",":
                return _broken(desk)
            desk.read(1)
            yield from skip_blanks(desk)
        first = False
        key = yield from _read_text(desk)
        if key is None or (yield from skip_blanks(desk)) != ":":
            return _broken(desk)
        desk.read(1)
        char = yield from skip_blanks(desk)
        if key == "name" and name is None and char == '"':
            whole = (name := (yield from _read_text(desk))) is not None
            if name is not None and told:
                desk.begin(name)
                desk.arguments("".join(early))
        elif key in arguments_keys and not told:
            told = True
            if name is not None:
                desk.begin(name)
            whole = yield from read_json(desk, None if desk.call_open else early.append)
        else:
            whole = yield from read_json(desk, _nowhere)
        if not whole:
            return _broken(desk)
    desk.read(1)
    if name is None:
        return False
    if not desk.call_open:
        desk.begin(name)
    desk.end_call(complete=True)
    return True


def _broken(desk: Desk) -> bool:
    if desk.call_open:
        desk.end_call(complete=False)
    return False


def _nowhere(fragment: str) -> None:
    """Takes what nobody needs."""


class JsonCalls:
    """Objects between tags: one in each pair, or with `array` an array of them.

    The first of the `tags` opens, each of the others closes.

    Without tags, calls stand at the very beginning of an output, alone (if `alone`) or in an array.
    """

    def __init__(
        self,
        tags: tuple[str, ...] | None,
        *,
        array: bool = False,
        alone: bool = True,
        arguments_keys: Sequence[str] = ("arguments",),
    ) -> None:
        self.openers: tuple[str, ...] = tags[:1] if tags else ()
        self._array = array
        self._alone = alone
        self._keys = tuple(arguments_keys)
        if tags:
            self._tags = Tags(*tags)
            # What closes a broken object in front of the tag goes with the tag.
            bracket = "]" if array else ""
            closers = [f"}}{gap}{bracket}{tag}" for gap in ("", "\n") for tag in tags[1:]]
            self._behind_arguments = Tags(*closers, *tags)

    def __call__(self, desk: Desk, word: str) -> Grammar:
        found = word
        while found in self.openers:
            desk.read(len(found))
            found = yield from self._between_tags(desk)
        desk.read(len(found))

    def _between_tags(self, desk: Desk) -> Generator[None, None, str]:
        """Reads what stands between the tags; the tag that ended it, which stays unread."""
        desk.hold()
        calls = desk.opened_calls
        char = yield from skip_blanks(desk)
        if self._array and char == "[":
            desk.read(1)
            desk.held_is_markup()
            desk.hold()
            whole = yield from self._items(desk)
        else:
            whole = char == "{" and (yield from read_object(desk, self._keys))
        if whole:
            desk.hold()
            yield from skip_blanks(desk)
            if found := (yield from at_tag(desk, self._tags)):
                desk.held_is_markup()
                return found
        opened = desk.opened_calls > calls and not whole
        found = yield from verbatim(desk, self._behind_arguments if opened else self._tags)
        if found in self._tags.words:
            return found
        desk.read(found.rindex("<"))
        return found[found.rindex("<") :]

    def _items(self, desk: Desk) -> _Done:
        """Reads an array behind its bracket; whether it is whole, and all calls."""
        char = yield from skip_blanks(desk)
        while char != "]":
            if char != "{" or not (yield from read_object(desk, self._keys)):
                return False
            char = yield from skip_blanks(desk)
            if char == ",":
                desk.read(1)
                desk.hold()
                char = yield from skip_blanks(desk)
            elif char != "]":
                return False
        desk.read(1)
        return True

    def at_the_beginning(self, desk: Desk) -> Grammar:
        """Reads calls that an output begins with; all else is left to be read as text."""
        desk.hold()
        char = yield from skip_blanks(desk)
        if char == "[":
            desk.read(1)
            whole = yield from self._items(desk)
        else:
            whole = self._alone and char == "{"
            whole = whole and (yield from read_object(desk, self._keys))
        if whole and desk.opened_calls:
            desk.hold()
            desk.held_is_markup()
            while (char := (yield from peek(desk))) and char.isspace():
                desk.read(1)
        desk.held_is_text()


class NamedJson:
    """A name between two tags, and JSON behind it: `opener NAME middle {...}`."""

    def __init__(self, opener: str, middle: str) -> None:
        self.openers: tuple[str, ...] = (opener,)
        self._in_name = Tags(opener, middle)
        self._middle = middle

    def __call__(self, desk: Desk, word: str) -> Grammar:
        desk.read(len(word))
        desk.hold()
        found = yield from capture(desk, self._in_name)
        name = desk.held().strip()
        if found != self._middle or not name:
            desk.held_is_text()
            return
        desk.read(len(found))
        desk.begin(name)
        char = yield from skip_blanks(desk)
        whole = char in '{["' and (yield from read_json(desk, None))
        desk.end_call(complete=whole)
        while (char := (yield from peek(desk))) and char.isspace():
            desk.read(1)
