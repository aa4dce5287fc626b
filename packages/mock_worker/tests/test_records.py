import asyncio

import pytest
from smg_mock_worker.records import Outcome, RecordedRequest, RequestLog


def record(path: str = "/", body: bytes = b"") -> RecordedRequest:
    return RecordedRequest(
        method="POST",
        path=path,
        query="a=1",
        headers=[("Host", "x"), ("X-Twice", "one"), ("x-twice", "two")],
        body=body,
        received_at=1.5,
    )


def test_requests_are_kept_in_order() -> None:
    log = RequestLog()
    records = [record(str(number)) for number in range(3)]
    for entry in records:
        log.add(entry)

    assert list(log) == records
    assert log[0] is records[0]
    assert log[-2:] == tuple(records[1:])
    assert repr(log) == "<RequestLog of 3 requests>"


def test_the_oldest_requests_make_room() -> None:
    log = RequestLog(max_requests=2)
    for number in range(5):
        log.add(record(str(number)))

    assert [entry.path for entry in log] == ["3", "4"]


def test_large_bodies_make_room_too_but_the_newest_is_always_kept() -> None:
    log = RequestLog(max_body_bytes=10)
    for size in (4, 4, 4, 100, 3):
        log.add(record(body=b"x" * size))

    assert [len(entry.body) for entry in log] == [3]
    log.add(record(body=b"x" * 100))
    assert [len(entry.body) for entry in log] == [100]


def test_a_cleared_log_starts_over() -> None:
    log = RequestLog(max_body_bytes=10)
    log.add(record(body=b"x" * 10))
    log.clear()
    log.add(record(body=b"x" * 10))

    assert len(log) == 1


def test_requests_are_found_by_path() -> None:
    log = RequestLog()
    for path in ("/a", "/b", "/a"):
        log.add(record(path))

    assert log.to("/a") == [log[0], log[2]]


def test_headers_are_found_in_any_case_and_the_first_one_counts() -> None:
    assert record().header("x-TWICE") == "one"
    assert record().header("absent") is None


def test_a_record_reads_as_json() -> None:
    entry = record("/a", b"caf\xc3\xa9 \xff")

    assert entry.as_json() == {
        "method": "POST",
        "path": "/a",
        "query": "a=1",
        "headers": [("Host", "x"), ("X-Twice", "one"), ("x-twice", "two")],
        "body": "café \ufffd",
        "received_at": 1.5,
        "status": None,
        "chunks_sent": 0,
        "outcome": "pending",
    }


@pytest.mark.anyio
async def test_waiting_finds_what_is_there_already() -> None:
    log = RequestLog()
    log.add(record("/a"))

    assert await log.wait_for(lambda entry: entry.path == "/a") is log[0]


@pytest.mark.anyio
async def test_waiting_ends_when_the_outcome_is_settled() -> None:
    log = RequestLog()
    entry = record("/a")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(
            log.wait_for(lambda entry: entry.outcome is Outcome.DISCONNECTED)
        )
        await asyncio.sleep(0)
        log.add(entry)
        await asyncio.sleep(0)
        assert not waiting.done()
        log.settle(entry, Outcome.DISCONNECTED)

    assert waiting.result() is entry
