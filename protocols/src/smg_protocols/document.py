"""JSON as the diagnosis reads it: every member kept in order, positions found again on demand.

Only bodies that the fast decoder refused come here, so clarity beats speed; still the scanning
itself is done by C code, as a refused body may be as large as an accepted one.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from smg_protocols.faults import SyntaxFault, Trail

__all__ = (
    "CLOSE_LOOK_LIMIT_BYTES",
    "Members",
    "line_and_column",
    "looks_deep",
    "position_after",
    "read_document",
    "thaw",
)

_Scan = Callable[[str, int], tuple[Any, int]]

# serde_json, whose answers clients know, stops when the 128th container opens.
DEPTH_LIMIT: Final = 128
# Some things cost a further scan of the body: repeated keys, broken UTF-8 in members that
# nobody reads, exact depth. They are refused up to this size; beyond it the last of repeated
# keys counts, as it does for the workers, and only the usual shape of deep bodies is noticed.
CLOSE_LOOK_LIMIT_BYTES: Final = 16 * 1024
# Beyond this, errors do not say where in the body they were met: finding out reads it again.
LOCATED_LIMIT_BYTES: Final = 1024 * 1024

_SKIP: Final = msgspec.json.Decoder(msgspec.Raw)
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_BYTE_OFFSET: Final = re.compile(r"^JSON is malformed: (.*) \(byte (\d+)\)$")
_CAUSES: Final = {
    "trailing characters": "trailing characters",
    "trailing comma in object": "trailing comma",
    "trailing comma in array": "trailing comma",
    "expected '\"'": "key must be a string",
    "invalid character in unicode escape": "invalid escape",
    "expected ':'": "expected `:`",
    "expected ',' or '}'": "expected `,` or `}`",
    "expected ',' or ']'": "expected `,` or `]`",
    "invalid escaped character": "invalid escape",
    "invalid utf-16 surrogate pair": "lone leading surrogate in hex escape",
    "invalid number": "invalid number",
}
# Containers that close together: the usual shape of a body made to be deep.
_DEEP_RUNS: Final = (b"]" * 64, b"}" * 64, b"]}" * 32)


class Members(list[tuple[str, object]]):
    """The members of one JSON object in document order, repeated keys included."""

    __slots__ = ()


def read_document(body: bytes) -> object:
    """Return the document as None, bool, int, float, str, list and Members.

    Raises SyntaxFault.
    """
    try:
        _SKIP.decode(body)
        text = body.decode()
    except RecursionError:
        raise SyntaxFault("recursion limit exceeded") from None
    except msgspec.DecodeError as error:
        raise _syntax_fault(body, str(error)) from None
    except UnicodeDecodeError as error:
        raise SyntaxFault("invalid unicode code point", error.start) from None
    if len(body) <= CLOSE_LOOK_LIMIT_BYTES or looks_deep(body):
        _check_depth(text)
    try:
        return json.loads(text, object_pairs_hook=Members, parse_int=_integer, parse_float=_float)
    except RecursionError:
        raise SyntaxFault("recursion limit exceeded") from None
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode())
        raise SyntaxFault("expected value", offset) from None


def looks_deep(body: bytes) -> bool:
    """Whether a body contains so long a run of closing brackets that it needs a closer look."""
    return any(run in body for run in _DEEP_RUNS)


def thaw(value: object) -> object:
    """Turn Members back into dictionaries; the last of repeated keys wins."""
    if isinstance(value, Members):
        return {key: thaw(member) for key, member in value}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value


def position_after(body: bytes, trail: Trail) -> int:
    """Return how many bytes a streaming reader has read when the value at `trail` ends.

    When the trail leads nowhere the position is that of the last value met on the way, in
    very long bodies it is their end.
    """
    if len(body) > LOCATED_LIMIT_BYTES:
        return len(body)
    text = body.decode()
    scan = json.JSONDecoder(parse_int=_integer, parse_float=_float).raw_decode
    start = _skip_space(text, 0)
    for segment in trail.segments:
        inner = _enter(text, start, segment, scan)
        if inner is None:
            break
        start = inner
    _, end = scan(text, start)
    return len(text[:end].encode())


def line_and_column(body: bytes, offset: int) -> tuple[int, int]:
    """Return the line (from 1) and the number of bytes read of that line."""
    line_start = body.rfind(b"\n", 0, offset) + 1
    return body.count(b"\n", 0, offset) + 1, offset - line_start


def _enter(text: str, start: int, segment: str | int, scan: _Scan) -> int | None:
    """Return where the member or item named by `segment` starts, None when there is none."""
    if text[start] not in "{[":
        return None
    position = _skip_space(text, start + 1)
    index = 0
    found: int | None = None
    while text[position] not in "}]":
        key: str | int = index
        if text[start] == "{":
            key, position = scan(text, position)
            position = _skip_space(text, _skip_space(text, position) + 1)
        if key == segment:
            found = position
            if isinstance(segment, int):
                break
        _, position = scan(text, position)
        position = _skip_space(text, position)
        if text[position] == ",":
            position = _skip_space(text, position + 1)
        index += 1
    return found


def _skip_space(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def _integer(digits: str) -> int | float:
    # Integers outside 64 bits are floating point numbers to the reader whose errors we give.
    if len(digits) < 19:
        return int(digits)
    if len(digits) < 21:
        value = int(digits)
        if -(2**63) <= value < 2**64:
            return value
    return _float(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise SyntaxFault("number out of range")
    return value


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") < DEPTH_LIMIT:
        return
    depth = 0
    for token in _TOKENS.finditer(text):
        mark = text[token.start()]
        if mark in "[{":
            depth += 1
            if depth >= DEPTH_LIMIT:
                raise SyntaxFault("recursion limit exceeded", len(text[: token.end()].encode()))
        elif mark != '"':
            depth -= 1


def _syntax_fault(body: bytes, explanation: str) -> SyntaxFault:
    located = _BYTE_OFFSET.match(explanation)
    if located is None:
        kind = "value" if not body.strip() else "object" if body.lstrip()[:1] == b"{" else "list"
        return SyntaxFault(f"EOF while parsing a{'n' * (kind == 'object')} {kind}", len(body))
    cause, offset = _CAUSES.get(located[1], "expected value"), int(located[2])
    if cause == "expected value" and offset < len(body) and body[offset] < 0x20:
        # White space is never invalid between tokens, so this one stands in a string.
        cause = "control character (\\u0000-\\u001F) found while parsing a string"
    return SyntaxFault(cause, min(offset + 1, len(body)))
