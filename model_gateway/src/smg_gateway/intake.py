"""Requests from foreign ASGI servers: read whole, then handled as the gateway's own are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .admission import BodyBudget
from .admission.bodies import BODIES_EXHAUSTED
from .dialects import RelayRoute
from .errors import BODY_TOO_LARGE, ErrorRecord, render
from .front import Receive, Scope, Send
from .lanes import Client, InboundRequest, Job
from .lanes.asgi import AsgiClient, ResponseBroken

Relay = Callable[[InboundRequest, Client, RelayRoute], Job | None]


class ClientDisconnected(Exception):
    """The client left before its request was whole."""


class BodyRefused(Exception):
    """The body exceeds a limit; `record` says which."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.code)
        self.record = record


class BodyReader:
    """Turns an ASGI scope and its body messages into an `InboundRequest`."""

    def __init__(self, max_body_bytes: int, bodies: BodyBudget, clock: Callable[[], float]) -> None:
        self.max_body_bytes = max_body_bytes
        self._bodies = bodies
        self._clock = clock

    def head(self, scope: Scope) -> InboundRequest:
        """The request without its body."""
        root: str = scope.get("root_path", "")
        decoded: str = scope["path"]
        path: bytes = scope.get("raw_path") or decoded.encode()
        if root and (decoded == root or decoded.startswith(root + "/")):
            path = path[len(root.encode()) :] or b"/"
        query: bytes = scope.get("query_string", b"")
        client = scope.get("client")
        return InboundRequest(
            scope["method"].encode("latin-1"),
            path + b"?" + query if query else path,
            list(scope["headers"]),
            self._clock(),
            (client[0], client[1]) if client else None,
        )

    async def read(self, request: InboundRequest, receive: Receive) -> None:
        """Read the whole body into `request`; raises `BodyRefused` or `ClientDisconnected`."""
        pieces: list[bytes] = []
        size = 0
        request.budget = self._bodies
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > self.max_body_bytes:
                raise BodyRefused(BODY_TOO_LARGE)
            if not self._bodies.grow(len(piece)):
                request.drop_body()
                raise BodyRefused(self._bodies.refusal(size) or BODIES_EXHAUSTED)
            request.held_bytes = size
            pieces.append(piece)
            if not message.get("more_body", False):
                request.body = b"".join(pieces)
                return


class RelayEndpoint:
    """Relays one request of a foreign ASGI server."""

    def __init__(self, relay: Relay, reader: BodyReader) -> None:
        self._relay = relay
        self._reader = reader

    async def serve(
        self, request: InboundRequest, route: RelayRoute, receive: Receive, send: Send
    ) -> None:
        """Read the body, relay, send; raises `ResponseBroken` when the response broke off."""
        try:
            await self._serve(request, route, receive, send)
        finally:
            request.drop_body()

    async def _serve(
        self, request: InboundRequest, route: RelayRoute, receive: Receive, send: Send
    ) -> None:
        client = AsgiClient()
        try:
            await self._reader.read(request, receive)
        except ClientDisconnected:
            return
        except BodyRefused as refused:
            headers, body = render(refused.record, route.envelope, request.id)
            headers.append((b"x-request-id", request.id.encode()))
            client.respond(refused.record.status, headers, body)
            await client.pump(send)
            return
        job = client.job = self._relay(request, client, route)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(receive, job, client)) if job is not None else None
            try:
                whole = await client.pump(send)
            finally:
                if watch is not None:
                    watch.cancel()
                if job is not None:
                    job.client_left()
        if not whole:
            raise ResponseBroken("the worker failed in mid-response")


async def _watch(receive: Receive, job: Job, client: AsgiClient) -> None:
    """Tell the job when the client leaves, and stop sending."""
    while (await receive())["type"] != "http.disconnect":
        pass
    job.client_left()
    client.abandon()
