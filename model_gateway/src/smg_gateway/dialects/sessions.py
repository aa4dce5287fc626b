"""What tells which session a request belongs to, for clients that send no routing key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

HARNESS = "harness"
"""Stands for everything that is known to name a session, the most telling first."""

HEADER = "header:"
MAX_KEY_CHARACTERS = 256

HARNESS_SOURCES = (
    "header:x-session-id",
    "header:session_id",
    "header:session-id",
    "header:x-session-affinity",
    "header:x-claude-code-session-id",
    "header:x-conversation-id",
    "conversation",
    "prompt_cache_key",
    "previous_response_id",
    "session_id",
    "metadata.user_id",
    "user",
)


class _Ids(msgspec.Struct):
    """Members of any type: what is no text names no session, and is the worker's business."""

    previous_response_id: object = None
    conversation: object = None
    prompt_cache_key: object = None
    session_id: object = None
    user: object = None
    metadata: object = None


class SessionKey(NamedTuple):
    """A session's key and where it was found."""

    source: str
    key: str


_decode = msgspec.json.Decoder(_Ids).decode


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _conversation(ids: _Ids) -> object:
    return _member(ids.conversation, "id") or ids.conversation


BODY_SOURCES: Mapping[str, Callable[[_Ids], object]] = MappingProxyType({
    "conversation": _conversation,
    "prompt_cache_key": lambda ids: ids.prompt_cache_key,
    "previous_response_id": lambda ids: ids.previous_response_id,
    "session_id": lambda ids: ids.session_id,
    "metadata.user_id": lambda ids: _member(ids.metadata, "user_id"),
    "user": lambda ids: ids.user,
})


class SessionKeys:
    """Looks for a session's key in headers and members of the body, in a given order.

    A source is a name in `BODY_SOURCES`, `header:<name>`, or `harness`. Keys longer than
    `MAX_KEY_CHARACTERS` are no keys.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        wanted: list[str] = []
        for source in sources:
            wanted += HARNESS_SOURCES if source == HARNESS else (source,)
        self._sources = tuple(dict.fromkeys(wanted))
        self._reads_body = any(source in BODY_SOURCES for source in self._sources)
        self.follows_responses = "previous_response_id" in self._sources
        """Whether ids of responses must be remembered for the requests that will name them."""

    def find(self, fields: Mapping[bytes, bytes], body: bytes) -> SessionKey | None:
        """The first source's key; the body's JSON is looked at once, and only if need be."""
        ids = _read(body) if self._reads_body else _Ids()
        for source in self._sources:
            member = BODY_SOURCES.get(source)
            if member is None:
                name = source.removeprefix(HEADER).lower().encode("latin-1")
                value: object = fields.get(name, b"").decode("latin-1")
            else:
                value = member(ids)
            if isinstance(value, str) and 0 < len(value) <= MAX_KEY_CHARACTERS:
                return SessionKey(source, value)
        return None


def _read(body: bytes) -> _Ids:
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Forms and other bodies that are no JSON object name no session.
        return _Ids()
