"""Workers from a file that somebody else writes."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import NamedTuple

from .manifest import YAML_SUFFIXES, ManifestInvalid, read_manifest
from .provider import Snapshot, SnapshotWatcher
from .worker import DiscoveredWorker

LOOK_S = 0.5
MAX_MANIFEST_BYTES = 4 * 2**20
"""Room for twenty thousand workers."""

UNREADABLE = "unreadable"
INVALID = "invalid"


class _State(NamedTuple):
    """What tells one state of a file from another. Files that are replaced change their inode."""

    modified_ns: int
    size_bytes: int
    inode: int


class _Failure(NamedTuple):
    """Why a file could not be used."""

    reason: str
    detail: str


class ManifestFile:
    """Provider of the workers that a manifest lists.

    The file is looked at every `look_s` seconds and read when it has changed, and every
    `interval_s` seconds in any case. A change counts once two looks have found the same: a writer
    that is half-way through changes the file again soon. Symbolic links are followed, so that
    mounted volumes may swap what they point to. Whatever is wrong with the file, the last good
    workers stay.
    """

    source = "file"

    def __init__(
        self,
        path: str,
        watcher: SnapshotWatcher,
        *,
        interval_s: float = 30.0,
        paired: bool = False,
        look_s: float = LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._watcher = watcher
        self._interval_s = interval_s
        self._paired = paired
        self._look_s = min(look_s, interval_s)
        self._clock = clock

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """All workers of the manifest, whenever they are others than before."""
        seen = read = await asyncio.to_thread(self._look)
        last: Snapshot | None = None
        while True:
            read_at = self._clock()
            found = await asyncio.to_thread(self._read)
            if isinstance(found, _Failure):
                self._watcher.snapshot_failed(found.reason, f"{self._path}: {found.detail}")
            else:
                self._watcher.snapshot_read(len(found))
                if found != last:
                    last = found
                    yield found
            while True:
                await asyncio.sleep(self._look_s)
                before, seen = seen, await asyncio.to_thread(self._look)
                due = seen != read or self._clock() - read_at >= self._interval_s
                if due and seen == before:
                    read = seen
                    break

    def _look(self) -> _State | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return _State(found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self) -> dict[str, DiscoveredWorker] | _Failure:
        try:
            data = _contents(self._path)
            is_yaml = Path(self._path).suffix.lower() in YAML_SUFFIXES
            return read_manifest(data, is_yaml=is_yaml, paired=self._paired)
        except OSError as error:
            return _Failure(UNREADABLE, error.strerror or str(error))
        except ManifestInvalid as error:
            return _Failure(INVALID, str(error))


def _contents(path: str) -> bytes:
    # Opening a pipe would wait for a writer, for ever.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ManifestInvalid("not a regular file")
    with open(path, "rb") as opened:
        data = opened.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"larger than {MAX_MANIFEST_BYTES} bytes")
    return data
