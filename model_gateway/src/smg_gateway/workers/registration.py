"""From a URL to a registered worker: wait until it answers, ask which models it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from ..upstream import Pool, UpstreamError, UpstreamFault, fetch
from .health import HealthConfig
from .registry import Registry
from .worker import Worker

FIRST_PAUSE_S = 0.1
"""A worker that starts together with the gateway is usually up within a second or two, so the
first attempts come quickly and the pause doubles up to the configured interval."""


class _ModelCard(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_ModelCard] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationConfig:
    """Times in seconds."""

    startup_timeout_s: float = 1800.0
    startup_delay_s: float = 0.0
    interval_s: float = 30.0


class Registrar:
    """Registers workers in the background, one task each, until they answer or time is up."""

    def __init__(
        self,
        registry: Registry,
        *,
        config: RegistrationConfig,
        health: HealthConfig,
        create: Callable[[str, Pool, tuple[str, ...]], Worker],
        create_pool: Callable[[str], Pool],
        api_key: str | None,
        on_registered: Callable[[Worker], None],
        on_failed: Callable[[str, str], None],
        clock: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._config = config
        self._health = health
        self._create = create
        self._create_pool = create_pool
        self._api_key = api_key
        self._on_registered = on_registered
        self._on_failed = on_failed
        self._clock = clock

    async def run(self, urls: Sequence[str]) -> None:
        """Register all `urls`; returns when each is registered or given up."""
        await asyncio.sleep(self._config.startup_delay_s)
        async with asyncio.TaskGroup() as group:
            for url in dict.fromkeys(urls):
                group.create_task(self._register(url))

    async def _register(self, url: str) -> None:
        try:
            pool = self._create_pool(url)
        except ValueError as error:
            self._on_failed(url, str(error))
            return
        deadline = self._clock() + self._config.startup_timeout_s
        pause_s = FIRST_PAUSE_S
        reason = "no attempt was made"
        try:
            while True:
                try:
                    models = await self._greet(pool)
                except UpstreamError as error:
                    reason = error.detail
                else:
                    break
                if self._clock() + pause_s > deadline:
                    await pool.aclose()
                    self._on_failed(url, reason)
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, self._config.interval_s)
        except asyncio.CancelledError:
            await pool.aclose()
            raise
        worker = self._create(url, pool, models)
        self._registry.add(worker)
        self._on_registered(worker)

    async def _greet(self, pool: Pool) -> tuple[str, ...]:
        """The model ids a living worker serves; raises `UpstreamError` while it does not answer."""
        if self._health.enabled:
            health = await fetch(
                pool, b"GET", self._health.path.encode(), timeout_s=self._health.timeout_s
            )
            if not 200 <= health.status < 300:
                raise UpstreamError(UpstreamFault.CONNECT, f"health answered {health.status}")
        headers = []
        if self._api_key is not None:
            headers.append((b"authorization", b"Bearer " + self._api_key.encode()))
        try:
            answer = await fetch(
                pool, b"GET", b"/v1/models", headers=headers, timeout_s=self._health.timeout_s
            )
        except UpstreamError:
            if self._health.enabled:
                raise
            return ()
        if answer.status >= 500 and self._health.enabled:
            raise UpstreamError(UpstreamFault.CONNECT, f"/v1/models answered {answer.status}")
        return _model_ids(answer.body) if answer.status == 200 else ()


def _model_ids(body: bytes) -> tuple[str, ...]:
    """Model ids of an OpenAI model list; none, so any model, when it is not such a list."""
    try:
        return tuple(card.id for card in msgspec.json.decode(body, type=_ModelList).data)
    except msgspec.MsgspecError:
        return ()
