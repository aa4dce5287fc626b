"""Log sinks: nothing that happens to their destination reaches those who log."""

from __future__ import annotations

import io
import threading
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from smg_gateway.observability.sinks import (
    MAX_LINE_CHARACTERS,
    DailyFiles,
    Destination,
    LogSink,
    StreamDestination,
)

TODAY = date(2026, 5, 1)


class Held(Destination):
    """Blocks until it is let go; fails for as long as it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.busy = threading.Event()
        self.failure: Exception | None = None
        self.text = ""
        self.closed = False

    def write(self, text: str) -> None:
        self.busy.set()
        assert self.go_on.wait(10)
        if self.failure is not None:
            raise self.failure
        self.text += text

    def close(self) -> None:
        self.closed = True


def test_lines_come_out_whole_and_in_order() -> None:
    stream = io.StringIO()
    sink = LogSink("s", StreamDestination(stream))

    for number in range(5000):
        sink.write_line(f"line {number}")
    sink.close(10)

    assert stream.getvalue().splitlines() == [f"line {number}" for number in range(5000)]
    assert sink.dropped_lines == 0


def test_a_destination_that_blocks_costs_lines_and_nothing_else() -> None:
    destination = Held()
    sink = LogSink("s", destination, max_lines=10)
    sink.write_line("first")
    assert destination.busy.wait(10)

    for number in range(100):
        sink.write_line(f"{number}")

    assert sink.dropped_lines == 90
    destination.go_on.set()
    sink.close(10)
    assert destination.text.splitlines() == ["first", *(str(number) for number in range(10))]
    assert destination.closed


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), ValueError("closed")])
def test_a_destination_that_fails_costs_lines_until_it_recovers(failure: Exception) -> None:
    destination = Held()
    sink = LogSink("s", destination)
    destination.failure = failure
    sink.write_line("lost")
    assert destination.busy.wait(10)
    destination.go_on.set()
    while not sink.dropped_lines:
        threading.Event().wait(0.001)

    destination.failure = None
    sink.write_line("kept")
    sink.close(10)

    assert (destination.text, sink.dropped_lines) == ("kept\n", 1)


def test_a_process_does_not_wait_for_ever_for_its_last_lines() -> None:
    destination = Held()
    sink = LogSink("s", destination)
    sink.write_line("never written in time")

    sink.close(0.01)

    assert destination.text == ""
    destination.go_on.set()


def test_a_monstrous_line_is_cut() -> None:
    stream = io.StringIO()
    sink = LogSink("s", StreamDestination(stream))

    sink.write_line("x" * 10**6)
    sink.close(10)

    assert len(stream.getvalue()) == MAX_LINE_CHARACTERS + 1


# --- files ---------------------------------------------------------------------------------------


class Days:
    """A calendar that a test turns."""

    def __init__(self, today: date = TODAY) -> None:
        self.today = today

    def __call__(self) -> date:
        return self.today


def files(directory: Path, days: Days, max_bytes: int = 100, max_files: int = 3) -> DailyFiles:
    return DailyFiles(directory, max_bytes=max_bytes, max_files=max_files, today=days)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_each_day_has_its_file_and_the_oldest_are_deleted(tmp_path: Path) -> None:
    days = Days()
    log = files(tmp_path / "made" / "for-it", days)

    for number in range(5):
        log.write(f"day {number}\n")
        days.today += timedelta(days=1)
    log.close()

    directory = tmp_path / "made" / "for-it"
    assert names(directory) == [
        "smg.2026-05-03.log", "smg.2026-05-04.log", "smg.2026-05-05.log",
    ]  # fmt: skip
    assert (directory / "smg.2026-05-05.log").read_text() == "day 4\n"


def test_a_file_that_has_grown_is_followed_by_another_one(tmp_path: Path) -> None:
    log = files(tmp_path, Days(), max_bytes=20)

    for number in range(4):
        log.write(f"line {number} of it\n")
    log.close()

    assert names(tmp_path) == ["smg.2026-05-01.1.log", "smg.2026-05-01.2.log",
                               "smg.2026-05-01.3.log"]  # fmt: skip
    assert (tmp_path / "smg.2026-05-01.3.log").read_text() == "line 3 of it\n"


def test_a_restart_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    for number in range(4):
        log = files(tmp_path, Days(), max_bytes=30)
        log.write(f"run {number} of it\n")
        log.close()

    assert names(tmp_path) == ["smg.2026-05-01.1.log", "smg.2026-05-01.log"]
    assert (tmp_path / "smg.2026-05-01.1.log").read_text() == "run 2 of it\nrun 3 of it\n"


def test_the_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("smg.notes.log", "smg.2026-05-01.x.log", "other.2020-01-01.log", "smg.log"):
        (tmp_path / name).write_text("mine")
    days = Days()
    log = files(tmp_path, days, max_files=1)

    for _ in range(3):
        log.write("x\n")
        days.today += timedelta(days=1)
    log.close()

    assert names(tmp_path) == ["other.2020-01-01.log", "smg.2026-05-01.x.log",
                               "smg.2026-05-03.log", "smg.log", "smg.notes.log"]  # fmt: skip


def test_a_directory_that_goes_away_is_made_again(tmp_path: Path) -> None:
    days = Days()
    log = files(tmp_path / "logs", days)
    log.write("x\n")
    (tmp_path / "logs" / "smg.2026-05-01.log").unlink()
    (tmp_path / "logs").rmdir()
    days.today += timedelta(days=1)

    log.write("y\n")
    log.close()

    assert names(tmp_path / "logs") == ["smg.2026-05-02.log"]


def test_a_full_disk_is_reported_and_writing_goes_on_when_there_is_room(tmp_path: Path) -> None:
    full = tmp_path / "smg.2026-05-01.log"
    full.symlink_to("/dev/full")
    log = files(tmp_path, Days())
    for _ in range(2):
        with pytest.raises(OSError, match="No space left on device"):
            log.write("lost\n")

    full.unlink()
    log.write("kept\n")
    log.close()

    assert full.read_text() == "kept\n"


@given(
    writes=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 1)), min_size=1, max_size=40),
    max_files=st.integers(1, 4),
)
@example_settings(max_examples=40, deadline=None)
def test_whatever_is_written_the_newest_files_hold_the_newest_lines_within_their_bounds(
    writes: list[tuple[int, int]], max_files: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("logs")
    days = Days()
    log = files(directory, days, max_bytes=100, max_files=max_files)
    written = ""
    for size, later in writes:
        days.today += timedelta(days=later)
        line = "x" * size + "\n"
        log.write(line)
        written += line
    log.close()

    def age(path: Path) -> tuple[str, int]:
        day, _, number = path.name.removeprefix("smg.").removesuffix(".log").partition(".")
        return day, int(number or 0)

    kept = sorted(directory.iterdir(), key=age)
    assert 1 <= len(kept) <= max_files
    assert all(path.stat().st_size <= 100 for path in kept)
    assert written.endswith("".join(path.read_text() for path in kept))
