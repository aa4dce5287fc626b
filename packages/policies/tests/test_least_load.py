"""least_load and power_of_two over engine reports."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_policies import (
    Decision,
    LeastLoadPolicy,
    LoadReport,
    PlainCandidate,
    Policy,
    PolicyConfig,
    PowerOfTwoPolicy,
    RoutingRequest,
    create_policy,
)

REQUEST = RoutingRequest()


def choose(policy: Policy, workers: list[PlainCandidate]) -> Decision:
    decision = policy.select(REQUEST, workers)
    assert decision is not None
    return decision


def fleet(*reports: LoadReport | None) -> list[PlainCandidate]:
    return [PlainCandidate(str(n), report=report) for n, report in enumerate(reports, 1)]


def queued(*tokens: int, throughput: float) -> list[PlainCandidate]:
    return fleet(*(LoadReport(waiting_uncached_tokens=n, throughput=throughput) for n in tokens))


def sequence(policy: Policy, workers: list[PlainCandidate], count: int) -> str:
    return "".join(choose(policy, workers).worker.id for _ in range(count))


@pytest.mark.parametrize("throughput", [50, 0])
def test_work_sent_since_the_report_is_added_to_the_queue(throughput: float) -> None:
    workers = queued(0, 5000, 10000, throughput=throughput)
    policy = LeastLoadPolicy(Random(1), PolicyConfig())
    assert sequence(policy, workers, 20) == "11111212121212132132"


def test_a_new_report_wipes_what_was_added() -> None:
    workers = queued(0, 1500, throughput=1000)
    policy = LeastLoadPolicy(Random(1), PolicyConfig())
    assert sequence(policy, workers, 3) == "112"
    workers[0].report = LoadReport(waiting_uncached_tokens=0, throughput=1000)
    assert sequence(policy, workers, 2) == "11"


def test_known_tokens_count_and_text_counts_as_the_mean() -> None:
    workers = queued(0, 900, throughput=1000)
    policy = LeastLoadPolicy(Random(1), PolicyConfig())
    short = RoutingRequest(tokens=[1] * 100)
    for _ in range(9):
        decision = policy.select(short, workers)
        assert decision is not None
        assert decision.worker.id == "1"
    assert dict(choose(policy, workers).scores) == {"1": 0.9, "2": 0.9}


def test_a_full_kv_cache_counts_as_waiting_time() -> None:
    workers = fleet(LoadReport(token_usage=0.99), LoadReport(token_usage=0.5), LoadReport())
    policy = LeastLoadPolicy(Random(1), PolicyConfig(least_load_kv_pressure_weight=30))
    decision = choose(policy, workers)
    assert decision.worker.id == "3"
    assert dict(decision.scores) == pytest.approx({"1": 2970, "2": 30, "3": 0})


def test_waiting_requests_stand_in_for_unreported_tokens() -> None:
    workers = fleet(LoadReport(waiting_requests=2), LoadReport(waiting_uncached_tokens=2047))
    decision = choose(LeastLoadPolicy(Random(1), PolicyConfig()), workers)
    assert dict(decision.scores) == {"1": 1.024, "2": 1.0235}


def test_a_worker_without_report_is_judged_by_its_load() -> None:
    workers = fleet(LoadReport(waiting_uncached_tokens=1000, throughput=512), None)
    workers[1].load = 1
    decision = choose(LeastLoadPolicy(Random(1), PolicyConfig()), workers)
    assert dict(decision.scores) == {"1": 1000 / 512, "2": 2.0}


def test_without_any_report_the_fewest_requests_in_flight_win() -> None:
    workers = fleet(None, None, None)
    workers[0].load, workers[1].load, workers[2].load = 2, 1, 3
    assert sequence(LeastLoadPolicy(Random(1), PolicyConfig()), workers, 3) == "222"


def test_equal_waits_are_drawn_by_chance() -> None:
    policy = LeastLoadPolicy(Random(1), PolicyConfig())
    assert set(sequence(policy, fleet(None, None, None), 50)) == {"1", "2", "3"}


def test_workers_with_their_fill_of_waiting_requests_are_left_out_until_the_next_report() -> None:
    workers = fleet(*(LoadReport(waiting_requests=n) for n in (3, 0, 0)))
    policy = LeastLoadPolicy(Random(1), PolicyConfig(least_load_max_waiting_requests=2))
    assert Counter(sequence(policy, workers, 4)) == {"2": 2, "3": 2}
    assert policy.select(REQUEST, workers) is None
    workers[2].report = LoadReport(waiting_requests=0)
    assert choose(policy, workers).worker.id == "3"


def test_a_departed_worker_leaves_no_charge_behind() -> None:
    workers = queued(0, 5000, throughput=1000)
    policy = LeastLoadPolicy(Random(1), PolicyConfig())
    sequence(policy, workers, 3)
    policy.worker_removed("1")
    assert dict(choose(policy, workers).scores)["1"] == 0


# power_of_two


@given(st.lists(st.integers(0, 20), min_size=2, max_size=6), st.integers(0, 1000))
def test_the_worst_of_all_is_never_chosen_from_a_pair(loads: list[int], seed: int) -> None:
    workers = [PlainCandidate(str(n), load) for n, load in enumerate(loads)]
    decision = choose(PowerOfTwoPolicy(Random(seed)), workers)
    assert decision.worker.load < max(loads) or loads.count(max(loads)) > 1


REPORTED = (
    LoadReport(running_requests=1, waiting_requests=0, waiting_uncached_tokens=0),
    LoadReport(running_requests=5, waiting_requests=2, waiting_uncached_tokens=5000),
    LoadReport(running_requests=9, waiting_requests=4, waiting_uncached_tokens=90000),
)


@pytest.mark.parametrize("metric", ["expected_wait", "requests"])
def test_a_pair_is_compared_by_what_the_engines_report(metric: str) -> None:
    workers = fleet(*REPORTED)
    policy = PowerOfTwoPolicy(Random(1), PolicyConfig(power_of_two_load_metric=metric))
    counts = Counter(sequence(policy, workers, 600))
    assert counts["3"] == 0
    assert counts["1"] == pytest.approx(400, abs=40)
    assert counts["2"] == pytest.approx(200, abs=40)


def test_least_requests_looks_at_the_whole_fleet_and_counts_its_own() -> None:
    workers = fleet(*REPORTED)
    policy = PowerOfTwoPolicy(Random(1), PolicyConfig(power_of_two_load_metric="least_requests"))
    chosen = sequence(policy, workers, 6)
    assert chosen == "111111"
    assert Counter(sequence(policy, workers, 12)) == {"1": 6, "2": 6}


@pytest.mark.parametrize("metric", ["expected_wait", "requests", "least_requests"])
def test_without_reports_requests_in_flight_decide(metric: str) -> None:
    workers = [PlainCandidate("1", load=3), PlainCandidate("2", load=1)]
    policy = create_policy("power_of_two", Random(1), PolicyConfig(power_of_two_load_metric=metric))
    assert sequence(policy, workers, 4) == "2222"


def test_a_single_candidate_needs_no_pair() -> None:
    worker = PlainCandidate("only", load=9)
    assert choose(PowerOfTwoPolicy(Random(1)), [worker]).worker is worker
