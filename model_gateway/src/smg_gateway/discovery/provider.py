"""What every source of workers looks like to the rest of discovery."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol

from .worker import DiscoveredWorker

Snapshot = Mapping[str, DiscoveredWorker]
"""All the workers that a source wants, by the id it gives them."""


class Provider(Protocol):
    """A source of workers."""

    @property
    def source(self) -> str:
        """Its name in labels and metrics: `file` or `kubernetes`."""
        ...

    def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """Complete snapshots, without end: the present one first, then each that differs.

        A source that cannot be read yields nothing meanwhile, tells its `SnapshotWatcher`, and
        tries again by itself.
        """
        ...


class SnapshotWatcher(Protocol):
    """Who hears how reading a source goes."""

    def snapshot_failed(self, reason: str, detail: str) -> None:
        """No snapshot could be had; the last good one stays. `reason` is a word for metrics."""
        ...

    def snapshot_read(self, workers: int) -> None:
        """The source could be read."""
        ...

    def complain(self, place: str, detail: str) -> None:
        """Part of a snapshot is odd; it was read all the same."""
        ...
