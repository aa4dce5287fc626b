"""From a request and the view of its body to what policies look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from smg_policies import RoutingRequest

from ..dialects import (
    MAX_KEY_CHARACTERS,
    RequestView,
    SessionKeys,
    partition_of,
    routing_tokens,
)
from ..workers import Worker
from .request import InboundRequest

_MAX_TARGET_DIGITS = 9


class Routable(NamedTuple):
    """What policies look at, and where the session's key was found ("" when it does not count)."""

    routing: RoutingRequest
    key_source: str


class RoutingReader:
    """Gathers what is known of a request before a worker is chosen.

    `key_headers` are searched in order for the routing key. `sessions` is None unless requests
    of a session are to be kept together; then its sources are asked for a key where neither a
    header nor `rid` has one.
    """

    def __init__(self, key_headers: Sequence[bytes], sessions: SessionKeys | None) -> None:
        self._key_headers = key_headers
        self._sessions = sessions

    @property
    def follows_responses(self) -> bool:
        """Whether later requests are told by the id of an earlier response."""
        return self._sessions is not None and self._sessions.follows_responses

    def read(
        self,
        request: InboundRequest,
        view: RequestView,
        model: str | None,
        workers: Sequence[Worker],
        *,
        needs_text: bool,
    ) -> Routable:
        """A request for `model`, which `workers` serve; text is made only where it is needed."""
        fields = request.fields
        routing = RoutingRequest(model=model, tokens=view.token_ids)
        for name in self._key_headers:
            value = fields.get(name)
            if value:
                routing.routing_key = value.decode("latin-1")
                break
        if needs_text:
            routing.text = view.routing_text()
            routing.partition = partition_of(view)
        if b"x-smg-routing-tokens" in fields and routing.tokens is None:
            routing.tokens = routing_tokens(fields[b"x-smg-routing-tokens"])
        if b"x-smg-target-worker" in fields:
            routing.target = _target(fields[b"x-smg-target-worker"], workers)
        implicit = fields.get(b"x-forwarded-for") or fields.get(b"cookie")
        if implicit:
            routing.implicit_key = implicit.decode("latin-1")
        source = "" if self._sessions is None else self._find_session(request, view, routing)
        return Routable(routing, source)

    def _find_session(
        self, request: InboundRequest, view: RequestView, routing: RoutingRequest
    ) -> str:
        """Fill in the session's key; say where it was."""
        if routing.routing_key is not None:
            if len(routing.routing_key) <= MAX_KEY_CHARACTERS:
                return "header"
            routing.routing_key = None
        rid = getattr(view, "rid", None)
        if isinstance(rid, str) and 0 < len(rid) <= MAX_KEY_CHARACTERS:
            routing.rid = rid
            return "rid"
        found = self._sessions.find(request.fields, request.body) if self._sessions else None
        if found is None:
            return ""
        routing.rid = found.key
        return found.source


def _target(value: bytes, workers: Sequence[Worker]) -> str:
    """The id of the worker at a 0-based position; empty when there is none."""
    if value.isdigit() and len(value) <= _MAX_TARGET_DIGITS and int(value) < len(workers):
        return workers[int(value)].id
    return ""
