"""The pods of a cluster as a list and a stream of events tell of them; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .pods import Pod, PodRules, read_pod
from .worker import DiscoveredWorker

MAX_EVENT_BYTES = 16 * 2**20
"""No object in a cluster is larger than a few MiB."""

GONE = 410


class VersionGone(Exception):
    """The server does not know any more what has changed since: list again."""


class AnswerInvalid(Exception):
    """The server has sent what a server of this API does not send."""


class _ListMetadata(msgspec.Struct, rename="camel", kw_only=True):
    resource_version: str = ""
    more: str | None = msgspec.field(default=None, name="continue")


class PodPage(msgspec.Struct, kw_only=True):
    """One page of a list; the pods are not looked into yet."""

    metadata: _ListMetadata
    items: list[msgspec.Raw] | None = None


class Status(msgspec.Struct, kw_only=True):
    """How the API tells that something went wrong."""

    code: int = 0
    reason: str | None = None
    message: str | None = None


class _Event(msgspec.Struct, kw_only=True):
    type: str
    object: msgspec.Raw


class _Bookmark(msgspec.Struct, kw_only=True):
    metadata: _ListMetadata


def read_page(body: bytes) -> PodPage:
    """A page of a list; raises `AnswerInvalid`."""
    try:
        return msgspec.json.decode(body, type=PodPage)
    except (msgspec.DecodeError, RecursionError) as error:
        raise AnswerInvalid(f"a list of pods cannot be read: {error}") from None


class EventLines:
    """Cuts a stream of bytes into its lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now; raises `AnswerInvalid` when one never ends."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest = bytearray(rest)
        else:
            self._rest += rest
        if len(self._rest) > MAX_EVENT_BYTES:
            raise AnswerInvalid(f"an event is larger than {MAX_EVENT_BYTES} bytes")
        return [line for line in lines if line.strip()]


class PodStore:
    """The workers in every pod, and the version of the cluster's state that this is.

    `version` is where a watch goes on from; None asks for a list.
    """

    def __init__(self, rules: PodRules, complain: Callable[[str, str], None]) -> None:
        self._rules = rules
        self._complain = complain
        self._workers: dict[tuple[str, str], tuple[DiscoveredWorker, ...]] = {}
        self.version: str | None = None

    def snapshot(self) -> dict[str, DiscoveredWorker]:
        """All workers by their ids."""
        return {worker.id: worker for workers in self._workers.values() for worker in workers}

    def replace(self, items: Sequence[msgspec.Raw], version: str) -> None:
        """A complete list; what it does not name is gone."""
        before, self._workers = self._workers, {}
        for item in items:
            pod = self._decode(item)
            if pod is not None:
                self._put(pod)
        # The order stays as it was, so that of two workers with one URL the same one counts.
        kept = {key: self._workers[key] for key in before if key in self._workers}
        self._workers = {**kept, **self._workers}
        self.version = version or None

    def apply(self, line: bytes) -> bool:
        """One event of a watch; whether the workers are others than before.

        Raises `VersionGone`, and `AnswerInvalid` for an error or what is no event.
        """
        try:
            event = msgspec.json.decode(line, type=_Event)
            match event.type:
                case "ADDED" | "MODIFIED" | "DELETED":
                    return self._changed(event)
                case "BOOKMARK":
                    self._advance(msgspec.json.decode(event.object, type=_Bookmark))
                    return False
                case "ERROR":
                    raise _failure(msgspec.json.decode(event.object, type=Status))
                case _:
                    raise AnswerInvalid(f"an event of type {event.type!r}")
        except (msgspec.DecodeError, RecursionError) as error:
            raise AnswerInvalid(f"an event cannot be read: {error}") from None

    def _changed(self, event: _Event) -> bool:
        pod = self._decode(event.object)
        if pod is None:
            return False
        before = self._workers.get(pod.key, ())
        if event.type == "DELETED":
            self._workers.pop(pod.key, None)
        else:
            self._put(pod)
        self.version = pod.metadata.resource_version or self.version
        return self._workers.get(pod.key, ()) != before

    def _advance(self, bookmark: _Bookmark) -> None:
        self.version = bookmark.metadata.resource_version or self.version

    def _put(self, pod: Pod) -> None:
        reading = read_pod(pod, self._rules)
        for complaint in reading.complaints:
            self._complain("/".join(pod.key), complaint)
        if reading.workers:
            self._workers[pod.key] = reading.workers
        else:
            self._workers.pop(pod.key, None)

    def _decode(self, item: msgspec.Raw) -> Pod | None:
        try:
            return msgspec.json.decode(item, type=Pod)
        except (msgspec.DecodeError, RecursionError) as error:
            self._complain("a pod", f"cannot be read: {error}")
            return None


def _failure(status: Status) -> Exception:
    if status.code == GONE:
        return VersionGone()
    return AnswerInvalid(f"the watch failed: {status.message or status.reason or status.code}")
