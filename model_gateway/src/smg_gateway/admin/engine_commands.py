"""Commands for all engines at once: empty the caches, start and stop profiling."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..admission import ControlPlaneKeys
from ..errors import BODY_TOO_LARGE, ErrorRecord
from ..upstream import Response as UpstreamResponse
from ..workers import Registry, Worker
from .answers import error_response, json_response
from .bodies import BodyTooLarge, read_whole
from .fanout import Reply, ask_all, engines, request

FLUSH_PATH = "/flush_cache"
START_PROFILE_PATH = "/start_profile"
STOP_PROFILE_PATH = "/stop_profile"

MAX_OPTIONS_BYTES = 64 * 1024

_FLUSH_TARGETS = {"vllm": b"/reset_prefix_cache"}


def command_routes(registry: Registry, keys: ControlPlaneKeys) -> list[BaseRoute]:
    """`/flush_cache`, `/start_profile` and `/stop_profile`."""

    async def flush(inbound: Request) -> Response:
        refusal = keys.check(inbound.scope["state"]["request"].fields)
        if refusal is not None:
            return error_response(inbound, refusal)
        workers = engines(registry.snapshot.workers)
        return _flushed(await ask_all(workers, _flush))

    def profile(path: str, verb: str) -> Route:
        async def endpoint(inbound: Request) -> Response:
            refusal = keys.check(inbound.scope["state"]["request"].fields)
            if refusal is not None:
                return error_response(inbound, refusal)
            try:
                options = _options(await read_whole(inbound, MAX_OPTIONS_BYTES))
            except BodyTooLarge:
                return error_response(inbound, BODY_TOO_LARGE)
            except msgspec.MsgspecError as error:
                return error_response(inbound, _bad_options(error))
            url = options.pop("url", None)
            workers = engines(registry.snapshot.workers)
            if not workers:
                return _nobody("No workers available for profiling")
            if url is not None:
                workers = [each for each in workers if url in (each.url, each.base_url)]
                if not workers:
                    return _nobody(f"No worker matching url '{url}'")
            body = msgspec.json.encode(options) if options else b""

            async def ask(worker: Worker) -> UpstreamResponse:
                return await request(worker, b"POST", path.encode(), body=body)

            return _profiled(await ask_all(workers, ask), verb)

        return Route(path, endpoint, methods=["POST"])

    return [
        Route(FLUSH_PATH, flush, methods=["POST"]),
        profile(START_PROFILE_PATH, "started"),
        profile(STOP_PROFILE_PATH, "stopped"),
    ]


async def _flush(worker: Worker) -> UpstreamResponse:
    return await request(worker, b"POST", _FLUSH_TARGETS.get(worker.runtime, FLUSH_PATH.encode()))


def _options(body: bytes) -> dict[str, Any]:
    return msgspec.json.decode(body, type=dict[str, Any]) if body.strip() else {}


def _bad_options(error: Exception) -> ErrorRecord:
    return ErrorRecord(status=400, code="invalid_json", message=f"Invalid JSON data: {error}")


def _nobody(message: str) -> Response:
    return json_response({"status": "error", "message": message}, 404)


def _flushed(replies: list[Reply[UpstreamResponse]]) -> Response:
    done, failed = _sorted(replies)
    counts = {
        "workers_flushed": len(done),
        "total_http_workers": len(replies),
        "total_grpc_workers": 0,
        "total_zmq_workers_skipped": 0,
        "total_workers": len(replies),
    }
    if failed:
        message = f"Cache flush partially completed: {len(done)} succeeded, {len(failed)} failed"
        return json_response(
            {
                "status": "partial_success",
                "message": message,
                "successful": done,
                "failed": failed,
                **counts,
            },
            206,
        )
    message = "No workers available for cache flush"
    if replies:
        message = f"Successfully flushed cache on all {len(replies)} workers"
    return json_response({"status": "success", "message": message, **counts})


def _profiled(replies: list[Reply[UpstreamResponse]], verb: str) -> Response:
    done, failed = _sorted(replies)
    counts = {"workers_profiled": len(done), "total_workers": len(replies)}
    if failed:
        return json_response(
            {
                "status": "partial_success",
                "message": f"Profiling {verb} on {len(done)} workers, {len(failed)} failed",
                "successful": done,
                "failed": failed,
                **counts,
            },
            206,
        )
    message = f"Profiling {verb} on all {len(replies)} workers"
    return json_response({"status": "success", "message": message, **counts})


def _sorted(replies: list[Reply[UpstreamResponse]]) -> tuple[list[str], list[dict[str, str]]]:
    done = [reply.worker.base_url for reply in replies if reply.error is None]
    failed = [
        {"worker": reply.worker.base_url, "error": reply.error}
        for reply in replies
        if reply.error is not None
    ]
    return done, failed
