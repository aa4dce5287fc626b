"""The client APIs: which routes exist and what is particular about each."""

from .routes import RELAY_ROUTES, RelayRoute
from .sessions import MAX_KEY_CHARACTERS, SessionKeys
from .view import RequestView, UnreadView, partition_of, routing_tokens

__all__ = (
    "MAX_KEY_CHARACTERS",
    "RELAY_ROUTES",
    "RelayRoute",
    "RequestView",
    "SessionKeys",
    "UnreadView",
    "partition_of",
    "routing_tokens",
)
