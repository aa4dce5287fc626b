"""Charts as SVG text: lines and bars, in colours that the page around them defines."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

__all__ = ("COLOURS", "Axis", "Line", "Scale", "bar_chart", "line_chart", "nice_ticks")

COLOURS = 8
"""Series take the classes `s0` to `s7` in turn; from the ninth on their lines are dashed."""

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 40
ROW_HEIGHT, BAR_HEIGHT = 36, 14
VALUE_WIDTH = 72
TICKS = 5
SMALLEST = 1e-9
"""Differences below it are none, and no logarithmic axis starts lower: rounding, not data."""

Point = tuple[float, float]


class Scale(enum.Enum):
    """How values are spread along an axis."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A labelled axis; `show` writes its numbers, and `low` is where it starts unless data do."""

    label: str
    show: Callable[[float], str]
    scale: Scale = Scale.LINEAR
    low: float | None = None


class Line(NamedTuple):
    """A named curve; points with a NaN break it."""

    label: str
    points: Sequence[Point]


class _Range(NamedTuple):
    low: float
    high: float
    scale: Scale

    def share(self, value: float) -> float:
        """Where between the ends a value lies, 0 to 1; what is below the low end lies on it."""
        low, high, value = self.low, self.high, max(value, self.low)
        if self.scale is Scale.LOGARITHMIC:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return (value - low) / (high - low)


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about `TICKS` of them."""
    raw = (high - low) / TICKS if high - low > SMALLEST else 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def line_chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """An `<svg>` of the curves, with axes, and a tooltip on each curve."""
    points = [point for line in lines for point in line.points if _drawn(point)]
    xs, x_ticks = _range(x, (at for at, _ in points))
    # Across, curves may end at the frame: no empty space for the sake of a round number.
    end = max((at for at, _ in points), default=xs.high)
    if end > xs.low:
        xs, x_ticks = xs._replace(high=end), [tick for tick in x_ticks if tick <= end]
    ys, y_ticks = _range(y, (value for _, value in points))
    parts = [*_grid(x, xs, x_ticks, y, ys, y_ticks)]
    for number, line in enumerate(lines):
        for run in _runs(line.points):
            places = " ".join(f"{_across(xs, at):.1f},{_up(ys, value):.1f}" for at, value in run)
            parts.append(
                f'<polyline class="line {_paint(number)}" points="{places}">'
                f"<title>{escape(line.label)}</title></polyline>"
            )
    return _svg(title, WIDTH, HEIGHT, parts)


def bar_chart(
    title: str,
    bars: Sequence[tuple[str, float]],
    show: Callable[[float], str],
    reference: tuple[str, float] | None = None,
) -> str:
    """An `<svg>` of one horizontal bar for each label, with a marked line at `reference`."""
    values = [value for _, value in bars if not math.isnan(value)]
    top = max([*values, reference[1] if reference else 0.0, 1e-12])
    length = WIDTH - VALUE_WIDTH
    foot = TOP + ROW_HEIGHT * len(bars)
    parts: list[str] = []
    for number, (label, value) in enumerate(bars):
        y = TOP + ROW_HEIGHT * number
        missing = math.isnan(value)
        width = 0.0 if missing else length * value / top
        shown = "-" if missing else escape(show(value))
        parts.append(
            f'<text x="0" y="{y + 10}">{escape(label)}</text>'
            f'<rect class="bar {_paint(number)}" x="0" y="{y + 15}" '
            f'width="{width:.1f}" height="{BAR_HEIGHT}"/>'
            f'<text x="{width + 6:.1f}" y="{y + BAR_HEIGHT + 12}">{shown}</text>'
        )
    if reference:
        name, value = reference
        at = length * value / top
        parts.append(
            f'<path class="mark" d="M{at:.1f} {TOP}V{foot}"/>'
            f'<text x="{at:.1f}" y="{foot + 16}" text-anchor="end">'
            f"{escape(name)} {escape(show(value))}</text>"
        )
    return _svg(title, WIDTH, foot + (BOTTOM if reference else TOP), parts)


def _drawn(point: Point) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _runs(points: Iterable[Point]) -> Iterator[list[Point]]:
    run: list[Point] = []
    for point in points:
        if _drawn(point):
            run.append(point)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _range(axis: Axis, values: Iterable[float]) -> tuple[_Range, list[float]]:
    found = list(values) or [0.0, 1.0]
    low = min(found) if axis.low is None else axis.low
    high = max(*found, low)
    if axis.scale is Scale.LOGARITHMIC:
        low = max(low, SMALLEST)
        first = math.floor(math.log10(low) + 1e-9)
        last = max(math.ceil(math.log10(max(high, low)) - 1e-9), first + 1)
        ticks = [10.0**power for power in range(first, last + 1)]
    else:
        ticks = nice_ticks(low, high)
    return _Range(ticks[0], ticks[-1], axis.scale), ticks


def _across(along: _Range, value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * along.share(value)


def _up(along: _Range, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * along.share(value)


def _grid(
    x: Axis, xs: _Range, x_ticks: list[float], y: Axis, ys: _Range, y_ticks: list[float]
) -> Iterator[str]:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in y_ticks:
        at = _up(ys, tick)
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{right}"/>'
        yield (
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{escape(y.show(tick))}</text>'
        )
    for tick in x_ticks:
        at = _across(xs, tick)
        yield f'<path class="grid" d="M{at:.1f} {floor}v4"/>'
        yield (
            f'<text x="{at:.1f}" y="{floor + 18}" text-anchor="middle">'
            f"{escape(x.show(tick))}</text>"
        )
    yield f'<text x="{right}" y="{HEIGHT - 6}" text-anchor="end">{escape(x.label)}</text>'
    yield f'<text x="{LEFT + 6}" y="{TOP + 4}">{escape(y.label)}</text>'


def _paint(number: int) -> str:
    dashed = " dashed" if number // COLOURS % 2 else ""
    return f"s{number % COLOURS}{dashed}"


def _svg(title: str, width: int, height: float, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
