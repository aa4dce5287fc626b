"""How calls are named where the model expects names that go on through a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..selection import call_ids_for
from ..tape import CallIds

__all__ = ("call_ids_in", "calls_before")

# Parsers of models that number the calls of a conversation, with a model id that says so.
_NUMBERED: Mapping[str, str] = {"kimik2": "kimi-k2", "kimi_k3": "kimi-k3"}


def call_ids_in(parser: str, messages: object) -> CallIds | None:
    """The ids for calls that follow `messages`, a chat request's; None for random ones."""
    model = _NUMBERED.get(parser)
    return call_ids_for(model, calls_before(messages)) if model else None


def calls_before(messages: object) -> int:
    """The number of tool calls in messages, be they mappings or objects with attributes."""
    if not isinstance(messages, Sequence):
        return 0
    return sum(len(_member(message, "tool_calls") or ()) for message in messages)


def _member(message: Any, name: str) -> Any:
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)
