"""The control plane as a client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
import pytest

Json = dict[str, Any]


class RunningGateway(Protocol):
    """The part of a started gateway that these tests use."""

    @property
    def url(self) -> str: ...


class Control:
    """A client of one gateway's control plane."""

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self._http = http
        self._url = url
        self._headers = headers

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and decoded body; plain text where it is no JSON."""
        options.setdefault("headers", self._headers)
        async with self._http.request(method, self._url + path, **options) as answer:
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()

    async def add(self, url: str, **spec: Any) -> str:
        """Register a worker and wait until it is ready; its id."""
        status, body = await self.call("POST", "/workers", json={"url": url, **spec})
        assert status == 202, body
        await self.until(body["worker_id"], lambda info: info["status"] == "ready")
        return str(body["worker_id"])

    async def until(self, worker_id: str, holds: Callable[[Json], bool]) -> Json:
        """Look at a worker until `holds` of it; what was seen then."""
        async with asyncio.timeout(10):
            while True:
                _, info = await self.call("GET", f"/workers/{worker_id}")
                if "error" not in info and holds(info):
                    return dict(info)
                await asyncio.sleep(0.01)

    async def until_gone(self, worker_id: str) -> None:
        """Look at a worker until it is not there any more."""
        async with asyncio.timeout(10):
            while (await self.call("GET", f"/workers/{worker_id}"))[0] != 404:
                await asyncio.sleep(0.01)

    async def chat(self, model: str | None, **fields: Any) -> tuple[int, Any, str | None]:
        """One chat request: status, body and the URL of the worker that answered."""
        body = {"messages": [{"role": "user", "content": "hello"}], **fields}
        if model is not None:
            body["model"] = model
        async with self._http.post(
            self._url + "/v1/chat/completions", json=body, headers=self._headers
        ) as answer:
            worker = answer.headers.get("x-smg-routed-worker-id")
            return answer.status, await answer.json(), worker


Connect = Callable[..., Control]


@pytest.fixture
def connect(http: aiohttp.ClientSession) -> Connect:
    """Makes clients: `connect(running, key="...")`."""

    def make(running: RunningGateway, key: str | None = None) -> Control:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return Control(http, running.url, headers)

    return make
