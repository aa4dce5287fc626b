from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from smg_policies import PolicyUnknown
from smg_simulator import Scenario, Trace, scenarios, simulate, sweep


def test_a_sweep_runs_every_scenario_as_simulate_does(conversations: Callable[..., Trace]) -> None:
    trace = conversations()
    comparison = sweep(trace, scenarios(policies=["cache_aware", "round_robin"], workers=[3]))

    assert comparison.labels == ("cache_aware", "round_robin")
    assert len(comparison) == 2
    assert comparison["round_robin"] == simulate(trace, "round_robin", workers=3)
    assert dict(comparison)["cache_aware"] is comparison.results[0]


def test_a_sweep_reads_files(data: Path) -> None:
    assert sweep(data / "azure.csv", [Scenario(workers=1)]).results[0].completed == 20


def test_its_text_form_is_a_table_of_all(conversations: Callable[..., Trace]) -> None:
    comparison = sweep(conversations(), scenarios(settings={"cache_threshold": [0.2, 0.9]}))
    head, *rows = repr(comparison).splitlines()

    assert head.startswith("policy ")
    assert [row.split("  ")[0] for row in rows] == [
        "cache_aware cache_threshold=0.2",
        "cache_aware cache_threshold=0.9",
    ]
    assert comparison._repr_html_().count("<tr>") == 3


def test_as_json_it_is_a_list_of_labelled_results(conversations: Callable[..., Trace]) -> None:
    comparison = sweep(conversations(), scenarios(seeds=[1, 2]))
    document = msgspec.json.decode(msgspec.json.encode(comparison.as_dict()))

    assert [each["label"] for each in document["results"]] == list(comparison.labels)
    assert document["results"][0]["completed"] == 40


def test_progress_names_the_scenario(conversations: Callable[..., Trace]) -> None:
    told: list[tuple[str, int]] = []
    grid = scenarios(policies=["random", "passthrough"])
    sweep(conversations(), grid, lambda label, done: told.append((label, done)))

    assert told == [("random", 40), ("passthrough", 40)]


def test_of_no_scenarios_there_is_an_empty_comparison(conversations: Callable[..., Trace]) -> None:
    comparison = sweep(conversations(), [])

    assert len(comparison) == 0
    assert len(repr(comparison).splitlines()) == 1


def test_an_unknown_policy_ends_the_sweep(conversations: Callable[..., Trace]) -> None:
    with pytest.raises(PolicyUnknown):
        sweep(conversations(), scenarios(policies=["random", "by_colour"]))
