"""Placements by key: expiry and bounds, on a clock that tests move."""

from __future__ import annotations

from smg_kv_index import PlacementIndex


def test_a_placement_counts_until_its_time_is_up() -> None:
    index = PlacementIndex(10)
    index.record([1, 2], "w1", 0)
    assert index.holders(1, 9.9) == ("w1",)
    assert index.holders(1, 10) == ()
    assert index.holders(3, 0) == ()


def test_recording_again_renews_and_makes_it_the_latest() -> None:
    index = PlacementIndex(10)
    index.record([1], "w1", 0)
    index.record([1], "w2", 1)
    index.record([1], "w1", 8)
    assert index.holders(1, 9) == ("w2", "w1")
    assert index.holders(1, 12) == ("w1",)


def test_a_key_keeps_only_its_latest_holders() -> None:
    index = PlacementIndex(10, max_holders=2)
    for number in range(5):
        index.record([1], f"w{number}", 0)
    assert index.holders(1, 1) == ("w3", "w4")


def test_keys_beyond_the_bound_go_least_recently_recorded_first() -> None:
    index = PlacementIndex(10, max_keys=3)
    for key in (1, 2, 3, 1, 4):
        index.record([key], "w1", 0)
    assert len(index) == 3
    assert [key for key in range(1, 5) if index.holders(key, 1)] == [1, 3, 4]


def test_a_sweep_drops_what_no_longer_counts() -> None:
    index = PlacementIndex(10)
    index.record([1], "w1", 0)
    index.record([2], "w1", 5)
    index.sweep(12)
    assert len(index) == 1
    index.sweep(15)
    assert len(index) == 0


def test_a_forgotten_worker_is_gone_from_every_key() -> None:
    index = PlacementIndex(10)
    index.record([1, 2], "w1", 0)
    index.record([2], "w2", 0)
    index.forget("w1")
    assert (len(index), index.holders(2, 1)) == (1, ("w2",))
