"""What lists and events add up to."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_gateway.discovery import PodRules
from smg_gateway.discovery.pod_store import (
    MAX_EVENT_BYTES,
    AnswerInvalid,
    EventLines,
    PodStore,
    VersionGone,
)

RULES = PodRules(roles=(("regular", (("app", "engine"),)),), port=8000)


@pytest.fixture
def store(heard: Any) -> PodStore:
    return PodStore(RULES, heard.complain)


def event(kind: str, described: Any, version: int | None = None) -> bytes:
    if version is not None:
        described = {
            **described,
            "metadata": {**described["metadata"], "resourceVersion": str(version)},
        }
    return json.dumps({"type": kind, "object": described}).encode()


def raw(described: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(described).encode())


def urls(store: PodStore) -> list[str]:
    return [worker.url for worker in store.snapshot().values()]


@pytest.mark.anyio
class TestStore:
    async def test_a_list_is_all_there_is(self, store: PodStore, pod: Any) -> None:
        store.replace([raw(pod("a", ip="10.0.0.1")), raw(pod("b", ip="10.0.0.2"))], "7")
        store.replace([raw(pod("c", ip="10.0.0.3")), raw(pod("b", ip="10.0.0.2"))], "9")

        assert urls(store) == ["http://10.0.0.2:8000", "http://10.0.0.3:8000"]
        assert store.version == "9"

    async def test_events_change_it_and_say_whether_they_did(
        self, store: PodStore, pod: Any
    ) -> None:
        store.replace([], "7")

        changed = [
            store.apply(event("ADDED", pod(ready="False"), 8)),
            store.apply(event("MODIFIED", pod(), 9)),
            store.apply(event("MODIFIED", pod(), 10)),
            store.apply(event("MODIFIED", pod(deleted=True), 11)),
            store.apply(event("DELETED", pod(deleted=True), 12)),
        ]

        assert changed == [False, True, False, True, False]
        assert urls(store) == []
        assert store.version == "12"

    async def test_a_bookmark_moves_the_version_and_nothing_else(self, store: PodStore) -> None:
        store.replace([], "7")

        assert not store.apply(event("BOOKMARK", {"metadata": {}}, 20))
        assert store.version == "20"

    async def test_a_pod_that_cannot_be_read_does_not_spoil_the_others(
        self, store: PodStore, pod: Any, heard: Any
    ) -> None:
        store.replace([raw({"metadata": {"labels": 7}}), raw(pod())], "7")

        assert urls(store) == ["http://10.0.0.1:8000"]
        assert not store.apply(event("ADDED", {"metadata": 7}))
        assert [place for place, _ in heard.complaints] == ["a pod", "a pod"]

    async def test_odd_annotations_are_reported_with_the_pod(
        self, store: PodStore, pod: Any, heard: Any
    ) -> None:
        store.replace([raw(pod(annotations={"smg.ai/worker-ports": "x"}))], "7")

        assert heard.complaints[0][0] == "default/engine-0"

    async def test_an_expired_version_is_told_from_other_errors(self, store: PodStore) -> None:
        with pytest.raises(VersionGone):
            store.apply(event("ERROR", {"code": 410, "message": "too old"}))
        with pytest.raises(AnswerInvalid, match="the watch failed: etcd is away"):
            store.apply(event("ERROR", {"code": 500, "message": "etcd is away"}))

    @pytest.mark.parametrize(
        "line", [b"{", b"[]", b'{"type": "ADDED"}', b'{"type": "X", "object": 1}']
    )
    async def test_what_is_no_event_is_refused(self, store: PodStore, line: bytes) -> None:
        with pytest.raises(AnswerInvalid):
            store.apply(line)


@given(
    st.lists(
        st.binary(min_size=1, max_size=9).filter(lambda line: b"\n" not in line and line.strip())
    ),
    st.lists(st.integers(1, 5)),
)
def test_lines_come_out_as_they_went_in_wherever_they_are_cut(
    lines: list[bytes], cuts: list[int]
) -> None:
    stream, found, reader = b"".join(line + b"\n" for line in lines), [], EventLines()
    while stream:
        size = cuts.pop() if cuts else len(stream)
        found += reader.feed(stream[:size])
        stream = stream[size:]

    assert found == lines


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    reader = EventLines()

    reader.feed(b"x" * MAX_EVENT_BYTES)
    with pytest.raises(AnswerInvalid, match="larger than"):
        reader.feed(b"x")
