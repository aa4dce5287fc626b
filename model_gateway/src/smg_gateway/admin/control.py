"""The control plane over the fleet: its routes, and which of their requests carry bodies."""

from __future__ import annotations

from starlette.routing import BaseRoute

from ..admission import ControlPlaneKeys
from ..lanes.request import InboundRequest
from ..workers import Fleet
from .engine_commands import START_PROFILE_PATH, STOP_PROFILE_PATH, command_routes
from .engine_metrics import engine_metrics_route
from .loads import load_routes
from .parsing import PARSE_PATHS, parse_routes
from .tokenizers import TOKENIZERS_PATH
from .workers import WORKERS_PATH, worker_routes

_BODY_PATHS = PARSE_PATHS | {
    path.encode() for path in (START_PROFILE_PATH, STOP_PROFILE_PATH, TOKENIZERS_PATH)
}


def control_routes(fleet: Fleet, keys: ControlPlaneKeys, max_body_bytes: int) -> list[BaseRoute]:
    """`/workers`, the commands for all engines, what engines say about themselves, and parsers."""
    return [
        *worker_routes(fleet, keys),
        *command_routes(fleet.registry, keys),
        *load_routes(fleet.registry, keys),
        engine_metrics_route(fleet.registry),
        *parse_routes(keys, max_body_bytes),
    ]


def takes_control_body(request: InboundRequest) -> bool:
    """Whether the body of a request is for one of these routes, which bound it themselves."""
    if request.method not in (b"POST", b"PUT", b"PATCH"):
        return False
    return request.path.startswith(WORKERS_PATH.encode()) or request.path in _BODY_PATHS
