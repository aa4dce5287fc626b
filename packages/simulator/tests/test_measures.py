from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_simulator import Outcome, Percentiles, Record, TraceRequest
from smg_simulator.cache import make_cache
from smg_simulator.engines import EngineModel, Job, Schedule
from smg_simulator.measures import imbalance_of, measure_series, percentiles_of, ranked
from smg_simulator.scenario import DEFAULT_TIMING

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    values = [float(value) for value in range(1, 11)]

    assert [ranked(values, share) for share in (0.0, 0.1, 0.11, 0.5, 0.99, 1.0)] == [
        1.0,
        1.0,
        2.0,
        5.0,
        10.0,
        10.0,
    ]


@given(VALUES, st.floats(0, 1))
def test_at_least_the_share_lies_at_or_below_a_percentile(
    values: list[float], share: float
) -> None:
    limit = ranked(sorted(values), share)

    assert sum(value <= limit for value in values) >= share * len(values) - 1e-9
    assert sum(value < limit for value in values) < max(share * len(values), 1)


@given(VALUES)
def test_percentiles_rise(values: list[float]) -> None:
    found = percentiles_of(values)

    assert found.p50 <= found.p90 <= found.p99 <= found.max == max(values)
    assert found.mean == pytest.approx(sum(values) / len(values))


def test_of_nothing_there_are_no_percentiles() -> None:
    assert repr(percentiles_of([])) == repr(Percentiles())
    assert math.isnan(Percentiles().p50)
    assert math.isnan(ranked([], 0.5))


def test_imbalance_is_one_when_all_do_the_same_and_the_count_when_one_does_all() -> None:
    assert imbalance_of([5, 5, 5], [1, 1, 1]) == 1.0
    assert imbalance_of([9, 0, 0], [1, 1, 1]) == 3.0
    assert imbalance_of([1, 3], [1, 3]) == 1.0
    assert math.isnan(imbalance_of([0, 0], [1, 1]))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9).filter(any))
def test_imbalance_lies_between_one_and_the_number_of_workers(work: list[int]) -> None:
    assert 1 - 1e-9 <= imbalance_of(work, [1.0] * len(work)) <= len(work) + 1e-9


def closed(record: Record, at_s: float, wait_s: float, cached: int, worker: int) -> None:
    job = Job(len(record), TraceRequest(at_s, 100, 1, ()), 16)
    record.open(job, at_s)
    job.engine = EngineModel(worker, DEFAULT_TIMING, make_cache(None), 16, Schedule())
    job.started_at = at_s + wait_s
    job.cached_tokens = cached
    record.close(job, Outcome.COMPLETED)


def test_a_series_shows_each_window_by_itself() -> None:
    record = Record()
    closed(record, 0.0, 0.5, 0, 0)
    closed(record, 0.0, 0.1, 80, 1)
    closed(record, 60.0, 0.0, 50, 0)
    series = measure_series(record, [1.0, 1.0])

    assert series.window_s == 1.0
    assert series.hit_rate[0] == 0.4
    assert series.hit_rate[-1] == 0.5
    assert series.imbalance[0] == pytest.approx(200 / 120)
    assert (series.wait_s[0], series.wait_s[-1]) == (0.3, 0.0)
    assert math.isnan(series.hit_rate[1])
    assert math.isnan(series.imbalance[1])
    assert math.isnan(series.wait_s[1])


def test_of_nothing_there_is_an_empty_series() -> None:
    series = measure_series(Record(), [1.0])

    assert series.window_s == 1.0
    assert all(map(math.isnan, series.hit_rate))
