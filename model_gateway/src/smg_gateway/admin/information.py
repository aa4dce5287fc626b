"""Models and workers' own information."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..errors import NO_MODELS, NO_WORKERS, model_not_found
from ..lanes.headers import response_headers
from ..upstream import Response as UpstreamResponse
from ..upstream import UpstreamError, fetch
from ..workers import REGULAR, Registry, Worker, WorkerStatus
from .answers import error_response, json_response

INFORMATION_TIMEOUT_S = 5.0
GENERATE_TIMEOUT_S = 60.0


def information_routes(registry: Registry, canonical: Callable[[str], str]) -> list[BaseRoute]:
    """`/v1/models`, `/get_model_info`, `/get_server_info` and `/health_generate`."""

    def card(model: str) -> dict[str, object]:
        return {"id": model, "object": "model", "created": 0, "owned_by": "self_hosted"}

    async def models(request: Request) -> Response:
        served = registry.snapshot.models
        if not served:
            return error_response(request, NO_MODELS)
        return json_response({"object": "list", "data": [card(model) for model in served]})

    async def model(request: Request) -> Response:
        asked = request.path_params["model"]
        found = canonical(asked)
        if found not in registry.snapshot.models:
            return error_response(request, model_not_found(asked))
        return json_response(card(found))

    async def of_a_worker(request: Request, targets: Sequence[bytes], timeout_s: float) -> Response:
        for worker in healthy(registry):
            try:
                found = await first_known(worker, targets, timeout_s)
            except UpstreamError:
                continue
            return relayed(found)
        return error_response(request, NO_WORKERS)

    def from_a_worker(targets: Sequence[bytes]) -> Route:
        async def answer(request: Request) -> Response:
            return await of_a_worker(request, targets, INFORMATION_TIMEOUT_S)

        return Route(targets[0].decode(), answer, methods=["GET"])

    async def health_generate(request: Request) -> Response:
        pair = [worker for leg in ("prefill", "decode") for worker in healthy(registry, leg)[:1]]
        if len(pair) < len(("prefill", "decode")) or healthy(registry, REGULAR):
            return await of_a_worker(request, (b"/health_generate",), GENERATE_TIMEOUT_S)
        return await _pair_health(request, *pair)

    return [
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/models/{model:path}", model, methods=["GET"]),
        from_a_worker((b"/get_model_info", b"/model_info")),
        from_a_worker((b"/get_server_info", b"/server_info")),
        Route("/health_generate", health_generate, methods=["GET"]),
    ]


async def _pair_health(request: Request, prefill: Worker, decode: Worker) -> Response:
    """Both legs generate something; the answer names who did, or who did not."""
    answers = await asyncio.gather(
        *(
            first_known(worker, (b"/health_generate",), GENERATE_TIMEOUT_S)
            for worker in (prefill, decode)
        ),
        return_exceptions=True,
    )
    failed = [
        f"{worker.worker_type}={worker.url}"
        for worker, answer in zip((prefill, decode), answers, strict=True)
        if isinstance(answer, BaseException) or answer.status >= 400
    ]
    if failed:
        text = f"Health generate failed on selected pair: {', '.join(failed)}"
        return PlainTextResponse(text, 503)
    return PlainTextResponse(
        f"Health generate passed on selected pair: prefill={prefill.url}, decode={decode.url}"
    )


def healthy(registry: Registry, worker_type: str | None = None) -> list[Worker]:
    """Ready workers in registration order: all, or those of a type."""
    return [
        worker
        for worker in registry.snapshot.workers
        if worker.status is WorkerStatus.READY and worker_type in (None, worker.worker_type)
    ]


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
