"""Markers are found across chunk borders, and no more is held back than could become one."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from smg_tool_parser import TextDelta
from smg_tool_parser.scanning import Markers, until
from smg_tool_parser.tape import Grammar, Style, Tape
from smg_tool_parser.tools import ToolSchemas

MARKERS = Markers("<a>", "<ab>", "b<")


def split(chunks: list[str], held: list[int] | None = None) -> tuple[str, list[str]]:
    """The text between the markers, and the markers."""
    tape = Tape(ToolSchemas(), Style(), lambda index, name: "", lossless=False, markup=False)
    found: list[str] = []

    def grammar() -> Grammar:
        while word := (yield from until(tape, MARKERS, tape.text)):
            found.append(word)
            tape.read(len(word))

    running = grammar()
    for chunk in chunks:
        tape.push(chunk)
        next(running)
        if held is not None:
            held.append(tape.unread_chars)
    tape.ended = True
    assert next(running, None) is None
    shown = [event.text for event in tape.drain() if isinstance(event, TextDelta)]
    return "".join(shown), found


def test_a_marker_is_found_in_pieces() -> None:
    assert split(["x<", "a", ">y"]) == ("xy", ["<a>"])


def test_the_longer_of_two_markers_is_awaited() -> None:
    assert split(["<a", "b", ">"]) == ("", ["<ab>"])


def test_an_unfinished_marker_is_text_at_the_end() -> None:
    assert split(["x<a"]) == ("x<a", [])


@given(st.lists(st.text(alphabet="<ab>x", max_size=5), max_size=12))
def test_markers_are_those_of_the_whole_text(chunks: list[str]) -> None:
    text = "".join(chunks)
    pattern = "<ab>|<a>|b<"
    held: list[int] = []
    assert split(chunks, held) == (re.sub(pattern, "", text), re.findall(pattern, text))
    assert all(count < MARKERS.longest_chars for count in held)
