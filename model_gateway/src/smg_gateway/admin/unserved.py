"""Inference routes that are read and checked, but that no HTTP worker can serve."""

from __future__ import annotations

from smg_protocols import Dialect, Intake
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from ..admission import DataPlaneKeys
from ..errors import ErrorRecord, model_not_found
from .answers import error_response
from .endpoints import dialect_route

_DIALECTS = (
    Dialect.INTERACTIONS,
    Dialect.REALTIME_SESSIONS,
    Dialect.REALTIME_CLIENT_SECRETS,
    Dialect.REALTIME_TRANSCRIPTION_SESSIONS,
)
UNSERVED_PATHS = frozenset(dialect.value.encode() for dialect in _DIALECTS)


def unserved_routes(keys: DataPlaneKeys, max_body_bytes: int) -> list[BaseRoute]:
    """`/v1/interactions` and the realtime session routes."""

    async def no_router(request: Request, intake: Intake) -> Response:
        text = "Interactions API not implemented for this router"
        return PlainTextResponse(text, 501)

    async def no_worker(request: Request, intake: Intake) -> Response:
        # A worker serves realtime sessions when it is labelled so; none can be labelled yet.
        error: ErrorRecord = model_not_found(intake.model or "")
        return error_response(request, error)

    return [
        dialect_route(
            dialect,
            keys,
            no_router if dialect is Dialect.INTERACTIONS else no_worker,
            max_body_bytes,
        )
        for dialect in _DIALECTS
    ]
