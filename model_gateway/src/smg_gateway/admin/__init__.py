"""Routes that the gateway answers itself."""

from .cancellation import cancel_route
from .decisions import decision_routes
from .information import information_routes
from .probes import Readiness, probe_routes
from .unserved import BODY_PATHS, unserved_routes

__all__ = (
    "BODY_PATHS",
    "Readiness",
    "cancel_route",
    "decision_routes",
    "information_routes",
    "probe_routes",
    "unserved_routes",
)
