"""Which headers pass in which direction.

Everything that is not hop-by-hop and not addressed to the gateway passes, so that what works
against one worker works through the gateway (SMG 1.13.0 forwards a short list and drops the rest).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

HOP_BY_HOP = frozenset({
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"trailers",
    b"transfer-encoding",
    b"upgrade",
})

REQUEST_DROPPED = HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    # Workers answer uncompressed, so that events can be inserted and errors read.
    b"accept-encoding",
    b"cookie",
    b"x-smg-target-worker",
    b"x-smg-parser",
    b"x-smg-routing-tokens",
    b"x-smg-priority",
    b"x-smg-tenant-id",
}
"""Cookies are the gateway host's, not the worker's; `x-smg-*` steer the gateway."""

RESPONSE_DROPPED = HOP_BY_HOP | {b"host", b"x-request-id", b"x-smg-routed-worker-id"}


def request_block(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Header lines for the worker."""
    dropped = REQUEST_DROPPED
    lines = []
    for name, value in headers:
        if name not in dropped:
            lines.append(b"%b: %b\r\n" % (name, value))
        elif name == b"connection":
            dropped = _with_nominated(dropped, value)
    if dropped is not REQUEST_DROPPED:
        lines = [b"%b: %b\r\n" % pair for pair in headers if pair[0] not in dropped]
    return b"".join(lines)


def response_headers(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers for the client, without framing other than content-length."""
    dropped = RESPONSE_DROPPED
    for name, value in headers:
        if name == b"connection":
            dropped = _with_nominated(dropped, value)
    return [pair for pair in headers if pair[0] not in dropped]


def _with_nominated(dropped: frozenset[bytes], connection: bytes) -> frozenset[bytes]:
    """Add the headers that a Connection header declares hop-by-hop (RFC 9110, 7.6.1)."""
    if connection.lower() in (b"keep-alive", b"close"):
        return dropped
    nominated = {token.strip().lower() for token in connection.split(b",")}
    return dropped | (nominated - {b"keep-alive", b"close", b"content-length", b"content-type"})


class _ErrorDetail(msgspec.Struct):
    message: str


class _ErrorBody(msgspec.Struct):
    error: _ErrorDetail | str | None = None
    message: str | None = None
    detail: str | None = None


def upstream_message(body: bytes) -> str:
    """The message inside a worker's error body, whichever shape it has, else the body itself."""
    try:
        shape = msgspec.json.decode(body, type=_ErrorBody)
    except msgspec.MsgspecError:
        return body.decode("utf-8", "replace").strip()
    if isinstance(shape.error, _ErrorDetail):
        return shape.error.message
    found = shape.error or shape.message or shape.detail
    return found if found is not None else body.decode("utf-8", "replace").strip()
