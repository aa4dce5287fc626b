"""Finding markers in a tape, across any chunk border.

Only a tail that could still become a marker stays unread, so the unread rest is never longer than
the longest marker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

from .tape import Tape

__all__ = (
    "BLANKS",
    "Markers",
    "blanks",
    "blanks_before",
    "expect",
    "peek",
    "rest",
    "skip_string",
    "until",
)

# White space as JSON has it, which is also what these formats put between their parts.
BLANKS = " \t\n\r"
_BLANK_RUN = re.compile(r"[ \t\n\r]*")

Take = Callable[[int], None]


class Markers:
    """A fixed set of markers to look for; the longest one wins where several begin together."""

    __slots__ = ("_compiled", "_firsts", "_prefixes", "firsts", "longest_chars", "words")

    def __init__(self, *words: str) -> None:
        self.words = words
        self._prefixes = frozenset(word[:n] for word in words for n in range(1, len(word)))
        self._firsts = frozenset(word[0] for word in words)
        self.firsts = tuple(sorted(self._firsts))
        self.longest_chars = max(map(len, words))
        # Compiled when first needed: all families' markers together take longer than an import may.
        self._compiled: re.Pattern[str] | None = None

    @property
    def _pattern(self) -> re.Pattern[str]:
        if self._compiled is None:
            ordered = sorted(self.words, key=len, reverse=True)
            self._compiled = re.compile("|".join(map(re.escape, ordered)))
        return self._compiled

    def search(self, text: str, pos: int) -> re.Match[str] | None:
        return self._pattern.search(text, pos)

    def hold_back(self, text: str, pos: int) -> int:
        """Where the tail begins that could still become a marker; `len(text)` if there is none."""
        end = len(text)
        for at in range(max(pos, end - self.longest_chars + 1), end):
            if text[at] in self._firsts and text[at:] in self._prefixes:
                return at
        return end


def until(
    tape: Tape, markers: Markers, take: Take, *, whole: bool = True
) -> Generator[None, None, str]:
    """Consumes through `take` up to the next marker, which stays unread, and returns the marker.

    Returns "" at the end of the input. Then all of it has been taken if `whole`; otherwise the
    beginning of a marker may be left.
    """
    while True:
        buf, pos = tape.buf, tape.pos
        # Most text has no marker, and characters are found many times faster than words.
        for first in markers.firsts:
            if buf.find(first, pos) >= 0:
                break
        else:
            take(len(buf) - pos)
            if tape.ended:
                return ""
            yield
            continue
        found = markers.search(buf, pos)
        if found is not None:
            word = found.group()
            # A longer marker may begin here as well.
            if tape.ended or len(buf) - found.start() >= markers.longest_chars:
                take(found.start() - pos)
                return word
            at = markers.hold_back(buf, found.start())
            if at != found.start():
                take(found.start() - pos)
                return word
            take(at - pos)
        elif tape.ended and whole:
            take(len(buf) - pos)
            return ""
        else:
            take(markers.hold_back(buf, pos) - pos)
            if tape.ended:
                return ""
        yield


def rest(tape: Tape, take: Take) -> Generator[None, None, None]:
    """Consumes everything that is still to come."""
    while True:
        take(len(tape.buf) - tape.pos)
        if tape.ended:
            return
        yield


def peek(tape: Tape) -> Generator[None, None, str]:
    """The next character, which stays unread; "" at the end of the input."""
    while tape.pos >= len(tape.buf):
        if tape.ended:
            return ""
        yield
    return tape.buf[tape.pos]


def blanks(tape: Tape, take: Take) -> Generator[None, None, str]:
    """Consumes white space and returns the character behind it, as `peek` does."""
    while True:
        found = _BLANK_RUN.match(tape.buf, tape.pos)
        assert found is not None
        take(found.end() - tape.pos)
        if tape.pos < len(tape.buf):
            return tape.buf[tape.pos]
        if tape.ended:
            return ""
        yield


def expect(tape: Tape, word: str) -> Generator[None, None, bool]:
    """Whether `word` comes next. Nothing is consumed, and no more is awaited than needed."""
    while True:
        have = tape.buf[tape.pos : tape.pos + len(word)]
        if have == word:
            return True
        if tape.ended or not word.startswith(have):
            return False
        yield


def blanks_before(tape: Tape, word: str) -> Generator[None, None, bool]:
    """Reads white space up to `word`, which may begin with some itself; whether it is there.

    At the end of the input the beginning of `word` is read as well.
    """
    while True:
        if (yield from expect(tape, word)):
            return True
        if tape.ended and word.startswith(tape.buf[tape.pos :]):
            tape.read(tape.unread_chars)
            return False
        char = yield from peek(tape)
        if not char or char not in BLANKS:
            return False
        tape.read(1)


_QUOTE_OR_ESCAPE = Markers('"', "\\")


def skip_string(tape: Tape) -> Generator[None, None, None]:
    """Reads the rest of a double-quoted string, its closing quote included."""
    while word := (yield from until(tape, _QUOTE_OR_ESCAPE, tape.read)):
        tape.read(1)
        if word == '"':
            return
        if (yield from peek(tape)):
            tape.read(1)
