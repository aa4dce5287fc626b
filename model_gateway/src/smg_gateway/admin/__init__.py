"""Routes that the gateway answers itself."""

from .cancellation import cancel_route
from .control import control_routes, takes_control_body
from .decisions import decision_routes
from .explanation import EXPLAIN_PATH, explain_route
from .information import information_routes
from .probes import Readiness, probe_routes
from .tokenizers import TOKENIZE_PATHS, tokenizer_routes
from .unserved import UNSERVED_PATHS, unserved_routes

BODY_PATHS = UNSERVED_PATHS | TOKENIZE_PATHS | {EXPLAIN_PATH.encode()}
"""Paths of these routes that take bodies of any allowed size."""

__all__ = (
    "BODY_PATHS",
    "Readiness",
    "cancel_route",
    "control_routes",
    "decision_routes",
    "explain_route",
    "information_routes",
    "probe_routes",
    "takes_control_body",
    "tokenizer_routes",
    "unserved_routes",
)
