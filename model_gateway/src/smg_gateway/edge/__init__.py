"""The HTTP/1.1 server in front: connections, limits, graceful shutdown."""

from .connection import EdgeConnection, EdgeLimits, Handler
from .cycle import AsgiCycle
from .server import Listener

__all__ = ("AsgiCycle", "EdgeConnection", "EdgeLimits", "Handler", "Listener")
