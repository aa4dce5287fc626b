"""Counters, gauges and histograms.

The hot path increments plain attributes of objects it has already looked up; nothing is locked,
formatted or allocated until a scrape asks, which hands the figures to prometheus-client. Names,
labels and buckets are SMG's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

DURATION_BUCKETS_S: tuple[float, ...] = (
    *(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 45.0),
    *(60.0, 90.0, 120.0, 180.0, 240.0, 300.0, 480.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0),
    *(5400.0, 7200.0),
)
BACKOFF_BUCKETS_S: tuple[float, ...] = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
MATCH_RATIO_BUCKETS: tuple[float, ...] = tuple(tenths / 10 for tenths in range(11))
QUANTILES = (0, 0.5, 0.9, 0.95, 0.99, 0.999, 1)
SUMMARY_WINDOW = 1024
"""Values that the quantiles of a summary are taken from."""

MAX_MODEL_LABELS = 1024
"""Distinct `model` values before further ones are counted as `other`."""


MAX_MODEL_LABEL_CHARACTERS = 256
"""A longer model name is counted as `other`: wildcard workers take whatever clients write."""


class Cell:
    """One series of a counter or gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add `amount`."""
        self.value += amount

    def set(self, value: float) -> None:
        """Replace the value."""
        self.value = value


class HistogramCell:
    """One series of a histogram."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count `value` in its bucket."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Family:
    """A counter or gauge and its series by label values."""

    def __init__(self, kind: str, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.help_text = help_text
        self.labels = tuple(labels)
        self._cells: dict[tuple[str, ...], Cell] = {}

    def of(self, *values: str) -> Cell:
        """The series with these label values, made on first use."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = Cell()
        return cell

    def metric(self) -> Metric:
        """All series as prometheus-client wants them."""
        metric = Metric(self.name.removesuffix("_total"), self.help_text, self.kind)
        for values, cell in self._cells.items():
            metric.add_sample(self.name, dict(zip(self.labels, values, strict=True)), cell.value)
        return metric

    def __len__(self) -> int:
        return len(self._cells)


class HistogramFamily:
    """A histogram and its series by label values."""

    kind = "histogram"

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self.name = name
        self.help_text = help_text
        self.labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._cells: dict[tuple[str, ...], HistogramCell] = {}

    def of(self, *values: str) -> HistogramCell:
        """The series with these label values, made on first use."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = HistogramCell(self._bounds)
        return cell

    def metric(self) -> Metric:
        """All series as prometheus-client wants them."""
        metric = Metric(self.name, self.help_text, self.kind)
        for values, cell in self._cells.items():
            labels = dict(zip(self.labels, values, strict=True))
            total = 0
            for bound, count in zip((*self._bounds, None), cell.counts, strict=True):
                total += count
                shown = "+Inf" if bound is None else f"{bound:g}"
                metric.add_sample(f"{self.name}_bucket", {**labels, "le": shown}, total)
            metric.add_sample(f"{self.name}_sum", labels, cell.sum)
            metric.add_sample(f"{self.name}_count", labels, total)
        return metric

    def __len__(self) -> int:
        return len(self._cells)


class SummaryCell:
    """One series of a summary: its quantiles are those of the latest `SUMMARY_WINDOW` values."""

    __slots__ = ("count", "recent", "sum")

    def __init__(self) -> None:
        self.recent: deque[float] = deque(maxlen=SUMMARY_WINDOW)
        self.count = 0
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Take a value in."""
        self.recent.append(value)
        self.count += 1
        self.sum += value


class SummaryFamily:
    """A summary and its series by label values."""

    kind = "summary"

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        self.name = name
        self.help_text = help_text
        self.labels = tuple(labels)
        self._cells: dict[tuple[str, ...], SummaryCell] = {}

    def of(self, *values: str) -> SummaryCell:
        """The series with these label values, made on first use."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = SummaryCell()
        return cell

    def metric(self) -> Metric:
        """All series as prometheus-client wants them."""
        metric = Metric(self.name, self.help_text, self.kind)
        for values, cell in self._cells.items():
            labels = dict(zip(self.labels, values, strict=True))
            ordered = sorted(cell.recent)
            for quantile in QUANTILES:
                at = min(int(quantile * len(ordered)), len(ordered) - 1)
                value = ordered[at] if ordered else 0.0
                metric.add_sample(self.name, {**labels, "quantile": f"{quantile:g}"}, value)
            metric.add_sample(f"{self.name}_sum", labels, cell.sum)
            metric.add_sample(f"{self.name}_count", labels, cell.count)
        return metric

    def __len__(self) -> int:
        return len(self._cells)


class Exposition(Collector):
    """All families of a process; gauges of live state are refreshed at each scrape."""

    def __init__(self) -> None:
        self._families: list[Family | HistogramFamily | SummaryFamily] = []
        self._refreshers: list[Callable[[], None]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Family:
        """Declare a counter."""
        return self._add(Family("counter", name, help_text, labels))

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Family:
        """Declare a gauge."""
        return self._add(Family("gauge", name, help_text, labels))

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> HistogramFamily:
        """Declare a histogram with upper bounds `bounds` (ascending, without +Inf)."""
        family = HistogramFamily(name, help_text, labels, bounds)
        self._families.append(family)
        return family

    def summary(self, name: str, help_text: str, labels: Sequence[str] = ()) -> SummaryFamily:
        """Declare a summary."""
        family = SummaryFamily(name, help_text, labels)
        self._families.append(family)
        return family

    @property
    def families(self) -> Sequence[Family | HistogramFamily | SummaryFamily]:
        """All families declared so far."""
        return self._families

    def on_scrape(self, refresh: Callable[[], None]) -> None:
        """Call `refresh` before each rendering."""
        self._refreshers.append(refresh)

    def collect(self) -> Iterator[Metric]:
        """All families that have a series."""
        for family in self._families:
            if len(family):
                yield family.metric()

    def describe(self) -> Iterator[Metric]:
        """Nothing: names are not checked against other collectors."""
        return iter(())

    def render(self) -> bytes:
        """The Prometheus text format, version 0.0.4."""
        for refresh in self._refreshers:
            refresh()
        return generate_latest(self._registry)

    def _add(self, family: Family) -> Family:
        self._families.append(family)
        return family
