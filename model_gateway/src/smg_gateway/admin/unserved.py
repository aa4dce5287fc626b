"""Inference routes that are read and checked, but that no HTTP worker can serve."""

from __future__ import annotations

from collections.abc import Callable

from smg_protocols import Dialect, Intake, RequestInvalid, read_intake
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..admission import DataPlaneKeys
from ..errors import BODY_TOO_LARGE, ErrorRecord, model_not_found, refused
from .answers import error_response
from .bodies import BodyTooLarge, read_whole

_DIALECTS = (
    Dialect.INTERACTIONS,
    Dialect.REALTIME_SESSIONS,
    Dialect.REALTIME_CLIENT_SECRETS,
    Dialect.REALTIME_TRANSCRIPTION_SESSIONS,
)
UNSERVED_PATHS = frozenset(dialect.value.encode() for dialect in _DIALECTS)

Answer = Callable[[Request, Intake], Response]


def unserved_routes(keys: DataPlaneKeys, max_body_bytes: int) -> list[BaseRoute]:
    """`/v1/interactions` and the realtime session routes."""

    def route(dialect: Dialect, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            refusal = keys.check(request.scope["state"]["request"].fields)
            if refusal is not None:
                return error_response(request, refusal)
            try:
                body = await read_whole(request, max_body_bytes)
                kind = request.headers.get("content-type")
                content_type = kind.encode("latin-1") if kind is not None else None
                return answer(request, read_intake(dialect, body, content_type=content_type))
            except RequestInvalid as invalid:
                return error_response(request, refused(invalid))
            except BodyTooLarge:
                return error_response(request, BODY_TOO_LARGE)

        return Route(dialect.value, endpoint, methods=["POST"])

    def no_router(request: Request, intake: Intake) -> Response:
        text = "Interactions API not implemented for this router"
        return PlainTextResponse(text, 501)

    def no_worker(request: Request, intake: Intake) -> Response:
        # A worker serves realtime sessions when it is labelled so; none can be labelled yet.
        error: ErrorRecord = model_not_found(intake.model or "")
        return error_response(request, error)

    return [
        route(dialect, no_router if dialect is Dialect.INTERACTIONS else no_worker)
        for dialect in _DIALECTS
    ]
