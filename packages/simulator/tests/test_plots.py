from __future__ import annotations

import math
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from smg_simulator.plots import Axis, Line, Scale, bar_chart, line_chart, nice_ticks

X = Axis(label="x", show=str)
Y = Axis(label="y", show=str)
LOG = Axis(label="s", show=str, scale=Scale.LOGARITHMIC)

FINITE = st.floats(-1e6, 1e6) | st.just(math.nan)


def elements(svg: str, kind: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(kind))


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in line.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_even_and_enclose_the_range(low: float, width: float) -> None:
    ticks = nice_ticks(low, low + width)

    slack = (ticks[1] - ticks[0]) * 1e-6
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + width - slack
    assert 2 <= len(ticks) <= 8


def test_ticks_of_a_single_value_still_enclose_it() -> None:
    assert nice_ticks(3.0, 3.0) == [3.0, 4.0]


def test_a_higher_value_is_drawn_higher() -> None:
    svg = line_chart("t", X, Y, [Line("up", [(0.0, 1.0), (1.0, 2.0)])])
    (line,) = elements(svg, "polyline")
    (left, low), (right, high) = points(line)

    assert left < right
    assert low > high, "SVG counts from the top"
    assert [each.text for each in line.iter("title")] == ["up"]


def test_decades_are_evenly_spaced_on_a_logarithmic_axis() -> None:
    svg = line_chart("t", X, LOG, [Line("a", [(0.0, 0.1), (1.0, 1.0), (2.0, 10.0)])])
    heights = [y for _, y in points(elements(svg, "polyline")[0])]

    assert heights[0] - heights[1] == heights[1] - heights[2] > 0


def test_a_gap_breaks_a_curve() -> None:
    gap = [(0.0, 1.0), (1.0, math.nan), (2.0, 2.0), (3.0, 1.0)]
    runs = elements(line_chart("t", X, Y, [Line("a", gap)]), "polyline")

    assert [len(points(run)) for run in runs] == [1, 2]


def test_series_have_colours_in_turn_and_then_dashes() -> None:
    lines = [Line(f"{number}", [(0.0, 1.0), (1.0, number)]) for number in range(9)]
    classes = [line.attrib["class"] for line in elements(line_chart("t", X, Y, lines), "polyline")]

    assert classes[0] == "line s0"
    assert classes[7] == "line s7"
    assert classes[8] == "line s0 dashed"


@given(st.lists(st.lists(st.tuples(st.floats(0, 1e4), FINITE), max_size=5), max_size=4))
def test_curves_stay_inside_the_frame(curves: list[list[tuple[float, float]]]) -> None:
    lines = [Line("<&>", curve) for curve in curves]
    for axis in (Y, LOG):
        for line in elements(line_chart('a "b"', X, axis, lines), "polyline"):
            for x, y in points(line):
                assert 0 <= x <= 640
                assert 0 <= y <= 300


def test_bars_are_as_long_as_their_values() -> None:
    bars = [("half", 0.2), ("whole", 0.4), ("none", math.nan)]
    svg = bar_chart("t", bars, "{:.0%}".format, ("best", 0.4))
    half, whole, none = (float(bar.attrib["width"]) for bar in elements(svg, "rect"))
    texts = [text.text for text in elements(svg, "text")]

    assert (half * 2, none) == (whole, 0)
    assert texts == ["half", "20%", "whole", "40%", "none", "-", "best 40%"]


def test_bars_without_values_are_still_a_picture() -> None:
    assert len(elements(bar_chart("t", [("a", 0.0)], str), "rect")) == 1
