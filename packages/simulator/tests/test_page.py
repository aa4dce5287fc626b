from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from smg_simulator import Comparison, Trace, TraceBuilder, scenarios, simulate, sweep
from smg_simulator.page import html_page

VOID = {"meta"}


class Outline(HTMLParser):
    """Checks that tags match, and keeps headings and outside addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser


@pytest.fixture
def comparison(conversations: Callable[..., Trace]) -> Comparison:
    return sweep(conversations(), scenarios(policies=["cache_aware", "random"], workers=[2]))


def test_a_page_is_well_formed_and_needs_no_other_file(comparison: Comparison) -> None:
    page = comparison.page()
    found = outline(page)

    assert found.addresses == []
    assert "script" not in found.tags
    assert "url(" not in page
    assert "@import" not in page


def test_a_page_has_all_plots_with_a_curve_for_each_policy(comparison: Comparison) -> None:
    page = comparison.page()
    names = re.findall(r"<figure><h2>(.*?)</h2>", page)

    assert names == [
        "Prefix cache hit rate",
        "Most to mean work per worker",
        "Time to first token, by percentile",
        "Time to the end, by percentile",
        "Hit rate over time",
        "Imbalance over time",
        "Mean wait for prefill over time",
    ]
    for figure in page.split("<figure>")[3:]:
        assert "<title>cache_aware</title>" in figure
        assert "<title>random</title>" in figure


def test_every_colour_in_use_is_defined_for_light_and_dark(comparison: Comparison) -> None:
    page = comparison.page()

    for number in range(8):
        assert page.count(f".s{number}{{--c:#") == 2


def test_a_page_tells_why_policies_chose(comparison: Comparison) -> None:
    assert "prefix believed cached here" in comparison.page()
    assert "uniform random choice" in comparison.page()


def test_names_from_outside_are_escaped() -> None:
    builder = TraceBuilder("<script>alert(1)</script>", credit="A & B")
    builder.add(0.0, 10, 1)
    result = simulate(builder.build(), "random")
    page = html_page([("<b>label</b>", result)])

    assert "script" not in outline(page).tags
    assert "<b>" not in page
    assert "A &amp; B" in page


def test_a_title_may_be_given(comparison: Comparison) -> None:
    assert "<h1>Monday</h1>" in comparison.page("Monday")
    assert "<h1>Routing policies on chats</h1>" in comparison.page()


def test_an_empty_trace_still_makes_a_page() -> None:
    result = simulate(TraceBuilder().build(), "random")

    outline(html_page([("random", replace(result))]))
