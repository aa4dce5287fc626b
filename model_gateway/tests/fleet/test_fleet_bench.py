"""The benchmark of large fleets measures something that works."""

from __future__ import annotations

import runpy
from pathlib import Path

BENCH = Path(__file__).parents[2] / "benches" / "fleet.py"


def test_the_fleet_benchmark_probes_swaps_and_chooses() -> None:
    figures = runpy.run_path(str(BENCH))["measure"](20, 1, 1.2)

    assert figures.probes >= 20
    assert figures.swap_s > 0
    assert figures.decision_s > 0
    assert "of a core" in str(figures)
