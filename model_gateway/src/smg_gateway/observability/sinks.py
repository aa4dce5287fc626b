"""Where log lines end up: written by threads of their own, so that nothing slow holds up the loop.

A sink takes a line in well under a microsecond. When its destination cannot keep up, or fails,
lines are dropped and counted; the gateway goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO, Protocol, TextIO

MAX_LINES = 10_000
MAX_LINE_CHARACTERS = 16 * 1024
"""Together with `MAX_LINES` the bound of the memory that a sink may take."""

BATCH_LINES = 512
FILE_PREFIX = "smg."
FILE_SUFFIX = ".log"


class Destination(Protocol):
    """Takes text; may block, and may fail with OSError or ValueError (closed)."""

    def write(self, text: str) -> None:
        """Write whole lines."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class LogSink:
    """A queue of lines and the thread that writes them to one destination."""

    def __init__(self, name: str, destination: Destination, *, max_lines: int = MAX_LINES) -> None:
        self.name = name
        self.dropped_lines = 0
        self._destination = destination
        self._max_lines = max_lines
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, name=name, daemon=True)
        self._thread.start()

    def write_line(self, line: str) -> None:
        """Queue a line; never blocks."""
        if self._lines.qsize() >= self._max_lines:
            self.dropped_lines += 1
        else:
            self._lines.put(line[:MAX_LINE_CHARACTERS])

    def close(self, timeout_s: float) -> None:
        """Write what is queued, for at most `timeout_s`; the rest is given up."""
        self._lines.put(None)
        self._thread.join(timeout_s)

    def _write(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._take()
            if not batch:
                continue
            try:
                self._destination.write("\n".join(batch) + "\n")
            except (OSError, ValueError):
                self.dropped_lines += len(batch)
        self._destination.close()

    def _take(self) -> tuple[list[str], bool]:
        """What is there, after waiting for the first line; and whether that was the end."""
        batch: list[str] = []
        line = self._lines.get()
        while line is not None:
            batch.append(line)
            if len(batch) == BATCH_LINES:
                return batch, False
            try:
                line = self._lines.get_nowait()
            except Empty:
                return batch, False
        return batch, True


class StreamDestination:
    """A stream of the process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write and flush."""
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        """The stream is not ours to close."""


class DailyFiles:
    """Files of a directory: a new one each day, and whenever one has grown to its limit.

    They are named `smg.2026-05-01.log`, `smg.2026-05-01.1.log` and so on; of all those only the
    newest `max_files` are kept.
    """

    def __init__(
        self, directory: Path, *, max_bytes: int, max_files: int, today: Callable[[], date]
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._today = today
        self._day: date | None = None
        self._number = 0
        self._file: BinaryIO | None = None
        self._size_bytes = 0

    def write(self, text: str) -> None:
        """Append to the current file; a failure lets the next call begin afresh."""
        data = text.encode("utf-8", "replace")
        try:
            self._open_for(len(data)).write(data)
        except OSError:
            self.close()
            raise
        self._size_bytes += len(data)

    def close(self) -> None:
        """Close the current file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open_for(self, size_bytes: int) -> BinaryIO:
        day = self._today()
        if day != self._day:
            self.close()
            self._day, self._number = day, self._latest_number(day)
        elif self._size_bytes and self._size_bytes + size_bytes > self._max_bytes:
            self.close()
            self._number += 1
        if self._file is None:
            self._open(size_bytes)
        assert self._file is not None
        return self._file

    def _open(self, size_bytes: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._path()
        if path.exists() and path.stat().st_size + size_bytes > self._max_bytes:
            self._number += 1
            path = self._path()
        # Unbuffered: a line that is lost when the process dies is the one that was needed.
        self._file = path.open("ab", buffering=0)
        self._size_bytes = path.stat().st_size
        for _, old in sorted(self._known())[: -self._max_files]:
            old.unlink(missing_ok=True)

    def _path(self) -> Path:
        number = f".{self._number}" if self._number else ""
        return self._directory / f"{FILE_PREFIX}{self._day}{number}{FILE_SUFFIX}"

    def _latest_number(self, day: date) -> int:
        return max((number for (known, number), _ in self._known() if known == day), default=0)

    def _known(self) -> list[tuple[tuple[date, int], Path]]:
        """Every file of this kind, with its day and number."""
        found: list[tuple[tuple[date, int], Path]] = []
        for path in self._directory.glob(f"{FILE_PREFIX}*{FILE_SUFFIX}"):
            middle = path.name.removeprefix(FILE_PREFIX).removesuffix(FILE_SUFFIX)
            day, _, number = middle.partition(".")
            try:
                found.append(((date.fromisoformat(day), int(number or "0")), path))
            except ValueError:
                continue  # Somebody else's file.
        return found
