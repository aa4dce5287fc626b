"""`/engine_metrics`: the metrics of all engines as one page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..observability.metrics import CONTENT_TYPE
from ..workers import Registry, Worker
from .fanout import ask_all, engines, request
from .information import healthy

MAX_PAGE_BYTES = 8 * 1024 * 1024


def engine_metrics_route(registry: Registry) -> BaseRoute:
    """Each engine's `/metrics`, with a label `worker_addr` that tells whose a sample is."""

    async def endpoint(inbound: Request) -> Response:
        workers = engines(healthy(registry))
        if not workers:
            return PlainTextResponse("No available workers", 500)
        replies = await ask_all(workers, _page)
        pages = [(each.worker.base_url, each.value) for each in replies if each.value is not None]
        if not pages:
            return PlainTextResponse("All backend requests failed", 500)
        # Pages of many engines are megabytes: not on the event loop.
        merged = await asyncio.to_thread(merge_pages, pages)
        response = Response(merged)
        response.headers["content-type"] = CONTENT_TYPE.decode()
        return response

    return Route("/engine_metrics", endpoint, methods=["GET"])


async def _page(worker: Worker) -> bytes:
    answer = await request(worker, b"GET", b"/metrics", max_body_bytes=MAX_PAGE_BYTES)
    return answer.body


def merge_pages(pages: Iterable[tuple[str, bytes]]) -> bytes:
    """Prometheus text pages as one: each family once, its samples labelled by origin."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for address, page in pages:
        label = f'worker_addr="{_escaped(address)}"'
        # Samples that no TYPE line announces are a family each.
        family = ""
        for line in page.decode("utf-8", "replace").splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                family = line.split(" ", 3)[2]
                comments, _ = families.setdefault(family, ([], []))
                kind = line[:7]
                if not any(known.startswith(kind) for known in comments):
                    comments.append(line)
            elif line.strip() and not line.startswith("#"):
                name = _sample_name(line)
                mine = family if family and name.startswith(family) else name
                families.setdefault(mine, ([], []))[1].append(_labelled(line, name, label))
    lines = [line for comments, samples in families.values() for line in (*comments, *samples)]
    return ("\n".join(lines) + "\n").encode()


def _sample_name(line: str) -> str:
    for at, letter in enumerate(line):
        if letter in "{ \t":
            return line[:at]
    return line


def _labelled(line: str, name: str, label: str) -> str:
    rest = line[len(name) :]
    if not rest.startswith("{"):
        return f"{name}{{{label}}}{rest}"
    inside = rest[1:].lstrip()
    comma = "" if inside.startswith("}") else ","
    return f"{name}{{{label}{comma}{inside}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
