"""The gateway's own routes as an ASGI application: ids, accounting and errors around Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .admin.answers import error_response
from .errors import method_not_allowed, unknown_url
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


class Front:
    """Pure ASGI middleware: puts `x-request-id` on every response and counts it."""

    def __init__(
        self,
        app: Starlette,
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
