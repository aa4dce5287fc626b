"""Several replays of one trace, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any

from smg_simulator.formats import read_trace
from smg_simulator.page import html_page
from smg_simulator.result import TABLE_HEAD, Result, table_rows
from smg_simulator.scenario import Scenario, labels
from smg_simulator.simulation import run
from smg_simulator.table import html_table, text_table
from smg_simulator.trace import Trace

__all__ = ("Comparison", "SweepProgress", "sweep")

SweepProgress = Callable[[str, int], None]
"""Told which scenario is being replayed, and how many of its requests have arrived."""


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Results with a label each, in the order of their scenarios.

    Its text form is a table, its HTML form the same; `page()` is a whole page with plots.
    """

    labels: tuple[str, ...]
    results: tuple[Result, ...]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[tuple[str, Result]]:
        return zip(self.labels, self.results, strict=True)

    def __getitem__(self, label: str) -> Result:
        return dict(self)[label]

    def __repr__(self) -> str:
        return text_table(self.head, self.rows)

    def _repr_html_(self) -> str:
        return html_table(self.head, self.rows)

    @property
    def head(self) -> tuple[str, ...]:
        """The names of the table's columns."""
        return TABLE_HEAD

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table's rows."""
        return table_rows(list(self))

    def page(self, title: str | None = None) -> str:
        """One HTML page with table and plots that needs no other file. Not for an empty one."""
        return html_page(list(self), title)

    def as_dict(self) -> dict[str, Any]:
        """Labels and results as JSON has them."""
        return {"results": [{"label": label, **result.as_dict()} for label, result in self]}


def sweep(
    trace: Trace | str | PathLike[str],
    compared: Iterable[Scenario],
    progress: SweepProgress | None = None,
) -> Comparison:
    """Replay the trace (or the file of one) through each scenario; see `scenarios` for grids.

    Raises what `simulate` raises.
    """
    trace = trace if isinstance(trace, Trace) else read_trace(trace)
    compared = tuple(compared)
    names = tuple(labels(compared))
    results = tuple(
        run(trace, scenario, None if progress is None else partial(progress, name))
        for name, scenario in zip(names, compared, strict=True)
    )
    return Comparison(names, results)
