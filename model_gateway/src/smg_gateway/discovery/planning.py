"""What is to be done so that the workers there are become those there should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .worker import DiscoveredWorker


class Mark(NamedTuple):
    """What is known of a worker that discovery has brought."""

    instance: str
    fingerprint: str

    @classmethod
    def of(cls, worker: DiscoveredWorker) -> Mark:
        """The mark of a worker that is as the source describes it."""
        return cls(worker.instance, worker.fingerprint)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps, in this order: a URL may have to be given up before it is taken again."""

    removed: tuple[str, ...] = ()
    changed: tuple[DiscoveredWorker, ...] = ()
    added: tuple[DiscoveredWorker, ...] = ()


def by_url(workers: Iterable[DiscoveredWorker]) -> dict[str, DiscoveredWorker]:
    """Workers by their URL; of several that claim the same one the first counts."""
    found: dict[str, DiscoveredWorker] = {}
    for worker in workers:
        found.setdefault(worker.url, worker)
    return found


def plan(known: Mapping[str, Mark], desired: Mapping[str, DiscoveredWorker]) -> Plan:
    """The steps from `known` to `desired`, both by URL.

    Another instance at a URL is a removal and an addition: nothing of the old engine, its prefix
    cache least of all, is there any more. Everything else that differs is a change.
    """
    removed = [url for url in known if url not in desired]
    changed: list[DiscoveredWorker] = []
    added: list[DiscoveredWorker] = []
    for url, worker in desired.items():
        mark = known.get(url)
        if mark is None:
            added.append(worker)
        elif mark.instance != worker.instance:
            removed.append(url)
            added.append(worker)
        elif mark.fingerprint != worker.fingerprint:
            changed.append(worker)
    return Plan(tuple(removed), tuple(changed), tuple(added))
