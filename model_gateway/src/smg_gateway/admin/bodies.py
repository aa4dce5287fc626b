"""Bodies of requests to the gateway's own routes."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request


class BodyTooLarge(Exception):
    """The body exceeds the limit; only foreign servers let such a body come this far."""


async def read_whole(request: Request, max_bytes: int) -> bytes:
    """The body; raises `BodyTooLarge`. A client that left has sent what it has sent."""
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > max_bytes:
                raise BodyTooLarge
            pieces.append(piece)
    except ClientDisconnect:
        pass  # Nobody reads the answer.
    return b"".join(pieces)
