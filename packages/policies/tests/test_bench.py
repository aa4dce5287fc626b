"""The benchmark command runs and reports."""

from __future__ import annotations

import pytest
from smg_policies import POLICY_NAMES
from smg_policies.bench import main


def test_the_command_prints_a_line_per_policy_and_number_of_workers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--characters", "64", "--workers", "1", "3", "--prompts", "3"]) == 0
    speed, _, *lines = capsys.readouterr().out.splitlines()
    assert speed.startswith("XXH3 over 64 characters: ")
    assert len(lines) == 2 * len(POLICY_NAMES)
    assert all(float(figure) > 0 for line in lines for figure in line.split()[1:])
