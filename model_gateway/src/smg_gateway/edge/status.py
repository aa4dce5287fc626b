"""Status lines, made once."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

STATUS_LINES: Mapping[int, bytes] = MappingProxyType({
    s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus
})


def status_line(status: int, reason: bytes) -> bytes:
    """The status line of a status outside the registry."""
    return b"HTTP/1.1 %d %b\r\n" % (status, reason)
