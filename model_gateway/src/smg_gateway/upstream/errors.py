"""What can go wrong between the gateway and a worker."""

from __future__ import annotations

import enum


class UpstreamFault(enum.Enum):
    """The kind of a failure towards a worker."""

    CONNECT = "connect"
    """No connection could be made: refused, unreachable, TLS or connect timeout."""
    DROPPED = "dropped"
    """The connection ended before any byte of a response head arrived."""
    BROKEN = "broken"
    """The connection ended, or went silent, in the middle of a response."""
    PROTOCOL = "protocol"
    """The worker's bytes are not a well-formed HTTP/1.1 response."""
    TIMEOUT = "timeout"
    """No answer within the time allowed."""
    TOO_LARGE = "too_large"
    """A response that must be held whole exceeds the limit."""


class UpstreamError(Exception):
    """A failed exchange with a worker; `fault` tells the kind."""

    def __init__(self, fault: UpstreamFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
