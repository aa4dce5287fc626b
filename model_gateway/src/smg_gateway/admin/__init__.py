"""Routes that the gateway answers itself."""

from .information import information_routes
from .probes import Readiness, probe_routes

__all__ = ("Readiness", "information_routes", "probe_routes")
