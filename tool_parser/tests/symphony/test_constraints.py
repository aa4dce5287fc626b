"""Constraints are the recorded documents, and what they allow is read back as calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smg_tool_parser.symphony import (
    TABLE_NAMES,
    TableUnknown,
    TemplateMissing,
    parse_symphony,
    symphony_constraint_for,
)

from .reading import ALL, DATA

TOOLSETS = json.loads((DATA / "constrained_tools.json").read_text("utf-8"))
RECORDED = [
    json.loads(line) for line in (DATA / "constraints.jsonl").read_text("utf-8").splitlines()
]
TAGGED = [name for name in TABLE_NAMES if name not in {"hf", "plain"}]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: f"{case['table']} {case['tools']}")
def test_a_forced_choice_gives_the_recorded_document(case: dict[str, Any]) -> None:
    constraint = symphony_constraint_for(
        case["table"], TOOLSETS[case["tools"]], case["tool_choice"]
    )

    assert constraint is not None
    assert (constraint.type, constraint.value) == (case["expect"]["type"], case["expect"]["value"])


def shortest(document: Any) -> str:
    """The shortest text that a structural tag allows; JSON values are written for their schemas."""
    match document["type"]:
        case "const_string":
            return str(document["value"])
        case "any_text":
            return ""
        case "regex":
            return {"[1-9][0-9]*": "1"}.get(document["pattern"], "'x'")
        case "json_schema":
            return sample(document["json_schema"])
        case "sequence":
            return "".join(map(shortest, document["elements"]))
        case "or":
            return shortest(document["elements"][0])
        case "optional" | "star":
            return ""
        case "plus":
            return shortest(document["content"])
        case "tag":
            return f"{document['begin']}{shortest(document['content'])}{document['end']}"
        case _:
            return shortest(document["tags"][0])


def sample(schema: Any) -> str:
    kinds = {"integer": "7", "number": "7", "boolean": "true", "array": "[]", "string": '"x"'}
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return kinds.get(str(schema.get("type")), "null") if isinstance(schema, dict) else "null"
    members = [
        f"{json.dumps(key)}: {sample(schema['properties'][key])}"
        for key in schema.get("required", ())
    ]
    return "{" + ", ".join(members) + "}"


@pytest.mark.parametrize("table", [name for name in TAGGED if name not in {"glm", "iquest"}])
@pytest.mark.parametrize("tool", ALL, ids=lambda tool: str(tool["function"]["name"]))
def test_what_a_tag_allows_is_read_back_as_that_call(table: str, tool: dict[str, Any]) -> None:
    name = tool["function"]["name"]
    choice = {"type": "function", "function": {"name": name}}
    constraint = symphony_constraint_for(table, ALL, choice)
    assert constraint is not None
    document = constraint.value["format"]

    parsed = parse_symphony(table, shortest(document), ALL)

    assert [(call.name, call.complete) for call in parsed.calls] == [(name, True)]
    arguments = json.loads(parsed.calls[0].arguments)
    if table != "deepseek_v4.1":
        assert set(arguments) >= set(tool["function"]["parameters"]["required"])
    assert parsed.normal_text.strip() == ""


@pytest.mark.parametrize("choice", ["auto", "none", {"type": "allowed_tools", "mode": "auto"}])
def test_other_choices_constrain_nothing(choice: object) -> None:
    assert symphony_constraint_for("qwen3", ALL, choice) is None


def test_one_literal_out_of_several_is_allowed_for_an_enumeration() -> None:
    for table in ("glm4", "gemma4", "kimi_k3", "minimax_m3"):
        constraint = symphony_constraint_for(table, ALL, "required")
        assert constraint is not None
        assert '"elements": [{"type": "const_string", "value": "C"}' in json.dumps(constraint.value)


def test_names_without_a_document_are_refused() -> None:
    with pytest.raises(TableUnknown):
        symphony_constraint_for("nosuch", ALL, "required")
    with pytest.raises(TemplateMissing):
        symphony_constraint_for("hf", ALL, "required")
