"""A progress bar where somebody can see it: on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TextIO

from smg_simulator.comparison import SweepProgress

__all__ = ("shown_progress",)

BAR_CHARACTERS = 24


@contextmanager
def shown_progress(total: int, out: TextIO) -> Iterator[SweepProgress | None]:
    """Shows on `out` how far each replay of `total` requests is; None where that is no terminal.

    Drawn by rich where it is installed, else as one line that is overwritten.
    """
    if not out.isatty():
        yield None
    elif find_spec("rich") is None:
        try:
            yield _PlainBar(total, out)
        finally:
            out.write("\r\x1b[K")
            out.flush()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=Console(file=out), transient=True) as bars:
            task = bars.add_task("", total=total)
            yield lambda label, done: bars.update(task, description=label, completed=done)


class _PlainBar:
    def __init__(self, total: int, out: TextIO) -> None:
        self._total = total
        self._out = out

    def __call__(self, label: str, done: int) -> None:
        filled = BAR_CHARACTERS * done // max(1, self._total)
        bar = "#" * filled + "-" * (BAR_CHARACTERS - filled)
        self._out.write(f"\r\x1b[K{label} [{bar}] {done}/{self._total}")
        self._out.flush()
