"""Constraints are the recorded documents, and engines' grammar compiler takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from smg_tool_parser import ConstraintConflict, ParserUnknown, constraint_for
from smg_tool_parser.testing import TOOLS

DATA = Path(__file__).parent / "data"
TOOLSETS = json.loads((DATA / "toolsets.json").read_text("utf-8"))
RECORDED = [
    json.loads(line) for line in (DATA / "constraints.jsonl").read_text("utf-8").splitlines()
]
TAGGED = (
    "deepseek_v41",
    "glm47_moe",
    "hy_v4",
    "inkling",
    "kimi_k3",
    "kimik2",
    "minimax_m3",
    "mistral",
)


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: str(case["id"]))
def test_a_forced_choice_gives_the_recorded_document(case: dict[str, Any]) -> None:
    constraint = constraint_for(case["parser"], TOOLSETS[case["tools"]], case["tool_choice"])
    expected = case["expect"]
    if expected["type"] is None:
        assert constraint is None
    else:
        assert constraint is not None
        assert (constraint.type, constraint.value) == (expected["type"], expected["value"])


@pytest.mark.parametrize(
    "choice", ["auto", "none", None, {"type": "allowed_tools", "mode": "auto"}]
)
def test_other_choices_constrain_nothing(choice: object) -> None:
    assert constraint_for("mistral", TOOLS, choice) is None
    assert constraint_for("json", TOOLS, choice) is None


def test_strict_constrains_calls_and_leaves_text_free() -> None:
    constraint = constraint_for("mistral", TOOLS, "auto", strict=True)
    assert constraint is not None
    assert constraint.value["format"]["at_least_one"] is False
    assert constraint_for("passthrough", TOOLS, "auto", strict=True) is None
    assert constraint_for("mistral", TOOLS, "none", strict=True) is None


def test_no_tools_and_no_such_tool_constrain_nothing() -> None:
    named = {"type": "function", "function": {"name": "nobody"}}
    assert constraint_for("json", [], "required") is None
    assert constraint_for("json", TOOLS, named) is None


def test_both_spellings_of_allowed_tools_are_read() -> None:
    entry = {"type": "function", "function": {"name": "wave"}}
    nested = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [entry]}}
    flat = {"type": "allowed_tools", "mode": "required", "tools": [{"name": "wave"}]}
    one, other = constraint_for("qwen", TOOLS, nested), constraint_for("qwen", TOOLS, flat)
    assert one is not None and other is not None
    assert one.value == other.value
    assert [call["properties"]["name"]["enum"] for call in one.value["items"]["anyOf"]] == [
        ["wave"]
    ]


def _defining(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"function": {"name": name, "parameters": {"type": "object", "$defs": {"x": schema}}}}


def test_shared_definitions_are_merged_and_must_agree() -> None:
    number, text = {"type": "number"}, {"type": "string"}
    merged = constraint_for("json", [_defining("a", number), _defining("b", number)], "required")
    assert merged is not None
    assert merged.value["$defs"] == {"x": number}
    with pytest.raises(ConstraintConflict, match="conflicting definitions of x"):
        constraint_for("json", [_defining("a", number), _defining("b", text)], "required")


def test_an_unknown_parser_is_refused() -> None:
    with pytest.raises(ParserUnknown):
        constraint_for("nope", TOOLS, "required")


def test_a_text_with_a_fixed_choice_is_one_of_its_literals() -> None:
    unit = {"type": "string", "enum": ["C", "F"]}
    parameters = {"type": "object", "properties": {"unit": unit}, "required": ["unit"]}
    tool = {"type": "function", "function": {"name": "read", "parameters": parameters}}
    for name in ("kimi_k3", "minimax_m3"):
        constraint = constraint_for(name, [tool], "required")
        assert constraint is not None
        literals = '"elements": [{"type": "const_string", "value": "C"}'
        assert literals in json.dumps(constraint.value)
