"""Python literals become JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_tool_parser.python_literals import call_list, literal_json

from .reading import value_of

LITERALS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", max_size=3), inner),
    max_leaves=10,
)


@given(LITERALS)
def test_what_python_prints_is_read_back(value: object) -> None:
    read = literal_json(repr(value))
    assert read is not None
    assert json.loads(read) == value


@given(st.text(alphabet="[](){}'\"\\ ,:=+-.0123456789abrxTrueNone\n#_"))
def test_any_text_is_read_or_refused(text: str) -> None:
    read = literal_json(text)
    if read is not None:
        value_of(read)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1, 2)", [1, 2]),
        ("(1,)", [1]),
        ("(1)", 1),
        ("()", []),
        ("{'a': (1, [2])}", {"a": [1, [2]]}),
        ("{1: 'x', True: 'y', None: 'z'}", {"1": "x", "True": "y", "None": "z"}),
        ("+2", 2),
        ("-0.5", -0.5),
        ("0x10", 16),
        ("1_000", 1000),
        ("'a' \"b\"", "ab"),
        ("'''x\ny'''", "x\ny"),
        (r"'\x41\u00e9\n\'\q'", "Aé\n'\\q"),
        (r"r'\n'", "\\n"),
        ("b'ab'", "ab"),
        ("name", "name"),
        ("null", "null"),
        ("18446744073709551616", "18446744073709551616"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("[1,  # one\n 2,]", [1, 2]),
    ],
)
def test_a_literal_is_read_as_this(text: str, value: object) -> None:
    read = literal_json(text)
    assert read is not None
    assert json.loads(read) == value


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "f('x')", "'open", "'two\nlines'", "[1 2]", "{1}", "1j", "007", "f'x'", "[" * 500],
)
def test_anything_else_is_refused(text: str) -> None:
    assert literal_json(text) is None


def test_a_list_of_calls_is_read() -> None:
    assert call_list("[go(to='x', by=2), stop()]") == [
        ("go", '{"to": "x", "by": 2}'),
        ("stop", "{}"),
    ]


@pytest.mark.parametrize(
    "text",
    ["[]", "[go]", "[go(1)]", "[go(**x)]", "[go(a=1+1)]", "[go(),]", "[a.b()]", "[go(a=f())]"],
)
def test_what_is_no_list_of_calls_is_refused(text: str) -> None:
    assert call_list(text) is None
