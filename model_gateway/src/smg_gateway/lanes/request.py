"""A request as it came in: bytes, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..admission import BodyBudget
    from ..observability.tracing import RequestTrace


class InboundRequest:
    """Head and whole body of one client request.

    `headers` are pairs in order of arrival with lower-case names; `fields` is the same as a
    mapping for look-ups (the last of a repeated name wins). `target` is the request target as
    sent, `path` and `query` its parts, still percent-encoded. `started` is monotonic seconds.
    `permit` says whether the request holds an admission permit, `budget` what counts `held_bytes`
    of its body; `trace` is there for a request that is traced.
    """

    __slots__ = (
        "body",
        "budget",
        "fields",
        "headers",
        "held_bytes",
        "id",
        "method",
        "path",
        "peer",
        "permit",
        "query",
        "started",
        "target",
        "trace",
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
        self.permit = False
        self.budget: BodyBudget | None = None
        self.held_bytes = 0
        self.trace: RequestTrace | None = None

    def drop_body(self) -> None:
        """The body is needed no longer; a second call changes nothing."""
        self.body = b""
        budget, self.budget = self.budget, None
        if budget is not None:
            budget.shrink(self.held_bytes)
