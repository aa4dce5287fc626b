from __future__ import annotations

from pathlib import Path

import pytest
from smg_policies import POLICY_NAMES
from smg_simulator.bench import main


def test_the_command_prints_a_rate_for_every_policy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--requests", "40", "--rounds", "1"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()

    assert head.startswith("made up: 40 requests, ")
    assert [line.split()[0] for line in lines] == list(POLICY_NAMES)
    assert all(float(line.split()[1].replace(",", "")) > 0 for line in lines)


def test_a_trace_and_the_policies_may_be_named(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = str(data / "conversations.jsonl")
    assert main([trace, "--rounds", "1", "--policies", "cache_aware"]) == 0
    head, line = capsys.readouterr().out.splitlines()

    assert head.startswith("conversations: 60 requests")
    assert "% cached, max/mean work" in line
