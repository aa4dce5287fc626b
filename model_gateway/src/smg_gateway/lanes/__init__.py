"""The ways of a request through the gateway."""

from .client import Client, Job
from .relay import RelayConfig, RelayLane
from .request import InboundRequest

__all__ = ("Client", "InboundRequest", "Job", "RelayConfig", "RelayLane")
