from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_package_runs_as_a_module(data: Path) -> None:
    command = [sys.executable, "-m", "smg_simulator", str(data / "azure.csv"), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[1].startswith("cache_aware ")
    assert done.stderr == ""


def test_its_status_is_that_of_the_command() -> None:
    command = [sys.executable, "-m", "smg_simulator", "no-such-file.jsonl"]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
