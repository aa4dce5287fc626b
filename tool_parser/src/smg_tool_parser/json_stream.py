"""Reading JSON as it comes: one value, checked character by character, without recursion.

The scanner follows the grammar of RFC 8259 exactly. It says how far the text is consumed, how much
of that may be passed on, and with what ending the part passed on becomes a valid value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

from .tape import Tape

__all__ = ("MAX_DEPTH", "JsonRelay", "JsonScanner", "is_json", "read_value", "skip_value")

# Deeper values are refused. Consumers' own readers recurse, and SMG's stops at this depth too.
MAX_DEPTH = 127

_STRING_RUN = re.compile(r'[^"\\\x00-\x1f]*')
_BLANK_RUN = re.compile(r"[ \t\n\r]*")
_DIGIT_RUN = re.compile(r"[0-9]*")
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_LITERALS = {"t": "true", "f": "false", "n": "null"}

_VALUE, _FIRST_ITEM, _FIRST_KEY, _KEY, _COLON, _AFTER = range(6)
_STRING, _ESCAPE, _HEX, _LITERAL, _SIGN, _ZERO, _INTEGER = range(6, 13)
_POINT, _FRACTION, _EXPONENT, _EXPONENT_SIGN, _EXPONENT_DIGITS = range(13, 18)

# What turns a number that was cut here into a whole one.
_NUMBER_ENDINGS = {
    _SIGN: "0",
    _ZERO: "",
    _INTEGER: "",
    _POINT: "0",
    _FRACTION: "",
    _EXPONENT: "0",
    _EXPONENT_SIGN: "0",
    _EXPONENT_DIGITS: "",
}


class JsonScanner:
    """Checks one JSON value that arrives in pieces.

    `done` and `failed` say how it went; a failing character is not consumed. `settled` is, after
    a scan, the position up to which the scanned text may be passed on, or -1 if nothing new may.
    """

    __slots__ = (
        "_hex_left",
        "_hex_value",
        "_high",
        "_is_key",
        "_literal",
        "_max_depth",
        "_stack",
        "_state",
        "done",
        "failed",
        "settled",
    )

    def __init__(self, max_depth: int = MAX_DEPTH) -> None:
        self.done = False
        self.failed = False
        self.settled = -1
        self._state = _VALUE
        self._stack: list[str] = []
        self._is_key = False
        self._literal = ""
        self._hex_left = 0
        self._hex_value = 0
        self._high = False
        self._max_depth = max_depth

    @property
    def in_string(self) -> bool:
        """Whether the consumed text ends inside a string."""
        return self._state in {_STRING, _ESCAPE, _HEX}

    def scan(self, text: str, pos: int) -> int:
        """Consumes `text` from `pos` and returns where it stopped."""
        self.settled = -1
        end = len(text)
        while pos < end and not self.done and not self.failed:
            pos = _STEPS[self._state](self, text, pos)
        return pos

    def stays_in_string(self, text: str, pos: int) -> bool:
        """Whether all of `text` from `pos` on is the inside of a string, and consumed as such."""
        if self._state != _STRING or self._high:
            return False
        found = _STRING_RUN.match(text, pos)
        return found is not None and found.end() == len(text)

    def finish(self) -> bool:
        """Tells the scanner that nothing follows; true if the value is whole."""
        if not self.done and not self._stack and self._state in _NUMBER_ENDINGS:
            self.done = not _NUMBER_ENDINGS[self._state]
        return self.done

    def ending(self) -> str:
        """The shortest text that makes the part passed on so far a valid value."""
        if self.done:
            return ""
        state = self._state
        if state == _VALUE:
            # Behind an item's comma, which was not passed on, there is nothing to complete.
            head = "" if self._stack and self._stack[-1] == "]" else "null"
        elif state in {_STRING, _ESCAPE, _HEX}:
            head = '":null' if self._is_key else '"'
        elif state == _COLON:
            head = ":null"
        elif state == _LITERAL:
            head = self._literal
        else:
            head = _NUMBER_ENDINGS.get(state, "")
        return head + "".join(reversed(self._stack))

    # Steps: each consumes at least one character, or fails, or leaves the state.

    def _fail(self, pos: int) -> int:
        self.failed = True
        return pos

    def _settle(self, pos: int) -> int:
        self.settled = pos
        return pos

    def _value_ended(self) -> None:
        if self._stack:
            self._state = _AFTER
        else:
            self.done = True

    def _skip_blanks(self, text: str, pos: int) -> int:
        found = _BLANK_RUN.match(text, pos)
        assert found is not None
        return found.end()

    def _step_value(self, text: str, pos: int) -> int:
        char = text[pos]
        if char in " \t\n\r":
            return self._skip_blanks(text, pos)
        if char == '"':
            self._state, self._is_key, self._high = _STRING, False, False
        elif char == "{" or char == "[":
            if len(self._stack) >= self._max_depth:
                return self._fail(pos)
            self._stack.append("}" if char == "{" else "]")
            self._state = _FIRST_KEY if char == "{" else _FIRST_ITEM
        elif char == "-":
            self._state = _SIGN
        elif char == "0":
            self._state = _ZERO
        elif "1" <= char <= "9":
            self._state = _INTEGER
        elif char in _LITERALS:
            self._state, self._literal = _LITERAL, _LITERALS[char][1:]
        else:
            return self._fail(pos)
        return self._settle(pos + 1)

    def _step_first_item(self, text: str, pos: int) -> int:
        if text[pos] == "]":
            return self._close(pos)
        return self._step_value(text, pos)

    def _step_key(self, text: str, pos: int) -> int:
        char = text[pos]
        if char in " \t\n\r":
            pos = self._skip_blanks(text, pos)
            return pos if self._state == _KEY else self._settle(pos)
        if char == '"':
            self._state, self._is_key, self._high = _STRING, True, False
            return self._settle(pos + 1)
        if char == "}" and self._state == _FIRST_KEY:
            return self._close(pos)
        return self._fail(pos)

    def _step_colon(self, text: str, pos: int) -> int:
        char = text[pos]
        if char in " \t\n\r":
            return self._settle(self._skip_blanks(text, pos))
        if char != ":":
            return self._fail(pos)
        self._state = _VALUE
        return self._settle(pos + 1)

    def _step_after(self, text: str, pos: int) -> int:
        char = text[pos]
        if char in " \t\n\r":
            return self._settle(self._skip_blanks(text, pos))
        if char == ",":
            # Not settled: a comma is only passed on with what follows it.
            self._state = _KEY if self._stack[-1] == "}" else _VALUE
            return pos + 1
        if char == self._stack[-1]:
            return self._close(pos)
        return self._fail(pos)

    def _close(self, pos: int) -> int:
        self._stack.pop()
        self._value_ended()
        return self._settle(pos + 1)

    def _step_string(self, text: str, pos: int) -> int:
        found = _STRING_RUN.match(text, pos)
        assert found is not None
        at = found.end()
        if at > pos:
            self._high = False
            self._settle(at)
        if at == len(text):
            return at
        char = text[at]
        if char == "\\":
            self._state = _ESCAPE
            return at + 1
        if char != '"':
            return self._fail(at)
        if self._is_key:
            self._state = _COLON
        else:
            self._value_ended()
        return self._settle(at + 1)

    def _step_escape(self, text: str, pos: int) -> int:
        char = text[pos]
        if char == "u":
            self._state, self._hex_left, self._hex_value = _HEX, 4, 0
            return pos + 1
        if char not in '"\\/bfnrt':
            return self._fail(pos)
        self._state, self._high = _STRING, False
        return self._settle(pos + 1)

    def _step_hex(self, text: str, pos: int) -> int:
        char = text[pos]
        if char not in _HEX_DIGITS:
            return self._fail(pos)
        self._hex_value = self._hex_value * 16 + int(char, 16)
        self._hex_left -= 1
        if self._hex_left:
            return pos + 1
        self._state = _STRING
        # The first half of a surrogate pair waits for the second.
        self._high = not self._high and 0xD800 <= self._hex_value < 0xDC00
        return pos + 1 if self._high else self._settle(pos + 1)

    def _step_literal(self, text: str, pos: int) -> int:
        if text[pos] != self._literal[0]:
            return self._fail(pos)
        self._literal = self._literal[1:]
        if not self._literal:
            self._value_ended()
        return self._settle(pos + 1)

    def _step_number(self, text: str, pos: int) -> int:
        state, char = self._state, text[pos]
        if "0" <= char <= "9" and state != _ZERO:
            if state == _SIGN:
                self._state = _ZERO if char == "0" else _INTEGER
                return self._settle(pos + 1)
            if state in {_POINT, _FRACTION}:
                self._state = _FRACTION
            elif state != _INTEGER:
                self._state = _EXPONENT_DIGITS
            found = _DIGIT_RUN.match(text, pos)
            assert found is not None
            return self._settle(found.end())
        if char == "." and state in {_ZERO, _INTEGER}:
            self._state = _POINT
        elif char in "eE" and state in {_ZERO, _INTEGER, _FRACTION}:
            self._state = _EXPONENT
        elif char in "+-" and state == _EXPONENT:
            self._state = _EXPONENT_SIGN
        elif _NUMBER_ENDINGS[state]:
            return self._fail(pos)
        else:
            self._value_ended()
            return pos
        return self._settle(pos + 1)


_Step = Callable[[JsonScanner, str, int], int]
_STEPS: tuple[_Step, ...] = (
    JsonScanner._step_value,
    JsonScanner._step_first_item,
    JsonScanner._step_key,
    JsonScanner._step_key,
    JsonScanner._step_colon,
    JsonScanner._step_after,
    JsonScanner._step_string,
    JsonScanner._step_escape,
    JsonScanner._step_hex,
    JsonScanner._step_literal,
    *[JsonScanner._step_number] * 8,
)


class JsonRelay:
    """A scanner that also hands on what it consumed, in fragments that can always be completed."""

    __slots__ = ("_waiting", "scanner")

    def __init__(self, max_depth: int = MAX_DEPTH) -> None:
        self.scanner = JsonScanner(max_depth)
        self._waiting: list[str] = []

    def scan(self, text: str, pos: int) -> tuple[int, str]:
        """Consumes `text` from `pos`; returns where it stopped and the fragment to pass on."""
        if not self._waiting and self.scanner.stays_in_string(text, pos):
            return len(text), text[pos:]
        end = self.scanner.scan(text, pos)
        settled = self.scanner.settled
        if settled < 0:
            if end > pos:
                self._waiting.append(text[pos:end])
            return end, ""
        fragment = text[pos:settled]
        if self._waiting:
            fragment = "".join(self._waiting) + fragment
            self._waiting.clear()
        if end > settled:
            self._waiting.append(text[settled:end])
        return end, fragment


def read_value(
    tape: Tape, pass_on: Callable[[str], None], max_depth: int = MAX_DEPTH
) -> Generator[None, None, JsonScanner]:
    """Reads one value as markup and passes it on as it comes. Look at the scanner for the outcome."""
    relay = JsonRelay(max_depth)
    scanner = relay.scanner
    while True:
        end, fragment = relay.scan(tape.buf, tape.pos)
        tape.read(end - tape.pos)
        if fragment:
            pass_on(fragment)
        if scanner.done or scanner.failed:
            return scanner
        if tape.ended:
            scanner.finish()
            return scanner
        yield


def skip_value(text: str, pos: int, max_depth: int = MAX_DEPTH) -> int:
    """Where the value that begins at `pos` (or behind blanks there) ends; -1 if it is not valid."""
    scanner = JsonScanner(max_depth)
    end = scanner.scan(text, pos)
    return end if scanner.finish() else -1


def is_json(text: str) -> bool:
    """Whether `text` is one JSON value, white space around it allowed."""
    end = skip_value(text, 0)
    return end >= 0 and not text[end:].strip(" \t\n\r")
