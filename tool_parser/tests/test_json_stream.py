"""The JSON scanner: exact, incremental, and able to complete what it passed on."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_tool_parser import complete_json
from smg_tool_parser.json_stream import MAX_DEPTH, JsonRelay, is_json, skip_value

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
LAYOUTS = st.sampled_from([(None, (", ", ": ")), (None, (",", ":")), (2, (" , ", " :\t"))])


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    indent, separators = draw(LAYOUTS)
    return json.dumps(
        draw(JSON_VALUES), indent=indent, separators=separators, ensure_ascii=draw(st.booleans())
    )


def relayed(text: str, cuts: list[int]) -> tuple[str, JsonRelay]:
    relay = JsonRelay()
    passed: list[str] = []
    bounds = [0, *sorted(cuts), len(text)]
    for start, end in pairwise(bounds):
        _, fragment = relay.scan(text[start:end], 0)
        passed.append(fragment)
    relay.scanner.finish()
    return "".join(passed), relay


@given(json_texts(), st.data())
def test_valid_json_passes_unchanged_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    passed, relay = relayed(text, cuts)
    assert (passed, relay.scanner.done, relay.scanner.failed) == (text, True, False)


@given(json_texts(), st.data())
def test_any_beginning_of_json_can_be_completed(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    json.loads(complete_json(text[:cut]))


@given(st.text(alphabet='{}[]",:\\ -+.eE0123456789truefalsn\n\tu'))
def test_the_scanner_accepts_what_the_standard_library_accepts(text: str) -> None:
    try:
        json.loads(text)
        valid = True
    except ValueError:
        valid = False
    assert is_json(text) == valid


@given(st.text(alphabet='{}[]",:\\ 01eutrn', max_size=30), st.data())
def test_failing_does_not_depend_on_the_cuts(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    whole, once = relayed(text, [])
    passed, relay = relayed(text, cuts)
    assert (passed, relay.scanner.failed) == (whole, once.scanner.failed)
    assert relay.scanner.ending() == once.scanner.ending()


@pytest.mark.parametrize(
    ("prefix", "completed"),
    [
        ("", "null"),
        ('{"a": 1, "b', '{"a": 1, "b":null}'),
        ('{"a": 1,', '{"a": 1}'),
        ('{"a":', '{"a":null}'),
        ("[1, 2", "[1, 2]"),
        ("[1, ", "[1]"),
        ("[[", "[[]]"),
        ('"half \\u00e', '"half "'),
        ('"pair \\ud83d', '"pair "'),
        ("tru", "true"),
        ("-", "-0"),
        ("1.", "1.0"),
        ("1e", "1e0"),
        ('{"a": 1} and more', '{"a": 1}'),
    ],
)
def test_a_prefix_is_completed(prefix: str, completed: str) -> None:
    assert complete_json(prefix) == completed


@pytest.mark.parametrize("text", ["oops", "{1", "[,", '"a\nb"', "{'a': 1}", '"\\x"'])
def test_what_begins_no_json_cannot_be_completed(text: str) -> None:
    with pytest.raises(ValueError, match="not the beginning"):
        complete_json(text)


def test_depth_is_bounded_without_recursion() -> None:
    fine = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert skip_value(fine, 0) == len(fine)
    assert skip_value("[" + fine + "]", 0) == -1
    assert skip_value("[" * 1_000_000, 0) == -1


def test_a_number_ends_where_it_cannot_go_on() -> None:
    assert skip_value("12, 3", 0) == 2
    assert skip_value("01", 0) == 1
    assert skip_value("1.e", 0) == -1
