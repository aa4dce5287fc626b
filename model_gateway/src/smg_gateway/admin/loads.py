"""`/loads` and `/get_loads`: what the engines say about their load."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..admission import ControlPlaneKeys
from ..workers import RankLoad, Registry, Worker
from ..workers.load_monitor import ask_load
from .answers import error_response, json_response
from .fanout import Refused, ask_all, engines


def load_routes(registry: Registry, keys: ControlPlaneKeys) -> list[BaseRoute]:
    """`/loads` tells what the latest polls said; `/get_loads` asks all engines now."""
    release = cache(lambda: f"smg-{version('smg-gateway')}")

    async def latest(request: Request) -> Response:
        known = [
            (worker, load) for worker in registry.snapshot.workers for load in worker.engine_loads
        ]
        return json_response(loads_body(known, await asyncio.to_thread(release)))

    async def fresh(request: Request) -> Response:
        refusal = keys.check(request.scope["state"]["request"].fields)
        if refusal is not None:
            return error_response(request, refusal)
        replies = await ask_all(engines(registry.snapshot.workers), _ask)
        known = [(reply.worker, load) for reply in replies for load in reply.value or ()]
        return json_response(loads_body(known, await asyncio.to_thread(release)))

    return [
        Route("/loads", latest, methods=["GET"]),
        Route("/get_loads", fresh, methods=["GET"]),
    ]


async def _ask(worker: Worker) -> tuple[RankLoad, ...]:
    loads = await ask_load(worker)
    if loads is None:
        raise Refused("the engine does not say")
    return loads


def loads_body(known: Sequence[tuple[Worker, RankLoad]], release: str) -> dict[str, Any]:
    """The answer: one row per rank; figures that an engine does not give are 0."""
    rows = [_row(worker, load) for worker, load in known]
    ranks = [worker.base_url for worker, _ in known]
    body: dict[str, Any] = {
        "timestamp": datetime.now(UTC).isoformat(),
        "version": release,
        "dp_rank_count": max((ranks.count(url) for url in set(ranks)), default=0),
        "loads": rows,
    }
    if rows:
        body["aggregate"] = {
            "total_running_reqs": sum(row["num_running_reqs"] for row in rows),
            "total_waiting_reqs": sum(row["num_waiting_reqs"] for row in rows),
            "total_reqs": sum(row["num_total_reqs"] for row in rows),
            "avg_token_usage": sum(row["token_usage"] for row in rows) / len(rows),
            "avg_throughput": sum(row["gen_throughput"] for row in rows) / len(rows),
            "avg_utilization": sum(row["utilization"] for row in rows) / len(rows),
        }
    return body


def _row(worker: Worker, load: RankLoad) -> dict[str, Any]:
    waiting = load.num_waiting_reqs or 0
    return {
        "worker": worker.base_url,
        "worker_type": worker.worker_type,
        "dp_rank": load.dp_rank,
        "num_running_reqs": load.num_running_reqs,
        "num_waiting_reqs": waiting,
        "num_waiting_uncached_tokens": load.num_waiting_uncached_tokens or 0,
        "num_total_reqs": load.num_running_reqs + waiting,
        "num_used_tokens": load.num_used_tokens or 0,
        "max_total_num_tokens": load.max_total_num_tokens or 0,
        "token_usage": load.token_usage or 0.0,
        "gen_throughput": load.gen_throughput or 0.0,
        "cache_hit_rate": load.cache_hit_rate or 0.0,
        "utilization": load.utilization or 0.0,
        "max_running_requests": load.max_running_requests or 0,
    }
