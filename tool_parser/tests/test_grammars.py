"""What constraints allow, asked of the grammar engines: calls that fit, and nothing that does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from smg_tool_parser import Constraint, constraint_for, parse
from smg_tool_parser.symphony import TABLE_NAMES, symphony_constraint_for
from smg_tool_parser.testing import TOOLS, WrittenCall, write_calls
from smg_tool_parser.testing.formats import FORMATS

from .grammar_engines import llguidance_allows, xgrammar_allows

Allows = Callable[[Constraint, str], bool]
CALLS: tuple[tuple[WrittenCall, ...], ...] = (
    (("find_item", {"code": "A-1", "count": 3}),),
    (("wave", {}),),
    (("plan_trip", {"place": "Lund", "days": 2, "budget": 10.5, "flexible": True}),),
    (("plan_trip", {"place": "São Tomé 🏝", "stops": ["x", "y z"], "extras": {"seat": 4}}),),
    (("find_item", {"code": "A-1"}), ("wave", {}), ("find_item", {"code": "B-2", "count": 0})),
)
UNTYPED = {"deepseek_v41"}
"""Formats that say themselves what type a value has."""

engines = pytest.mark.parametrize("allows", [xgrammar_allows, llguidance_allows])


def written(name: str, calls: tuple[WrittenCall, ...]) -> str:
    text = write_calls(name, calls)
    if name == "gemma4":  # writes arguments in alphabetical order
        text = write_calls(name, [(tool, dict(sorted(given.items()))) for tool, given in calls])
    elif name == "inkling":  # writes nothing between
        text = text.replace(": ", ":").replace('", "args', '","args')
    return text


def strict(name: str) -> Constraint:
    constraint = constraint_for(name, TOOLS, "auto", strict=True)
    assert constraint is not None
    return constraint


@engines
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_strict_tools_allow_text_and_calls_that_fit(name: str, allows: Allows) -> None:
    constraint = strict(name)
    assert allows(constraint, "Nothing to do: 3 < 4.\n")
    for calls in CALLS:
        text = written(name, calls)
        assert allows(constraint, text), text
        assert allows(constraint, "Let me look. " + text), text


@engines
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_strict_tools_allow_no_function_that_is_not_declared(name: str, allows: Allows) -> None:
    text = written(name, (("find_items", {"code": "A-1"}),))
    if name == "pythonic":  # whose calls begin with a function's name: this one is text
        assert parse(name, text).calls
    else:
        assert not allows(strict(name), text)


@engines
@pytest.mark.parametrize("name", sorted(set(FORMATS) - UNTYPED))
def test_strict_tools_allow_no_value_of_another_type(name: str, allows: Allows) -> None:
    for wrong in ({"count": "many"}, {"count": [1]}):
        text = written(name, (("find_item", wrong),))
        assert not allows(strict(name), text), text


@engines
@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"gemma4"}))
def test_a_forced_choice_allows_no_mere_text(name: str, allows: Allows) -> None:
    constraint = constraint_for(name, TOOLS, "required")
    assert constraint is not None
    assert not allows(constraint, "Nothing to do.")
    if constraint.type == "structural_tag":
        assert allows(constraint, forced_text(name))
    else:
        assert allows(constraint, '[{"name": "wave", "parameters": {}}]')
        assert not allows(constraint, "[]")


def forced_text(name: str) -> str:
    text = written(name, (("find_item", {"code": "A-1"}),))
    if name == "deepseek_v41":
        return "\n\n" + text
    if name == "kimik2":  # a call's number is forced to be its tool's
        return text.replace("find_item:0", "find_item:1")
    return text.split("<|message_model|>find_item")[-1] if name == "inkling" else text


@engines
@pytest.mark.parametrize("table", sorted(set(TABLE_NAMES) - {"hf"}))
def test_every_table_forces_calls(table: str, allows: Allows) -> None:
    constraint = symphony_constraint_for(table, TOOLS, "required")
    assert constraint is not None
    assert not allows(constraint, "Nothing to do.")


@engines
def test_schemas_with_references_are_kept(allows: Allows) -> None:
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"unit": {"$ref": "#/$defs/unit"}},
        "required": ["unit"],
        "$defs": {"unit": {"enum": ["C", "F"]}},
    }
    tool = {"type": "function", "function": {"name": "read", "parameters": parameters}}
    constraint = constraint_for("qwen", [tool], "auto", strict=True)
    assert constraint is not None
    begin, end = '<tool_call>\n{"name": "read", "arguments": ', "}\n</tool_call>"
    assert allows(constraint, begin + '{"unit": "C"}' + end)
    assert not allows(constraint, begin + '{"unit": "K"}' + end)
