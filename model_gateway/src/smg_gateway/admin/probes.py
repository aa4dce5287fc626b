"""Liveness and readiness."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..workers import Registry
from .answers import json_response


class ReadinessReport(msgspec.Struct, omit_defaults=True):
    """The body of `/readiness`."""

    status: str
    reason: str | None = None
    healthy_workers: int | None = None
    total_workers: int | None = None


class Readiness:
    """Whether the gateway can serve; breakers do not matter."""

    def __init__(self, registry: Registry, *, paired: bool = False) -> None:
        """`paired` asks for a worker of each leg instead of one that does both."""
        self._registry = registry
        self._paired = paired
        self.draining = False

    def report(self) -> tuple[int, ReadinessReport]:
        """Status and body of `/readiness`."""
        if self.draining:
            return 503, ReadinessReport(status="not ready", reason="draining")
        snapshot = self._registry.snapshot
        legs = [snapshot.healthy_in(leg) for leg in ("prefill", "decode")]
        whole = snapshot.healthy_count()
        healthy = whole + sum(legs)
        if not all(legs) and (self._paired or not whole):
            return 503, ReadinessReport(status="not ready", reason="insufficient healthy workers")
        return 200, ReadinessReport(
            status="ready", healthy_workers=healthy, total_workers=len(snapshot.workers)
        )

    def answer(self) -> tuple[int, bytes]:
        """Status and encoded body of `/readiness`."""
        status, report = self.report()
        return status, msgspec.json.encode(report)


def probe_routes(readiness: Readiness) -> list[BaseRoute]:
    """`/liveness`, `/health` and `/readiness`."""

    async def alive(request: Request) -> Response:
        return PlainTextResponse("OK")

    async def ready(request: Request) -> Response:
        status, report = readiness.report()
        return json_response(report, status)

    return [
        Route("/liveness", alive, methods=["GET"]),
        Route("/health", alive, methods=["GET"]),
        Route("/readiness", ready, methods=["GET"]),
    ]
