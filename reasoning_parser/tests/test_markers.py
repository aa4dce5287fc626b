"""Markers: every proper beginning is one that may still become whole, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_reasoning_parser._markers import (  # noqa: PLC2701 - laws of their own
    Gap,
    Marker,
    compile_markers,
)

LABELLED = Marker("<a:", Gap(r"[^<>]", 1, 4), ">")
SPACED = Marker("<|", Gap(r"\s", 0, 2), "b", Gap(r"\s", 0, 2), "|>")
PLAIN = Marker("<abc>")
WHOLES = {"<abc>": PLAIN, "<a:xy>": LABELLED, "<| b|>": SPACED, "<|b|>": SPACED}


@pytest.mark.parametrize(("whole", "marker"), WHOLES.items())
def test_each_proper_beginning_is_held_and_the_whole_is_found(whole: str, marker: Marker) -> None:
    pattern = compile_markers([[marker]])

    for length in range(1, len(whole)):
        held = pattern.search("text " + whole[:length])
        assert held is not None
        assert (held.group(), held.lastindex) == (whole[:length], 2)
    found = pattern.search("text " + whole + " more")
    assert found is not None
    assert (found.group(), found.lastindex) == (whole, 1)


@pytest.mark.parametrize("text", ["<abd", "<a:xyzuv", "<a:>", "<|   b", "abc>", ""])
def test_what_cannot_become_whole_is_not_held(text: str) -> None:
    assert compile_markers([[PLAIN], [LABELLED], [SPACED]]).search(text) is None


def test_without_markers_nothing_is_found() -> None:
    assert compile_markers([]).search("<abc>") is None


@given(st.text(alphabet="<abc:xy |>", max_size=12))
def test_a_text_is_held_exactly_if_some_continuation_makes_it_whole(text: str) -> None:
    pattern = compile_markers([[LABELLED], [PLAIN]])
    held = pattern.fullmatch(text)
    endings = ("<abc>"[len(text) :], ">", "x>", ":x>", "a:x>")
    beginnings = [text + ending for ending in endings if ending]

    may_become = any(pattern.fullmatch(begun) is not None for begun in beginnings) and bool(text)

    assert (held is not None and held.lastindex == 3) is (
        may_become and not (held is not None and held.lastindex != 3)
    )
