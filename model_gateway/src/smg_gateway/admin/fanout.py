"""One question to many engines: some at a time, none of them for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from ..upstream import Response, UpstreamError, fetch
from ..workers import Worker
from ..workers.load_monitor import bearer

PARALLEL_QUESTIONS = 32
QUESTION_TIMEOUT_S = 5.0

T = TypeVar("T")


class Reply(NamedTuple, Generic[T]):
    """What one engine answered: a value, or why there is none."""

    worker: Worker
    value: T | None
    error: str | None


def engines(workers: Iterable[Worker]) -> list[Worker]:
    """One worker per engine: data-parallel ranks share their engine's routes."""
    return list({worker.base_url: worker for worker in reversed(list(workers))}.values())[::-1]


async def ask_all(
    workers: Sequence[Worker], ask: Callable[[Worker], Awaitable[T]]
) -> list[Reply[T]]:
    """The replies in the order of `workers`; `ask` raises `UpstreamError` or `Refused`."""
    slots = asyncio.Semaphore(PARALLEL_QUESTIONS)

    async def one(worker: Worker) -> Reply[T]:
        async with slots:
            try:
                return Reply(worker, await ask(worker), None)
            except UpstreamError as error:
                return Reply(worker, None, error.detail)
            except Refused as refusal:
                return Reply(worker, None, str(refusal))

    return list(await asyncio.gather(*map(one, workers)))


class Refused(Exception):
    """An engine answered, but not what was hoped for."""


async def request(
    worker: Worker,
    method: bytes,
    target: bytes,
    *,
    body: bytes = b"",
    max_body_bytes: int = 1024 * 1024,
) -> Response:
    """One request with the worker's key; raises `UpstreamError`, and `Refused` unless it is 2xx."""
    headers = bearer(worker)
    if body:
        headers.append((b"content-type", b"application/json"))
    answer = await fetch(
        worker.pool,
        method,
        target,
        headers=headers,
        body=body,
        timeout_s=QUESTION_TIMEOUT_S,
        max_body_bytes=max_body_bytes,
    )
    if not 200 <= answer.status < 300:
        reason = answer.body[:200].decode("utf-8", "replace").strip()
        raise Refused(f"HTTP {answer.status}: {reason}" if reason else f"HTTP {answer.status}")
    return answer
