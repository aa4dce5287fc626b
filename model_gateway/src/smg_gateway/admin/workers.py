"""`/workers`: the registry of workers as a REST resource."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..admission import ControlPlaneKeys
from ..workers import (
    Fleet,
    JobsFull,
    SpecInvalid,
    WorkerComing,
    WorkerExists,
    WorkerStatus,
    WorkerUnknown,
    read_spec,
    read_update,
)
from .answers import error_response, json_response
from .bodies import BodyTooLarge, read_whole
from .worker_info import coming_info, worker_info

WORKERS_PATH = "/workers"
MAX_SPEC_BYTES = 1024 * 1024
"""A specification that lists a thousand models with their templates fits."""

Endpoint = Callable[[Request], Awaitable[Response]]


def worker_routes(fleet: Fleet, keys: ControlPlaneKeys) -> list[BaseRoute]:
    """Create, list, show, replace, change and remove workers."""

    async def listing(request: Request) -> Response:
        model = request.query_params.get("model")
        found = [
            worker
            for worker in fleet.workers
            if model is None or not worker.models or model in worker.models
        ]
        types = [worker.worker_type for worker in found]
        return json_response({
            "workers": [worker_info(fleet, worker) for worker in found],
            "total": len(found),
            "stats": {
                "prefill_count": types.count("prefill"),
                "decode_count": types.count("decode"),
                "regular_count": types.count("regular"),
            },
        })

    async def create(request: Request) -> Response:
        spec = read_spec(await read_whole(request, MAX_SPEC_BYTES))
        uuid = fleet.add(spec)
        location = f"{WORKERS_PATH}/{uuid}"
        response = json_response(
            {
                "status": "accepted",
                "worker_id": uuid,
                "url": spec.url,
                "location": location,
                "message": "Worker addition queued for background processing",
            },
            202,
        )
        response.headers["location"] = location
        return response

    async def show(request: Request) -> Response:
        uuid = _uuid(request)
        found = fleet.find(uuid)
        if found:
            return json_response(worker_info(fleet, found[0]))
        status = fleet.coming(uuid)
        if status is None:
            raise WorkerUnknown(uuid)
        return json_response(coming_info(uuid, status))

    async def change(request: Request) -> Response:
        uuid = _uuid(request)
        update = read_update(await read_whole(request, MAX_SPEC_BYTES))
        fleet.update(uuid, update)
        return _accepted(uuid, "Worker update queued for background processing")

    async def replace(request: Request) -> Response:
        uuid = _uuid(request)
        spec = read_spec(await read_whole(request, MAX_SPEC_BYTES))
        fleet.replace(uuid, spec)
        return _accepted(uuid, "Worker replacement queued for background processing")

    async def remove(request: Request) -> Response:
        uuid = _uuid(request)
        known = fleet.find(uuid)
        if any(worker.status is not WorkerStatus.DRAINING for worker in known):
            fleet.remove(uuid)
        elif not known and not await fleet.cancel(uuid):
            raise WorkerUnknown(uuid)
        return _accepted(uuid, "Worker removal queued for background processing")

    def guarded(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def answer(request: Request) -> Response:
            refusal = keys.check(request.scope["state"]["request"].fields)
            if refusal is not None:
                return error_response(request, refusal)
            try:
                return await endpoint(request)
            except WorkersError as error:
                return error.response()
            except _KNOWN as error:
                return _explained(error).response()

        return answer

    one = WORKERS_PATH + "/{worker_id}"
    return [
        Route(WORKERS_PATH, guarded(listing), methods=["GET"]),
        Route(WORKERS_PATH, guarded(create), methods=["POST"]),
        Route(one, guarded(show), methods=["GET"]),
        Route(one, guarded(change), methods=["PATCH"]),
        Route(one, guarded(replace), methods=["PUT"]),
        Route(one, guarded(remove), methods=["DELETE"]),
    ]


class WorkersError(Exception):
    """An error in the shape of this resource: `{"error": message, "code": code}`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> Response:
        """The answer."""
        response = json_response({"error": str(self), "code": self.code}, self.status)
        if isinstance(self, _Busy):
            response.headers["retry-after"] = "1"
        return response


class _Busy(WorkersError):
    """There is too much to do already; it may be tried again."""


_KNOWN = (SpecInvalid, WorkerExists, WorkerComing, WorkerUnknown, JobsFull, BodyTooLarge)


def _explained(error: Exception) -> WorkersError:
    match error:
        case SpecInvalid():
            return WorkersError(400, "BAD_REQUEST", str(error))
        case WorkerExists():
            return WorkersError(
                409,
                "WORKER_ALREADY_EXISTS",
                f"Worker {error} already exists. Use PUT to replace it or PATCH to update it.",
            )
        case WorkerComing():
            return WorkersError(
                409, "WORKER_CREATE_IN_PROGRESS", f"Worker {error} is being registered already"
            )
        case WorkerUnknown():
            return WorkersError(404, "WORKER_NOT_FOUND", f"Worker {error.args[0]} not found")
        case BodyTooLarge():
            return WorkersError(
                413, "PAYLOAD_TOO_LARGE", f"A body may have at most {MAX_SPEC_BYTES} bytes"
            )
        case _:
            return _Busy(503, "INTERNAL_SERVER_ERROR", "The job queue is full, try again later")


def _uuid(request: Request) -> str:
    given = request.path_params["worker_id"]
    try:
        return str(UUID(given))
    except ValueError as error:
        shown = given[:80]
        raise WorkersError(
            400, "BAD_REQUEST", f"Invalid worker_id '{shown}' (expected UUID). Error: {error}"
        ) from None


def _accepted(uuid: str, message: str) -> Response:
    return json_response({"status": "accepted", "worker_id": uuid, "message": message}, 202)
