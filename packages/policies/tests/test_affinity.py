"""The load side of cache affinity: gate, ledger, estimates, and their bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_policies import LoadReport, PlainCandidate, PolicyConfig
from smg_policies._affinity import SpillGate, WorkLedger  # noqa: PLC2701 - laws of their own
from smg_policies._bounds import MAX_WORKERS  # noqa: PLC2701 - the bound that a test fills
from smg_policies._waiting import WaitEstimator  # noqa: PLC2701

LOADS = st.lists(st.integers(0, 200), min_size=1, max_size=12)
DEFAULT = SpillGate(64, 1.5)


@given(LOADS)
def test_the_gate_never_refuses_a_worker_at_or_below_the_mean(loads: list[int]) -> None:
    assert not DEFAULT.refuses(min(loads), loads)


@given(LOADS, st.integers(0, 64), st.floats(1, 4))
def test_the_gate_refuses_only_beyond_both_margins(loads: list[int], abs_: int, rel: float) -> None:
    mean = sum(loads) / len(loads)
    if SpillGate(abs_, rel).refuses(max(loads), loads):
        assert max(loads) > rel * mean
        assert max(loads) > mean + min(abs_, 4)


@pytest.mark.parametrize(
    ("loads", "refused"),
    [([10, 0], False), ([11, 0], True), ([6, 0, 0], False), ([7, 0, 0], True)],
)
def test_the_margins_are_those_observed(loads: list[int], refused: bool) -> None:
    assert DEFAULT.refuses(loads[0], loads) == refused


def test_equal_loads_go_to_whoever_was_given_least_then_the_first() -> None:
    ledger = WorkLedger()
    workers = [PlainCandidate(name) for name in "abc"]
    chosen = []
    for _ in range(6):
        place = ledger.least(workers, [1, 1, 1])
        ledger.enter(workers[place].id, 10)
        chosen.append(workers[place].id)
    assert "".join(chosen) == "abcabc"


def test_a_long_prompt_weighs_as_much_as_many_short_ones() -> None:
    ledger = WorkLedger()
    workers = [PlainCandidate(name) for name in "ab"]
    chosen = ""
    for tokens in (500, *[99] * 7):
        place = ledger.least(workers, [0, 0])
        ledger.enter(workers[place].id, tokens)
        chosen += workers[place].id
    assert chosen == "abbbbbba"


def test_a_newcomer_is_not_flooded_until_it_has_caught_up() -> None:
    ledger = WorkLedger()
    workers = [PlainCandidate(name) for name in "ab"]
    for _ in range(100):
        ledger.enter(workers[ledger.least(workers, [0, 0])].id, 10)
    workers.append(PlainCandidate("c"))
    chosen = []
    for _ in range(6):
        place = ledger.least(workers, [0, 0, 0])
        ledger.enter(workers[place].id, 10)
        chosen.append(workers[place].id)
    assert sorted(chosen) == ["a", "a", "b", "b", "c", "c"]


@given(LOADS)
def test_the_lowest_load_wins_whatever_was_given(loads: list[int]) -> None:
    ledger = WorkLedger()
    workers = [PlainCandidate(str(n)) for n in range(len(loads))]
    ledger.enter(workers[loads.index(min(loads))].id, 10)
    assert loads[ledger.least(workers, loads)] == min(loads)


def test_counters_and_charges_are_bounded() -> None:
    ledger = WorkLedger()
    waits = WaitEstimator(PolicyConfig())
    report = LoadReport()
    for number in range(MAX_WORKERS + 10):
        ledger.enter(f"w{number}", 10)
        waits.charge(PlainCandidate(f"w{number}"), report, 1)
    assert len(ledger) == len(waits) == MAX_WORKERS


def test_a_charge_with_a_lifetime_runs_out() -> None:
    now = [0.0]
    waits = WaitEstimator(PolicyConfig(), clock=lambda: now[0], ttl_s=2)
    report = LoadReport(throughput=1000)
    worker = PlainCandidate("w", report=report)
    waits.charge(worker, report, 500)
    assert waits.scores([worker], [report]) == [0.5]
    now[0] = 2
    assert waits.scores([worker], [report]) == [0]
    assert len(waits) == 0
