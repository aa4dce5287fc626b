"""The HTTP/1.1 client side: connection pools to workers."""

from .connection import Framing, Receiver, UpstreamConnection, ends_event
from .errors import UpstreamError, UpstreamFault
from .fetch import Response, fetch
from .origin import Origin, parse_origin
from .pool import Pool, PoolLimits, PoolStatistics

__all__ = (
    "Framing",
    "Origin",
    "Pool",
    "PoolLimits",
    "PoolStatistics",
    "Receiver",
    "Response",
    "UpstreamConnection",
    "UpstreamError",
    "UpstreamFault",
    "ends_event",
    "fetch",
    "parse_origin",
)
