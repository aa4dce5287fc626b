"""`POST /v1/router/explain`: where a body would go, and why, without sending it."""

from __future__ import annotations

from smg_protocols import RequestInvalid
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..admission import DataPlaneKeys
from ..dialects import RELAY_ROUTES
from ..errors import BODY_TOO_LARGE, ErrorRecord, refused
from ..lanes.explaining import explain
from ..lanes.relay import RelayLane
from ..lanes.request import InboundRequest
from ..selection import PreviewUnsupported
from .answers import error_response, json_response
from .bodies import BodyTooLarge, read_whole

EXPLAIN_PATH = "/v1/router/explain"
DEFAULT_PATH = "/v1/chat/completions"


def explain_route(lane: RelayLane, keys: DataPlaneKeys, max_body_bytes: int) -> BaseRoute:
    """The route. Body and headers are those of the request in question; the query's `path` says
    which route it is meant for (default `/v1/chat/completions`).
    """

    async def endpoint(request: Request) -> Response:
        inbound: InboundRequest = request.scope["state"]["request"]
        refusal = keys.check(inbound.fields)
        if refusal is not None:
            return error_response(request, refusal)
        path = request.query_params.get("path", DEFAULT_PATH)
        route = RELAY_ROUTES.get(path.encode())
        if route is None:
            return error_response(request, _unknown_path(path))
        try:
            inbound.body = await read_whole(request, max_body_bytes)
            return json_response(await explain(lane, inbound, route))
        except BodyTooLarge:
            return error_response(request, BODY_TOO_LARGE)
        except RequestInvalid as invalid:
            return error_response(request, refused(invalid))
        except PreviewUnsupported as policy:
            return error_response(request, _no_preview(str(policy)))

    return Route(EXPLAIN_PATH, endpoint, methods=["POST"])


def _unknown_path(path: str) -> ErrorRecord:
    known = ", ".join(route.path for route in RELAY_ROUTES.values())
    return ErrorRecord(
        status=400,
        code="invalid_value",
        message=f"path: {path[:80]!r} is not a routed path; these are: {known}",
        param="path",
    )


def _no_preview(policy: str) -> ErrorRecord:
    return ErrorRecord(
        status=501,
        code="explain_not_supported",
        message=f"The policy {policy!r} cannot say where a request would go without sending it",
    )
