"""The benchmark command runs and reports."""

from __future__ import annotations

import pytest
from smg_kv_index.bench import main


def test_the_command_prints_one_figure_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--prompts", "4", "--tokens", "64", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert all(float(line.split(" us ")[0]) > 0 for line in lines)
