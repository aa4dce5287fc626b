from __future__ import annotations

import pytest
from smg_mock_worker import EngineTiming
from smg_policies import CacheAwarePolicy, PolicyConfig
from smg_simulator import DEFAULT_TIMING, Outage, Scenario, scenarios
from smg_simulator.scenario import labels

SLOW = EngineTiming(prefill_tokens_per_s=100)


def test_one_timing_is_that_of_every_worker() -> None:
    assert Scenario(workers=3, timing=SLOW).timings == (SLOW, SLOW, SLOW)
    assert Scenario(workers=2, timing=(SLOW, DEFAULT_TIMING)).timings == (SLOW, DEFAULT_TIMING)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"workers": 0}, "a worker and an attempt"),
        ({"max_attempts": 0}, "a worker and an attempt"),
        ({"workers": 3, "timing": (SLOW, SLOW)}, "2 timings do not fit 3 workers"),
        ({"cache_blocks": -1}, "cache_blocks"),
        ({"session_block": -1}, "session_block"),
        ({"characters_per_token": 0.0}, "characters_per_token"),
        ({"characters_per_token": float("nan")}, "characters_per_token"),
        ({"report_interval_s": 0.0}, "report_interval_s"),
        ({"workers": 2, "outages": (Outage(worker=2, start_s=0.0),)}, "no worker 2 among 2"),
    ],
)
def test_what_cannot_be_simulated_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Scenario(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("worker", "start_s", "end_s"), [(-1, 0, 1), (0, -1, 1), (0, 2, 2)])
def test_an_outage_begins_before_it_ends(worker: int, start_s: float, end_s: float) -> None:
    with pytest.raises(ValueError, match="not an outage"):
        Outage(worker=worker, start_s=start_s, end_s=end_s)


def test_settings_are_those_that_are_not_preset() -> None:
    config = PolicyConfig(cache_threshold=0.5, block_size=16)

    assert Scenario(config=config).settings == {"cache_threshold": 0.5}


def test_a_grid_has_every_combination() -> None:
    grid = scenarios(
        Scenario(cache_blocks=7),
        policies=["random", "cache_aware"],
        workers=[2, 4],
        seeds=[1, 2],
        settings={"cache_threshold": [0.1, 0.2, 0.3]},
    )

    assert len({(s.policy, s.workers, s.seed, s.config.cache_threshold) for s in grid}) == 24
    assert {scenario.cache_blocks for scenario in grid} == {7}


def test_a_grid_without_values_is_its_base() -> None:
    base = Scenario(policy="random", workers=3, seed=9)

    assert scenarios(base) == [base]
    assert scenarios() == [Scenario()]


def test_a_setting_that_no_policy_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no policy has a setting 'colour'"):
        scenarios(settings={"colour": ["red"]})


def test_labels_tell_what_differs_and_nothing_else() -> None:
    grid = scenarios(
        Scenario(workers=4), policies=["random"], seeds=[1, 2], settings={"block_size": [16, 32]}
    )

    assert labels(grid[:1]) == ["random"]
    assert labels([]) == []
    assert labels(grid) == [
        "random seed=1 block_size=16",
        "random seed=1 block_size=32",
        "random seed=2 block_size=16",
        "random seed=2 block_size=32",
    ]


def test_labels_tell_fleets_apart() -> None:
    fast = Scenario(workers=2, outages=(Outage(worker=0, start_s=1.0),))
    mixed = Scenario(workers=2, timing=(SLOW, DEFAULT_TIMING))

    assert labels([fast, mixed]) == [
        "cache_aware timing=8000tok/s+20ms outages=1",
        "cache_aware timing=100tok/s+0ms 8000tok/s+20ms outages=0",
    ]


def test_a_policy_may_be_given_as_what_makes_it() -> None:
    assert Scenario(policy=CacheAwarePolicy).policy_name == "CacheAwarePolicy"
    assert labels([Scenario(policy=CacheAwarePolicy)]) == ["CacheAwarePolicy"]
