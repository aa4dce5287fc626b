"""Workers from the pods of a Kubernetes cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from random import Random

import msgspec

from .pod_api import AccessRefused, ClusterConfig, PodApi, Unavailable
from .pod_store import AnswerInvalid, EventLines, PodStore, VersionGone
from .pods import PodRules
from .provider import Snapshot, SnapshotWatcher

RELIST_S = 600.0
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
SHORT_WATCH_S = 1.0

UNREADABLE = "unreadable"
FORBIDDEN = "forbidden"
INVALID = "invalid"


class ClusterPods:
    """Provider of the workers in the pods of a cluster.

    Pods are listed once and watched from then on. A watch that ends goes on where it ended; when
    the server no longer knows that point, or the last list is `relist_s` seconds old, they are
    listed again. While the API server is away the last state stays, and it is asked again after
    pauses that double up to `max_pause_s`.
    """

    source = "kubernetes"

    def __init__(
        self,
        config: ClusterConfig,
        rules: PodRules,
        watcher: SnapshotWatcher,
        *,
        connect: Callable[[ClusterConfig], Awaitable[PodApi]] = PodApi.connect,
        relist_s: float = RELIST_S,
        first_pause_s: float = FIRST_PAUSE_S,
        max_pause_s: float = MAX_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        rng: Random | None = None,
    ) -> None:
        self._config = config
        self._watcher = watcher
        self._connect = connect
        self._relist_s = relist_s
        self._first_pause_s = first_pause_s
        self._max_pause_s = max_pause_s
        self._clock = clock
        self._rng = rng or Random()
        self._store = PodStore(rules, watcher.complain)
        self._api: PodApi | None = None
        self._listed_at = 0.0
        self._failures = 0
        self._relists = 0

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """All workers of the cluster, whenever they are others than before."""
        last: Snapshot | None = None
        try:
            while True:
                async with aclosing(self._round()) as round_:
                    async for snapshot in round_:
                        if snapshot != last:
                            last = snapshot
                            yield snapshot
                if self._failures:
                    await asyncio.sleep(self._pause_s())
        finally:
            await self._disconnect()

    async def _round(self) -> AsyncGenerator[Snapshot, None]:
        """List if need be, and watch until the watch ends for whatever reason."""
        try:
            if self._api is None:
                self._api = await self._connect(self._config)
            if self._store.version is None or self._list_is_old():
                await self._list(self._api)
                yield self._store.snapshot()
            async with aclosing(self._changes(self._api)) as changes:
                async for snapshot in changes:
                    yield snapshot
        except VersionGone:
            # The first time there is no reason to wait; a server that forgets at once is another
            # matter.
            self._failures += self._relists
            self._relists += 1
            self._store.version = None
        except AnswerInvalid as error:
            self._failed(INVALID, str(error))
            self._store.version = None
        except AccessRefused as error:
            self._failed(FORBIDDEN, str(error))
            # Credentials may have been renewed where they are kept.
            await self._disconnect()
        except Unavailable as error:
            self._failed(UNREADABLE, str(error))

    async def _list(self, api: PodApi) -> None:
        items: list[msgspec.Raw] = []
        version = ""
        self._store.version = None
        async with aclosing(api.pages()) as pages:
            async for page in pages:
                items += page.items or ()
                version = page.metadata.resource_version
        self._store.replace(items, version)
        self._listed_at = self._clock()
        self._readable()

    async def _changes(self, api: PodApi) -> AsyncGenerator[Snapshot, None]:
        version = self._store.version
        if version is None:
            raise AnswerInvalid("a list of pods without a version")
        lines, heard, began = EventLines(), False, self._clock()
        async with aclosing(api.watch(version)) as pieces:
            async for piece in pieces:
                if not piece:
                    self._readable()
                changed = [self._store.apply(line) for line in lines.feed(piece)]
                if changed and not heard:
                    heard = True
                    self._failures = self._relists = 0
                if any(changed):
                    yield self._store.snapshot()
        if not heard and self._clock() - began < SHORT_WATCH_S:
            # One that ends at once without a word may do so again.
            self._failures += 1
        else:
            self._failures = self._relists = 0

    def _list_is_old(self) -> bool:
        return self._clock() - self._listed_at >= self._relist_s

    def _readable(self) -> None:
        self._watcher.snapshot_read(len(self._store.snapshot()))

    def _failed(self, reason: str, detail: str) -> None:
        self._failures += 1
        self._watcher.snapshot_failed(reason, detail)

    def _pause_s(self) -> float:
        """Doubling, and not in step with other gateways."""
        pause_s = min(self._first_pause_s * 2.0 ** min(self._failures - 1, 16), self._max_pause_s)
        return pause_s * self._rng.uniform(0.5, 1.0)

    async def _disconnect(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            await api.close()
