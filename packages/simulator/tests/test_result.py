from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from smg_mock_worker import EngineTiming
from smg_policies import CacheAwarePolicy, PolicyConfig
from smg_simulator import Result, Scenario, Trace, TraceBuilder, simulate
from smg_simulator.result import relative_speeds


@pytest.fixture
def result(conversations: Callable[..., Trace]) -> Result:
    return simulate(conversations(), workers=2, config=PolicyConfig(cache_threshold=0.4))


def test_totals_of_workers_add_up_to_the_trace(result: Result) -> None:
    workers = result.workers

    assert sum(worker.prompt_tokens for worker in workers) == result.trace.prompt_tokens
    assert sum(worker.started for worker in workers) == result.trace.requests == 40
    assert result.hit_rate == (
        sum(worker.cached_tokens for worker in workers) / result.trace.prompt_tokens
    )
    for worker in workers:
        assert worker.work_tokens == worker.prompt_tokens - worker.cached_tokens


def test_reasons_of_choices_are_counted(result: Result) -> None:
    assert sum(result.reasons.values()) == 40
    assert result.reasons["prefix believed cached here"] > 10


def test_blocks_cut_short_count_as_blocks_that_are_never_cached() -> None:
    builder = TraceBuilder(block_size=16)
    for number in range(2):
        builder.add(number * 60.0, 40, 1, ["a", "b", "c"])
    result = simulate(builder.build(), workers=1)

    assert result.hit_rate == 32 / 80
    assert result.block_hit_rate == 2 / 6


def test_the_text_form_is_a_table_row(result: Result) -> None:
    head, row = repr(result).splitlines()

    assert head.split()[:3] == ["policy", "hit", "rate"]
    assert row.startswith("cache_aware")
    assert f"{result.hit_rate:.1%}" in row


def test_the_html_form_is_a_table(result: Result) -> None:
    assert result._repr_html_().startswith("<table>")
    assert f"<td>{result.hit_rate:.1%}</td>" in result._repr_html_()


def test_as_json_it_has_everything_but_single_requests(result: Result) -> None:
    document = msgspec.json.decode(msgspec.json.encode(result.as_dict()))

    assert document["scenario"]["policy"] == "cache_aware"
    assert document["scenario"]["config"] == {"cache_threshold": 0.4}
    assert document["trace"]["name"] == "chats"
    assert document["ttft_s"]["p90"] == result.ttft_s.p90
    assert document["reasons"] == dict(result.reasons)
    assert len(document["workers"]) == 2
    assert len(document["series"]["hit_rate"]) == 60
    assert "record" not in document


def test_a_policy_class_goes_by_its_name(conversations: Callable[..., Trace]) -> None:
    result = simulate(conversations(chats=1, turns=1), CacheAwarePolicy)

    assert result.as_dict()["scenario"]["policy"] == "CacheAwarePolicy"
    assert "CacheAwarePolicy" in repr(result)


def test_what_cannot_be_measured_is_a_dash_and_null() -> None:
    result = simulate(TraceBuilder().build(), "random")

    assert repr(result).splitlines()[1].split() == ["random", "0.0%", *"--------", "0"]
    assert msgspec.json.decode(msgspec.json.encode(result.as_dict()))["imbalance"] is None


def test_speeds_are_relative_to_the_slowest_worker() -> None:
    timings = tuple(EngineTiming(prefill_tokens_per_s=rate) for rate in (50.0, 100.0))

    assert relative_speeds(Scenario(workers=2, timing=timings)) == (1.0, 2.0)
    assert relative_speeds(Scenario(workers=2, timing=EngineTiming())) == (1.0, 1.0)
