"""`/v1/router/decisions`: where recent requests went, and why."""

from __future__ import annotations

from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..admission import DataPlaneKeys
from ..errors import ErrorRecord
from ..observability.decisions import DecisionLog
from .answers import error_response, json_response

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


def decision_routes(decisions: DecisionLog, keys: DataPlaneKeys) -> list[BaseRoute]:
    """`GET /v1/router/decisions`, newest first.

    Query: `request_id`, `model`, `worker` (base URL), `limit` (1 to 1000, default 100).
    """

    async def listing(request: Request) -> Response:
        refusal = keys.check(request.scope["state"]["request"].fields)
        if refusal is not None:
            return error_response(request, refusal)
        query = request.query_params
        limit = query.get("limit", str(DEFAULT_LIMIT))
        if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIMIT:
            return error_response(request, _bad_limit(limit))
        found = decisions.find(
            request_id=query.get("request_id"),
            model=query.get("model"),
            worker=query.get("worker"),
        )
        return json_response({"object": "list", "data": list(islice(found, int(limit)))})

    return [Route("/v1/router/decisions", listing, methods=["GET"])]


def _bad_limit(limit: str) -> ErrorRecord:
    return ErrorRecord(
        status=400,
        code="invalid_value",
        message=f"limit: expected an integer from 1 to {MAX_LIMIT}, got {limit[:40]!r}",
        param="limit",
    )
