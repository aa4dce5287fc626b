"""Restarting a child process when sources change."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

# The child says that it started, then waits for its signal and ends with 0.
PATIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
print("started", flush=True)
signal.pause()
"""

RELOADER = """
import sys
from pathlib import Path
from smg_gateway.cli.reloading import Reloader
print("watching", flush=True)
sys.exit(Reloader([sys.executable, *sys.argv[2:]], [Path(sys.argv[1])], poll_s=0.02).run())
"""


class Watch:
    """A running reloader and what its children print."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.process = process
        self._output = output

    def next_line(self) -> str:
        return self._output.readline().rstrip()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait()


@contextmanager
def reloading(root: Path, *child: str) -> Iterator[Watch]:
    command = [sys.executable, "-c", RELOADER, str(root), *child]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        watch = Watch(process, process.stdout)
        try:
            assert watch.next_line() == "watching"
            yield watch
        finally:
            if process.poll() is None:
                process.terminate()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "package" / "module.py"
    path.parent.mkdir()
    path.write_text("VALUE = 1\n")
    return path


def test_a_changed_source_file_starts_a_new_child(tmp_path: Path, source: Path) -> None:
    with reloading(tmp_path, "-c", PATIENT) as watch:
        assert watch.next_line() == "started"

        source.write_text("VALUE = 2\n")

        assert watch.next_line() == "started"
        assert watch.end(signal.SIGTERM) == 0


def test_a_new_source_file_starts_a_new_child(tmp_path: Path, source: Path) -> None:
    with reloading(tmp_path, "-c", PATIENT) as watch:
        assert watch.next_line() == "started"

        source.with_name("another.py").write_text("")

        assert watch.next_line() == "started"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_child_and_then_the_watch(tmp_path: Path, number: signal.Signals) -> None:
    with reloading(tmp_path, "-c", PATIENT) as watch:
        assert watch.next_line() == "started"

        assert watch.end(number) == 0
        assert watch.next_line() == ""


def test_a_child_that_ends_well_ends_the_watch(tmp_path: Path) -> None:
    with reloading(tmp_path, "-c", "") as watch:
        assert watch.process.wait() == 0


def test_a_child_that_fails_is_started_again_at_the_next_change(
    tmp_path: Path, source: Path
) -> None:
    source.write_text("print('broken', flush=True)\nraise SystemExit(3)\n")

    with reloading(tmp_path, str(source)) as watch:
        assert watch.next_line() == "broken"

        source.write_text("print('mended', flush=True)\n")

        assert watch.next_line() == "mended"
        assert watch.process.wait() == 0


def test_a_child_killed_by_the_signal_counts_like_in_a_shell(tmp_path: Path) -> None:
    stubborn = "import signal; print('started', flush=True); signal.pause()"

    with reloading(tmp_path, "-c", stubborn) as watch:
        assert watch.next_line() == "started"

        assert watch.end(signal.SIGTERM) == 128 + signal.SIGTERM
