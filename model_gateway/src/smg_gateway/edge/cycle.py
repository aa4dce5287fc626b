"""A request handled by an ASGI application behind the gateway's own server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from ..errors import INTERNAL_ERROR, Envelope, render
from ..lanes.client import Client
from ..lanes.request import InboundRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class AsgiCycle:
    """Runs the application once; a `Job` for the server.

    The request body is already whole, so `receive` gives one message and then waits for the
    client to leave.
    """

    def __init__(
        self,
        app: AsgiApp,
        request: InboundRequest,
        client: Client,
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._app = app
        self._request = request
        self._client = client
        self._on_crash = on_crash
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._body_given = False
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._begun = False
        self._ended = False

    async def run(self) -> None:
        """Call the application and make sure that the client gets an end."""
        try:
            await self._app(self._scope(), self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - the server's boundary, whatever came through
            self._on_crash(error)
            self._crash()
        else:
            if not self._ended and not self._gone.is_set():
                self._crash()

    def client_left(self) -> None:
        self._gone.set()
        self._writable.set()

    def pause(self) -> None:
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()

    def _scope(self) -> Scope:
        request = self._request
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method.decode("latin-1"),
            "scheme": "http",
            "path": unquote_to_bytes(request.path).decode("utf-8", "replace"),
            "raw_path": request.path,
            "query_string": request.query,
            "root_path": "",
            "headers": request.headers,
            "client": request.peer,
            "server": None,
            "state": {"request": request},
        }

    async def _receive(self) -> Message:
        if not self._body_given:
            self._body_given = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set() or self._ended:
            return
        if message["type"] == "http.response.start":
            self._head = (message["status"], list(message.get("headers", ())))
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if not self._begun:
            assert self._head is not None, "body before head"
            self._begun = True
            status, headers = self._head
            if not more:
                self._ended = True
                self._client.respond(
                    status, [pair for pair in headers if pair[0] != b"content-length"], body
                )
                return
            self._client.begin(status, headers, body)
        else:
            self._client.write(body)
        if not more:
            self._ended = True
            self._client.end()
            return
        await self._writable.wait()

    def _crash(self) -> None:
        if self._gone.is_set() or self._ended:
            return
        self._ended = True
        if self._begun:
            self._client.break_off(b"")
            return
        headers, body = render(INTERNAL_ERROR, Envelope.OPENAI, self._request.id)
        self._client.respond(INTERNAL_ERROR.status, headers, body)
