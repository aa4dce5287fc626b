"""The client APIs: which routes exist and what is particular about each."""

from .routes import RELAY_ROUTES, RelayRoute
from .view import RequestView, UnreadView, partition_of, routing_tokens

__all__ = (
    "RELAY_ROUTES",
    "RelayRoute",
    "RequestView",
    "UnreadView",
    "partition_of",
    "routing_tokens",
)
