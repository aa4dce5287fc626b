"""Text-valued arguments get their types by declaration, else by their looks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_tool_parser.argument_types import (
    bare_json,
    glm_json,
    minimax_json,
    quote,
    qwen_json,
    step_json,
    text_json,
    unescape,
    union_json,
)

from .reading import value_of


@pytest.mark.parametrize(
    ("text", "declared", "glm", "qwen", "minimax"),
    [
        ("7", "string", "7", "7", "7"),
        ('"q"', "string", "q", "q", "q"),
        ("007", "integer", 7, 7, 7),
        ("007", None, 7, "007", 7),
        ("1e3", None, 1000.0, 1000.0, 1000.0),
        ("True", "boolean", True, True, True),
        ("None", None, None, None, None),
        ("tRuE", "boolean", "tRuE", "tRuE", "tRuE"),
        ('{"u": 1}', None, {"u": 1}, {"u": 1}, '{"u": 1}'),
        ('{"u": 1}', "object", {"u": 1}, {"u": 1}, {"u": 1}),
        ("[1,", "array", "[1,", "[1,", "[1,"),
        (
            "12345678901234567890",
            None,
            12345678901234567890,
            12345678901234567890,
            1.2345678901234567e19,
        ),
        ("12345678901234567890", "number", *[12345678901234567890] * 3),
        ("  8 ", None, 8, 8, "  8 "),
        ("NaN", None, "NaN", "NaN", "NaN"),
        ("1e999", None, "1e999", "1e999", "1e999"),
    ],
)
def test_a_text_is_converted_as_each_format_does(
    text: str, declared: str | None, glm: object, qwen: object, minimax: object
) -> None:
    assert json.loads(glm_json(text, declared)) == glm
    assert json.loads(qwen_json(text, declared)) == qwen
    assert json.loads(minimax_json(text, declared)) == minimax


def test_glm_keeps_white_space_of_strings_and_qwen_does_not() -> None:
    assert glm_json(" a ", "string") == '" a "'
    assert qwen_json(" a ", "string") == '"a"'


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("3", {}, "3"),
        ('"q"', {"type": "string"}, '"q"'),
        ("3", {"type": ["integer", "null"]}, 3),
        ("3.0", {"type": "integer"}, "3.0"),
        ("TRUE", {"anyOf": [{"type": "boolean"}, {"type": "string"}]}, True),
        ("null", {"type": ["string", "null"]}, None),
        ("null", {"type": "string"}, "null"),
        ("[1]", {"oneOf": [{"type": "array"}]}, [1]),
        ("[1]", {"type": "object"}, "[1]"),
        ("3", {"$ref": "#/$defs/x"}, "3"),
    ],
)
def test_a_union_converts_to_what_the_text_is_exactly(
    text: str, schema: dict[str, Any], value: object
) -> None:
    assert json.loads(union_json(text, schema)) == value


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("11", {}, "11"),
        ("11", {"type": "integer"}, 11),
        ("007", {"type": ["string", "integer"]}, 7),
        ("1.5", {"anyOf": [{"type": "number"}]}, 1.5),
        ("true", {"oneOf": [{"type": "boolean"}]}, "true"),
        ("null", {"type": "null"}, None),
    ],
)
def test_a_bare_value_is_text_unless_declared_otherwise(
    text: str, schema: dict[str, Any], value: object
) -> None:
    assert json.loads(bare_json(text, schema)) == value


def test_step3_looks_at_the_text_only() -> None:
    assert [step_json(text) for text in ("12", "True", "0042", "x", "")] == [
        "12",
        "true",
        "42",
        '"x"',
        '""',
    ]


def test_entities_are_decoded_once() -> None:
    assert unescape("&lt;b&gt; &amp;lt; &quot;&apos; &nope;") == "<b> &lt; \"' &nope;"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_conversion_gives_json(text: str) -> None:
    schema = {"type": ["integer", "null", "object"]}
    for declared in (None, "string", "integer", "number", "boolean", "object", "array"):
        for convert in (glm_json, qwen_json, minimax_json):
            value_of(convert(text, declared))
    for converted in (union_json(text, schema), bare_json(text, schema), step_json(text)):
        value_of(converted)


@given(st.text())
def test_quoting_gives_the_text_back(text: str) -> None:
    assert json.loads(quote(text)) == text
    assert text_json(quote(text)) == quote(text)
