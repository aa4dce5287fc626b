"""Models and workers' own information."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..errors import NO_MODELS, NO_WORKERS, model_not_found
from ..lanes.headers import response_headers
from ..upstream import Response as UpstreamResponse
from ..upstream import UpstreamError, fetch
from ..workers import Registry, Worker, WorkerStatus
from .answers import error_response, json_response

INFORMATION_TIMEOUT_S = 5.0
GENERATE_TIMEOUT_S = 60.0


def information_routes(registry: Registry, canonical: Callable[[str], str]) -> list[BaseRoute]:
    """`/v1/models`, `/get_model_info`, `/get_server_info` and `/health_generate`."""

    def card(model: str) -> dict[str, object]:
        return {"id": model, "object": "model", "created": 0, "owned_by": "self_hosted"}

    async def models(request: Request) -> Response:
        served = list(registry.snapshot.by_model)
        if not served:
            return error_response(request, NO_MODELS)
        return json_response({"object": "list", "data": [card(model) for model in served]})

    async def model(request: Request) -> Response:
        asked = request.path_params["model"]
        found = canonical(asked)
        if found not in registry.snapshot.by_model:
            return error_response(request, model_not_found(asked))
        return json_response(card(found))

    def from_a_worker(targets: Sequence[bytes], timeout_s: float) -> Route:
        async def answer(request: Request) -> Response:
            for worker in healthy(registry):
                try:
                    found = await first_known(worker, targets, timeout_s)
                except UpstreamError:
                    continue
                return relayed(found)
            return error_response(request, NO_WORKERS)

        return Route(targets[0].decode(), answer, methods=["GET"])

    return [
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/models/{model:path}", model, methods=["GET"]),
        from_a_worker((b"/get_model_info", b"/model_info"), INFORMATION_TIMEOUT_S),
        from_a_worker((b"/get_server_info", b"/server_info"), INFORMATION_TIMEOUT_S),
        from_a_worker((b"/health_generate",), GENERATE_TIMEOUT_S),
    ]


def healthy(registry: Registry) -> list[Worker]:
    """Ready workers in registration order."""
    return [w for w in registry.snapshot.workers if w.status is WorkerStatus.READY]


async def first_known(
    worker: Worker, targets: Sequence[bytes], timeout_s: float
) -> UpstreamResponse:
    """The worker's answer to the first target it knows; raises `UpstreamError`."""
    headers = []
    if worker.api_key is not None:
        headers.append((b"authorization", b"Bearer " + worker.api_key.encode()))
    for target in targets:
        answer = await fetch(worker.pool, b"GET", target, headers=headers, timeout_s=timeout_s)
        if answer.status != 404:
            break
    return answer


def relayed(answer: UpstreamResponse) -> Response:
    """A worker's answer with its own headers."""
    response = Response(answer.body, answer.status)
    response.raw_headers.extend(
        pair for pair in response_headers(answer.headers) if pair[0] != b"content-length"
    )
    return response
