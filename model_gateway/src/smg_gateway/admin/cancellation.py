"""Cancelling a response that some worker is working on."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..admission import DataPlaneKeys
from ..errors import NO_WORKERS
from ..upstream import Response as UpstreamResponse
from ..upstream import UpstreamError, fetch
from ..workers import Registry, Worker
from .answers import error_response
from .information import healthy, relayed

CANCEL_TIMEOUT_S = 5.0


def cancel_route(registry: Registry, keys: DataPlaneKeys) -> BaseRoute:
    """`POST /v1/responses/{id}/cancel`: asks every worker, the first success is the answer."""

    async def cancel(request: Request) -> Response:
        inbound = request.scope["state"]["request"]
        refusal = keys.check(inbound.fields)
        if refusal is not None:
            return error_response(request, refusal)
        name = quote(request.path_params["response_id"], safe="")
        target = f"/v1/responses/{name}/cancel".encode()
        asked = (_ask(worker, target, inbound.fields) for worker in healthy(registry))
        for answer in await asyncio.gather(*asked):
            if answer is not None and 200 <= answer.status < 300:
                return relayed(answer)
        return error_response(request, NO_WORKERS)

    return Route("/v1/responses/{response_id}/cancel", cancel, methods=["POST"])


async def _ask(
    worker: Worker, target: bytes, fields: dict[bytes, bytes]
) -> UpstreamResponse | None:
    headers = []
    if b"authorization" in fields:
        headers.append((b"authorization", fields[b"authorization"]))
    elif worker.api_key is not None:
        headers.append((b"authorization", b"Bearer " + worker.api_key.encode()))
    try:
        return await fetch(
            worker.pool, b"POST", target, headers=headers, timeout_s=CANCEL_TIMEOUT_S
        )
    except UpstreamError:
        return None
