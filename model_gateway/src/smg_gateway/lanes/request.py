"""A request as it came in: bytes, kept."""

from __future__ import annotations


class InboundRequest:
    """Head and whole body of one client request.

    `headers` are pairs in order of arrival with lower-case names; `fields` is the same as a
    mapping for look-ups (the last of a repeated name wins). `target` is the request target as
    sent, `path` and `query` its parts, still percent-encoded. `started` is monotonic seconds.
    """

    __slots__ = (
        "body",
        "fields",
        "headers",
        "id",
        "method",
        "path",
        "peer",
        "query",
        "started",
        "target",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        started: float,
        peer: tuple[str, int] | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        self.headers = headers
        self.fields = dict(headers)
        self.body = b""
        self.id = ""
        self.started = started
        self.peer = peer
