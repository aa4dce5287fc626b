"""The gateway's own routes as an ASGI application: ids, accounting and errors around Starlette."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .admin.answers import error_response
from .admission import DataPlaneKeys, Gate
from .errors import ErrorRecord, method_not_allowed, unknown_url
from .lanes.request import InboundRequest
from .observability.access import AccessLog
from .observability.telemetry import Telemetry

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def starlette_app(routes: Sequence[BaseRoute], post_only: Collection[str]) -> Starlette:
    """The routes, with unknown paths and wrong methods answered in the OpenAI envelope.

    `post_only` are paths that exist outside of `routes` and take POST alone.
    """

    def unknown(request: Request, error: Exception) -> Response:
        path = request.url.path
        if path in post_only:
            return error_response(request, method_not_allowed(request.method, path, "POST"))
        return error_response(request, unknown_url(request.method, path))

    def wrong_method(request: Request, error: Exception) -> Response:
        headers = error.headers if isinstance(error, HTTPException) else None
        allowed = (headers or {}).get("Allow", "")
        return error_response(
            request, method_not_allowed(request.method, request.url.path, allowed)
        )

    return Starlette(routes=list(routes), exception_handlers={404: unknown, 405: wrong_method})


LIMITED_PREFIXES = (
    b"/v1/responses/",
    b"/v1/conversations",
    b"/v1/interactions",
    b"/v1/realtime",
    b"/v1/tokenize",
    b"/v1/detokenize",
)
"""Data-plane paths that are served here and not by the relay lane."""


class Admitted:
    """Pure ASGI middleware: data-plane requests hold a permit, or are refused."""

    def __init__(self, app: AsgiApp, gate: Gate, keys: DataPlaneKeys) -> None:
        self._app = app
        self._gate = gate
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: InboundRequest = scope["state"]["request"]
        limited = request.path.startswith(LIMITED_PREFIXES)
        # Whoever has no key is refused by the route itself, and needs no permit for it.
        if not limited or self._keys.check(request.fields) is not None:
            await self._app(scope, receive, send)
        elif self._gate.take():
            try:
                await self._app(scope, receive, send)
            finally:
                self._gate.release()
        else:
            await self._queue(scope, receive, send)

    async def _queue(self, scope: Scope, receive: Receive, send: Send) -> None:
        ahead = ReadAhead(receive)
        turn = asyncio.get_running_loop().create_task(self._gate.turn())
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(ahead.until_gone())
                await asyncio.wait({turn, watch}, return_when=asyncio.FIRST_COMPLETED)
                if not ahead.gone:
                    await asyncio.wait({turn})
                watch.cancel()
        except BaseException:
            await self._give_up(turn)
            raise
        if not turn.done():
            await self._give_up(turn)
            return  # The client has left.
        refusal = turn.result()
        if refusal is not None:
            await error_response(Request(scope), refusal)(scope, ahead.receive, send)
            return
        try:
            await self._app(scope, ahead.receive, send)
        finally:
            self._gate.release()

    async def _give_up(self, turn: asyncio.Task[ErrorRecord | None]) -> None:
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        if not turn.cancelled() and turn.result() is None:
            self._gate.release()


class ReadAhead:
    """Watches for the client's leaving without losing what comes before it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: deque[Message] = deque()
        self.gone = False

    async def until_gone(self) -> None:
        """Return when the client has left, or when a body in pieces begins: that is not read."""
        more = False
        while not (self.gone or more):
            message = await self._receive()
            self._read.append(message)
            self.gone = message["type"] == "http.disconnect"
            more = message.get("more_body", False)

    async def receive(self) -> Message:
        """The application's `receive`."""
        return self._read.popleft() if self._read else await self._receive()


class Front:
    """Pure ASGI middleware: puts `x-request-id` on every response and counts it."""

    def __init__(
        self,
        app: AsgiApp,
        telemetry: Telemetry,
        access: AccessLog,
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._telemetry = telemetry
        self._access = access
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: InboundRequest = scope["state"]["request"]
        method = request.method.decode("latin-1")
        status = 0
        code = ""

        async def send_with_id(message: Message) -> None:
            nonlocal status, code
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                code = next((v.decode() for n, v in headers if n == b"x-smg-error-code"), "")
                message["headers"] = [*headers, (b"x-request-id", request.id.encode())]
                path = self._template(scope)
                series = self._telemetry.path_series(method, path)
                series.requests.inc()
                series.duration_s.observe(self._clock() - request.started)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._telemetry.responded(self._template(scope), status, code)
            if self._access.enabled():
                self._access.write(
                    method=method,
                    path=request.path.decode("latin-1"),
                    status=status,
                    duration_s=self._clock() - request.started,
                    request_id=request.id,
                    error_code=code,
                )

    @staticmethod
    def _template(scope: Scope) -> str:
        """The matched route's template: clients cannot make up new label values."""
        route = scope.get("route")
        return route.path if isinstance(route, Route) else "other"
