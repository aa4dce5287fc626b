"""The tape of a Symphony grammar: it takes reasoning too, and knows what a cut-off call lacks."""

from __future__ import annotations

import re
from collections.abc import Generator

from ..events import CallClosed
from ..scanning import Markers, peek, until
from ..tape import Style, Tape
from .events import Thought
from .values import Schemas, escape

__all__ = (
    "CutOff",
    "Desk",
    "Tags",
    "at_tag",
    "capture",
    "more",
    "next_tag",
    "skip_blanks",
    "verbatim",
)

# A name, a key or another head of markup that is longer is none: what is held stays bounded.
MAX_HEAD_CHARS = 4096


class CutOff(Exception):
    """The output has ended where a grammar needs more; it ends with it."""


class Tags(Markers):
    """Markers that can also be asked for at one position."""

    __slots__ = ("run",)

    def __init__(self, *words: str) -> None:
        super().__init__(*words)
        firsts = "".join(map(re.escape, sorted(self._firsts)))
        # A character and those behind it that are neither white space nor begin a marker.
        self.run = re.compile(rf"[\s\S][^\s{firsts}]*")

    def here(self, text: str, pos: int) -> str:
        """The marker that begins at `pos`, or ""."""
        found = self._pattern.match(text, pos)
        return found.group() if found else ""

    def may_begin(self, text: str, pos: int) -> bool:
        """Whether the text from `pos` on is the beginning of a marker."""
        return len(text) - pos < self.longest_chars and text[pos:] in self._prefixes


def _numbered(index: int, name: str) -> str:
    return f"call_{index}"


class Desk(Tape):
    """Input and output of one Symphony grammar.

    `as_written`: arguments that the output cuts off, or that a call does not have, stay as they
    are. Otherwise they are completed to a valid JSON value, also where `self_closing`.
    `missing` is what would complete the arguments now.
    """

    __slots__ = ("as_written", "missing", "name", "schemas", "self_closing")

    def __init__(self, schemas: Schemas, *, as_written: bool) -> None:
        super().__init__(schemas, Style(), _numbered, lossless=False, markup=False)
        self.as_written = as_written
        self.schemas = schemas
        self.name = ""
        self.missing = ""
        self.self_closing = False

    def reason(self, count: int) -> None:
        """Reasoning."""
        if count:
            self._flush()
            self._events.append(Thought(self._take(count)))

    def string(self, count: int) -> None:
        """A piece of a string value, as text."""
        if count:
            self.arguments(escape(self._take(count)))

    def say(self, text: str) -> None:
        """Visible text that was taken in as markup before."""
        self._say(text)

    def held_is_trimmed_text(self, without: str = "") -> None:
        """The hold is text; white space at its end belongs to the marker that follows.

        `without` is left out where it stands first.
        """
        held = self.held().rstrip()
        self.held_is_markup()
        self._say(held.replace(without, "", 1) if without else held)

    def begin(self, name: str) -> None:
        """Opens a call, whatever is held being its markup."""
        self.name = name
        self.missing = ""
        self.open_call(name)

    def tell(self, json: str, missing: str) -> None:
        """Arguments, and what would complete them now."""
        self.arguments(json)
        self.missing = missing

    def end_call(self, *, complete: bool) -> None:
        """Closes the open call. One without arguments has `{}`, or none if it is `as_written`."""
        if not complete and (self.self_closing or not self.as_written):
            self.arguments(self.missing)
        if self.had_arguments or not self.as_written:
            self.close_call(complete)
        else:
            self._flush()
            self._events.append(CallClosed(self._index, complete))
            self.call_open = False

    def cut_off(self) -> None:
        """The output has ended in the middle of markup: what was not understood is text."""
        if self.call_open:
            self.end_call(complete=False)
        self.held_is_text()
        self.text(len(self.buf) - self.pos)


def more(desk: Desk) -> Generator[None, None, str]:
    """The next character, which stays unread. Raises `CutOff`."""
    char = yield from peek(desk)
    if not char:
        raise CutOff
    return char


def skip_blanks(desk: Desk) -> Generator[None, None, str]:
    """Reads white space; the character behind it stays unread. Raises `CutOff`."""
    while (char := (yield from more(desk))).isspace():
        desk.read(1)
    return char


def next_tag(desk: Desk, tags: Tags) -> Generator[None, None, str]:
    """Goes to the next tag, which stays unread in front of an open hold of white space.

    Other characters before it are text, the white space among them is not. Raises `CutOff`.
    """
    desk.hold()
    while True:
        yield from skip_blanks(desk)
        if found := (yield from at_tag(desk, tags)):
            return found
        desk.held_is_markup()
        run = tags.run.match(desk.buf, desk.pos)
        assert run is not None
        desk.text(run.end() - desk.pos)
        desk.hold()


def at_tag(desk: Desk, tags: Tags) -> Generator[None, None, str]:
    """The tag that begins here, which stays unread, or "". Raises `CutOff`."""
    while tags.may_begin(desk.buf, desk.pos) and not desk.ended:
        yield
    found = tags.here(desk.buf, desk.pos)
    if not found and tags.may_begin(desk.buf, desk.pos):
        raise CutOff
    return found


def capture(desk: Desk, tags: Tags, most_chars: int = MAX_HEAD_CHARS) -> Generator[None, None, str]:
    """Reads up to a tag, which stays unread; "" if none comes soon enough. Raises `CutOff`."""
    left = most_chars
    while True:
        found = tags.search(desk.buf, desk.pos)
        ahead = tags.hold_back(desk.buf, desk.pos)
        if found and (desk.ended or found.start() <= ahead):
            ahead = found.start()
        else:
            # What was found lies within what may become a tag that begins before it.
            found = None
        count = min(ahead - desk.pos, left)
        desk.read(count)
        left -= count
        if found and desk.pos == found.start():
            return found.group()
        if not left and desk.pos < ahead:
            return ""
        if desk.ended:
            raise CutOff
        yield


def verbatim(desk: Desk, tags: Markers) -> Generator[None, None, str]:
    """What is held, and all up to the next of the tags, is text. Raises `CutOff`."""
    desk.held_is_text()
    found = yield from until(desk, tags, desk.text)
    if not found:
        raise CutOff
    return found
