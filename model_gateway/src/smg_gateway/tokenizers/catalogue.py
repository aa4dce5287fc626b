"""Which tokenizers there are, which are being loaded, and which could not be."""

from __future__ import annotations

import asyncio
import enum
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smg_tokenizer import (
    AsyncEncoder,
    CachedTokenizer,
    CacheLimits,
    Tokenizer,
    TokenizerEntry,
    TokenizerError,
    TokenizerExists,
    TokenizerNotLoaded,
    TokenizerRegistry,
    create_tokenizer,
)
from smg_tokenizer.registry import uuid7

from ..observability.logs import get_logger

MAX_ATTEMPTS = 3
RETRY_PAUSE_S = 2.0
LOAD_TIMEOUT_S = 300.0
MAX_REMEMBERED = 1024
"""Loads that have failed are remembered until this many others have."""


class LoadState(enum.StrEnum):
    """How far a load is."""

    PENDING = "pending"
    PROCESSING = "processing"
    FAILED = "failed"


@dataclass(slots=True)
class Loading:
    """A load that has not succeeded (yet)."""

    id: str
    name: str
    source: str
    chat_template: str | None
    cache: CacheLimits | None = None
    state: LoadState = LoadState.PENDING
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueConfig:
    """`source` is loaded when the gateway starts, None for nothing. `cache` is for that one."""

    source: str | None = None
    chat_template: str | None = None
    cache: CacheLimits | None = None
    max_open_loads: int = 1000
    retry_pause_s: float = RETRY_PAUSE_S


class LoadingFull(Exception):
    """As many loads are open as are allowed."""


class Catalogue:
    """The tokenizers by name and id; loads run off the loop, one after the other.

    Loading takes CPU and memory for seconds, so more at once would only slow each other down.
    """

    def __init__(
        self,
        config: CatalogueConfig,
        *,
        load: Callable[..., Tokenizer] = create_tokenizer,
    ) -> None:
        self.registry = TokenizerRegistry()
        self.encoder = AsyncEncoder()
        self._config = config
        self._load = load
        self._log = get_logger("smg_gateway.tokenizers")
        self._open: OrderedDict[str, Loading] = OrderedDict()
        self._failed: OrderedDict[str, Loading] = OrderedDict()
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        """Load the configured tokenizer, then whatever is submitted; cancel to stop."""
        try:
            if self._config.source is not None:
                source = self._config.source
                loading = self.submit(source, source, self._config.chat_template)
                loading.cache = self._config.cache
            while True:
                while self._open:
                    await self._process(next(iter(self._open.values())))
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self.encoder.close()

    def submit(self, name: str, source: str, chat_template: str | None = None) -> Loading:
        """Have a tokenizer loaded. Raises TokenizerExists and `LoadingFull`."""
        taken = self.registry.get(name)
        if taken is not None and taken.name == name:
            raise TokenizerExists(name, taken.id)
        same = next((each for each in self._open.values() if each.name == name), None)
        if same is not None:
            raise TokenizerExists(name, same.id)
        if len(self._open) >= self._config.max_open_loads:
            raise LoadingFull
        loading = Loading(uuid7(), name, source, chat_template)
        self._open[loading.id] = loading
        self._arrived.set()
        return loading

    def loading(self, key: str) -> Loading | None:
        """A load by its id or by its name: an open one, else the latest that failed."""
        for loads in (self._open, self._failed):
            found = loads.get(key)
            if found is not None:
                return found
            for loading in reversed(loads.values()):
                if loading.name == key:
                    return loading
        return None

    def for_model(self, model: str) -> TokenizerEntry | None:
        """The tokenizer of a model; without a model's name, the one that came first."""
        if model in ("", "unknown"):
            return self.registry.first()
        return self.registry.get(model)

    async def _process(self, loading: Loading) -> None:
        loading.state = LoadState.PROCESSING
        reason = "timed out"
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                await self._attempt(loading)
            return
        except TimeoutError:
            reason = f"not loaded within {LOAD_TIMEOUT_S:.0f} s"
        except TokenizerError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a file may break any of the libraries
            self._log.error("loading a tokenizer failed", name=loading.name, exc_info=error)
            reason = "the tokenizer's files cannot be used"
        finally:
            del self._open[loading.id]
        self._log.warning("tokenizer not loaded", name=loading.name, reason=reason)
        loading.state, loading.reason = LoadState.FAILED, reason
        self._failed[loading.id] = loading
        if len(self._failed) > MAX_REMEMBERED:
            self._failed.popitem(last=False)

    async def _attempt(self, loading: Loading) -> None:
        """Load, again where the hub may have been to blame."""
        template = Path(loading.chat_template) if loading.chat_template else None
        cache = loading.cache
        is_local = await asyncio.to_thread(Path(loading.source).exists)

        async def load(source: str) -> Tokenizer:
            found = await asyncio.to_thread(self._load, source, chat_template=template)
            return CachedTokenizer(found, cache) if cache is not None else found

        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                await self.registry.load(
                    loading.name, loading.source, load, tokenizer_id=loading.id
                )
                break
            except TokenizerNotLoaded:
                if is_local or attempt == MAX_ATTEMPTS:
                    raise
                await asyncio.sleep(self._config.retry_pause_s)
        self._log.info("tokenizer loaded", name=loading.name)
