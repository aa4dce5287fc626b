"""Routes of the gateway's own that read a body: the key, the size and the form are checked once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from smg_protocols import Dialect, Intake, RequestInvalid, read_intake
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..admission import ControlPlaneKeys, DataPlaneKeys
from ..errors import BODY_TOO_LARGE, refused
from .answers import error_response
from .bodies import BodyTooLarge, read_whole

Keys = ControlPlaneKeys | DataPlaneKeys
Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(
    keys: Keys, answer: Callable[[Request, bytes], Awaitable[Response]], max_body_bytes: int
) -> Endpoint:
    """An endpoint for requests with the right key and a body within bounds.

    Of what `answer` raises, `RequestInvalid` becomes its answer.
    """

    async def endpoint(request: Request) -> Response:
        refusal = keys.check(request.scope["state"]["request"].fields)
        if refusal is not None:
            return error_response(request, refusal)
        try:
            return await answer(request, await read_whole(request, max_body_bytes))
        except BodyTooLarge:
            return error_response(request, BODY_TOO_LARGE)
        except RequestInvalid as invalid:
            return error_response(request, refused(invalid))

    return endpoint


def dialect_route(
    dialect: Dialect,
    keys: Keys,
    answer: Callable[[Request, Intake], Awaitable[Response]],
    max_body_bytes: int,
) -> Route:
    """The POST route of a dialect whose requests the gateway answers itself."""

    async def read(request: Request, body: bytes) -> Response:
        kind = request.headers.get("content-type")
        content_type = kind.encode("latin-1") if kind is not None else None
        return await answer(request, read_intake(dialect, body, content_type=content_type))

    return Route(dialect.value, guarded(keys, read, max_body_bytes), methods=["POST"])
