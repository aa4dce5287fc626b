from __future__ import annotations

import pytest
from smg_simulator import Outcome, Record, TraceRequest
from smg_simulator.engines import Job


def opened(record: Record, count: int) -> list[Job]:
    jobs = [Job(index, TraceRequest(0.0, 32, 5, (0, 1)), 16) for index in range(count)]
    for job in jobs:
        record.open(job, float(job.index))
    return jobs


def test_an_open_request_has_not_ended() -> None:
    record = Record()
    opened(record, 2)

    assert len(record) == 2
    assert list(record.arrived_at) == [0.0, 1.0]
    assert list(record.outcome) == [-1, -1]
    assert not list(record.started()) + list(record.completed())


def test_requests_may_end_in_any_order() -> None:
    record = Record()
    first, second, third = opened(record, 3)
    second.started_at, second.first_token_at, second.finished_at = 2.0, 3.0, 4.0
    second.cached_tokens = 16
    second.attempts = 2
    record.close(second, Outcome.COMPLETED)
    third.started_at = 5.0
    record.close(third, Outcome.FAILED)
    record.close(first, Outcome.REFUSED)

    assert list(record.outcome) == [Outcome.REFUSED, Outcome.COMPLETED, Outcome.FAILED]
    assert (list(record.completed()), list(record.started())) == ([1], [1, 2])
    assert record.cached_tokens[1] == 16
    assert list(record.attempts) == [0, 2, 0]
    assert list(record.worker) == [-1, -1, -1]


def test_nothing_ends_twice() -> None:
    record = Record()
    (job,) = opened(record, 1)
    record.close(job, Outcome.COMPLETED)

    with pytest.raises(ValueError, match="request 0 has ended twice"):
        record.close(job, Outcome.FAILED)
