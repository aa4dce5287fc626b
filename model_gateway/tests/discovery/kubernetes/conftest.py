"""A Kubernetes API server that knows pods and nothing else, with the list and watch protocol."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest
from aiohttp import web

Json = dict[str, Any]
Matches = Callable[[Json | None], bool]

_END = object()
_BREAK = object()


class Change(NamedTuple):
    """One pod before and after a version."""

    version: int
    before: Json | None
    after: Json | None


class Watcher:
    """One open watch."""

    def __init__(self, matches: Matches) -> None:
        self.matches = matches
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    def tell(self, change: Change) -> None:
        """What a change is to one who sees only matching pods."""
        was, now = self.matches(change.before), self.matches(change.after)
        if now:
            self.send("MODIFIED" if was else "ADDED", change.after)
        elif was:
            gone = json.loads(json.dumps(change.before))
            gone["metadata"]["resourceVersion"] = str(change.version)
            self.send("DELETED", gone)

    def send(self, kind: str, described: Json | None) -> None:
        """One event."""
        self.queue.put_nowait(json.dumps({"type": kind, "object": described}).encode() + b"\n")


class FakeCluster:
    """The API server; `put` and `delete` change pods, the rest makes trouble.

    `refusals` are statuses for the next requests, `lists` and `watches` the queries that came.
    """

    def __init__(self) -> None:
        self.version = 100
        self.pods: dict[tuple[str, str], Json] = {}
        self.history: list[Change] = []
        self.forgotten = 0
        self.gone_as_status = False
        self.refusals: list[int] = []
        self.lists: list[dict[str, str]] = []
        self.watches: list[dict[str, str]] = []
        self.keys: list[str | None] = []
        self.fragments = False
        self._watchers: set[Watcher] = set()
        self._news = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def watching(self) -> int:
        """Open watches."""
        return len(self._watchers)

    async def start(self) -> None:
        """Listen, on the same port as before if it was known."""
        app = web.Application()
        app.router.add_get("/api/v1/pods", self._answer)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Be away: open watches break off, connections are refused."""
        self.break_watches()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # --- pods ----------------------------------------------------------------------------

    def put(self, pod: Json) -> None:
        """Create or change a pod."""
        self.version += 1
        pod = json.loads(json.dumps(pod))
        pod["metadata"]["resourceVersion"] = str(self.version)
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._record(Change(self.version, self.pods.get(key), pod))
        self.pods[key] = pod

    def delete(self, name: str, namespace: str = "default") -> None:
        """Delete a pod."""
        self.version += 1
        self._record(Change(self.version, self.pods.pop((namespace, name)), None))

    def _record(self, change: Change) -> None:
        self.history.append(change)
        for watcher in self._watchers:
            watcher.tell(change)

    def bookmark(self) -> None:
        """Tell all watches the version, while nothing they look at has changed."""
        self.version += 1
        for watcher in self._watchers:
            watcher.send(
                "BOOKMARK",
                {"kind": "Pod", "metadata": {"resourceVersion": str(self.version)}},
            )

    # --- trouble -------------------------------------------------------------------------

    def forget(self) -> None:
        """Keep no changes up to now: watches from before are refused."""
        self.version += 1
        self.forgotten = self.version
        self.history.clear()

    def fail_watches(self, code: int) -> None:
        """Send an error event down every watch, and end it."""
        for watcher in self._watchers:
            watcher.send("ERROR", _status(code))
            watcher.queue.put_nowait(_END)

    def say(self, line: bytes) -> None:
        """Send bytes down every watch."""
        for watcher in self._watchers:
            watcher.queue.put_nowait(line)

    def end_watches(self) -> None:
        """End every watch properly, as servers do after a while."""
        for watcher in self._watchers:
            watcher.queue.put_nowait(_END)

    def break_watches(self) -> None:
        """Cut the connection of every watch."""
        for watcher in self._watchers:
            watcher.queue.put_nowait(_BREAK)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for requests that make `holds` true."""
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()

    # --- answers -------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        watches = query.get("watch") in {"1", "true", "True"}
        (self.watches if watches else self.lists).append(query)
        self.keys.append(request.headers.get("authorization"))
        self._news.set()
        if self.refusals:
            code = self.refusals.pop(0)
            return web.json_response(_status(code), status=code)
        matches = _matcher(request.match_info.get("namespace"), query.get("labelSelector", ""))
        if watches:
            return await self._watch(request, matches, query)
        return self._list(matches, query)

    def _list(self, matches: Matches, query: dict[str, str]) -> web.Response:
        found = [pod for _, pod in sorted(self.pods.items()) if matches(pod)]
        first = int(query.get("continue", 0))
        last = first + int(query.get("limit", len(found) or 1))
        metadata: Json = {"resourceVersion": str(self.version)}
        if last < len(found):
            metadata["continue"] = str(last)
        return web.json_response({
            "kind": "PodList",
            "apiVersion": "v1",
            "metadata": metadata,
            "items": found[first:last],
        })

    async def _watch(
        self, request: web.Request, matches: Matches, query: dict[str, str]
    ) -> web.StreamResponse:
        since = int(query["resourceVersion"])
        if since < self.forgotten and self.gone_as_status:
            return web.json_response(_status(410), status=410)
        response = web.StreamResponse(headers={"content-type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        watcher = Watcher(matches)
        if since < self.forgotten:
            watcher.send("ERROR", _status(410))
            watcher.queue.put_nowait(_END)
        for change in self.history:
            if change.version > since:
                watcher.tell(change)
        self._watchers.add(watcher)
        self._news.set()
        try:
            await self._deliver(request, response, watcher)
        finally:
            self._watchers.discard(watcher)
            self._news.set()
        return response

    async def _deliver(
        self, request: web.Request, response: web.StreamResponse, watcher: Watcher
    ) -> None:
        while True:
            item = await watcher.queue.get()
            if item is _END:
                return
            if item is _BREAK:
                if request.transport is not None:
                    request.transport.abort()
                return
            half = len(item) // 2 if self.fragments else len(item)
            for piece in (item[:half], item[half:]):
                if piece:
                    await response.write(piece)
                    await asyncio.sleep(0)


def _status(code: int) -> Json:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": "Expired" if code == 410 else "Forbidden",
        "message": f"the fake says {code}",
    }


def _matcher(namespace: str | None, selector: str) -> Matches:
    terms: list[tuple[str, set[str]]] = []
    for term in re.findall(r"[^,(]+(?:\([^)]*\))?", selector):
        if " in (" in term:
            key, _, values = term.strip(",").partition(" in (")
            terms.append((key, set(values.rstrip(")").split(","))))
        elif "=" in term:
            key, _, value = term.strip(",").partition("=")
            terms.append((key, {value}))

    def matches(pod: Json | None) -> bool:
        if pod is None or namespace not in (None, pod["metadata"]["namespace"]):
            return False
        labels = pod["metadata"].get("labels", {})
        return all(labels.get(key) in values for key, values in terms)

    return matches


@pytest.fixture
async def cluster(anyio_backend: object) -> AsyncIterator[FakeCluster]:
    """An API server with no pods."""
    async with FakeCluster() as running:
        yield running


@pytest.fixture
def kubeconfig(cluster: FakeCluster, tmp_path: Path) -> str:
    """Path of a kubeconfig file for the cluster."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        json.dumps({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": cluster.url}}],
            "users": [{"name": "test", "user": {"token": "let-me-in"}}],
        })
    )
    return str(path)


@pytest.fixture
def pod() -> Callable[..., Json]:
    """Makes pods that run and are ready; keyword arguments change that."""

    def make(
        name: str = "engine-0",
        *,
        namespace: str = "default",
        uid: str | None = None,
        ip: str | None = "10.0.0.1",
        phase: str = "Running",
        ready: str = "True",
        deleted: bool = False,
        labels: dict[str, str] | None = None,
        annotations: dict[str, str] | None = None,
    ) -> Json:
        metadata: Json = {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}" if uid is None else uid,
            "labels": {"app": "engine"} if labels is None else labels,
        }
        if annotations is not None:
            metadata["annotations"] = annotations
        if deleted:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        conditions = [
            {"type": "Initialized", "status": "True"},
            {"type": "Ready", "status": ready},
        ]
        status: Json = {"phase": phase, "conditions": conditions}
        if ip is not None:
            status["podIP"] = ip
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [{"name": "engine", "image": "engine"}]},
            "status": status,
        }

    return make
