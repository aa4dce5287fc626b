"""Tool calls of the simulated model: the arguments follow from the tool's JSON schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smg_mock_worker.answers import Answer, compose_text, prompt_seed
from smg_mock_worker.exchange import encode_json
from smg_mock_worker.tokens import split_tokens, token_ids

__all__ = ("ToolCall", "example_value", "plan_tool_call", "tool_answer")

MAX_SCHEMA_DEPTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of the function `name`; `arguments` fit its schema."""

    id: str
    name: str
    arguments: dict[str, Any]


def plan_tool_call(
    name: str, parameters: Mapping[str, Any] | None, prompt: Sequence[int]
) -> ToolCall:
    """The call of `name` that follows from the prompt and the schema of its parameters."""
    seed = prompt_seed(prompt)
    value = example_value(parameters or {"type": "object"}, seed)
    arguments = value if isinstance(value, dict) else {}
    return ToolCall(id=f"call_{seed:08x}", name=name, arguments=arguments)


def tool_answer(call: ToolCall) -> Answer:
    """The call's arguments as the tokens of an answer."""
    tokens = split_tokens(encode_json(call.arguments).decode())
    return Answer(tokens=tokens, ids=token_ids(tokens), finish_reason="tool_calls")


def example_value(schema: Mapping[str, Any], seed: int, depth: int = 0) -> Any:
    """A value that fits the common part of JSON Schema; None where the schema says nothing.

    Objects get all their properties, arrays one item; nesting ends at `MAX_SCHEMA_DEPTH`.
    """
    if "const" in schema:
        return schema["const"]
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[seed % len(choices)]
    for combined in ("anyOf", "oneOf", "allOf"):
        if isinstance(parts := schema.get(combined), list) and parts:
            return example_value(parts[0], seed, depth + 1) if depth < MAX_SCHEMA_DEPTH else None
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    match kind:
        case "string":
            return compose_text(seed, 3)[-1].strip(" ,.")
        case "integer":
            return _clamped(seed % 10, schema)
        case "number":
            return float(_clamped(seed % 10, schema))
        case "boolean":
            return seed % 2 == 0
        case "array":
            items = schema.get("items")
            if not isinstance(items, dict) or depth >= MAX_SCHEMA_DEPTH:
                return []
            return [example_value(items, seed + 1, depth + 1)]
        case "object":
            return _example_object(schema, seed, depth)
        case _:
            return _example_object(schema, seed, depth) if "properties" in schema else None


def _clamped(number: int, schema: Mapping[str, Any]) -> int:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int | float):
        number = max(number, int(-(-low // 1)))
    if isinstance(high, int | float):
        number = min(number, int(high // 1))
    return number


def _example_object(schema: Mapping[str, Any], seed: int, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or depth >= MAX_SCHEMA_DEPTH:
        return {}
    return {
        name: example_value(part, seed + number, depth + 1)
        for number, (name, part) in enumerate(properties.items())
        if isinstance(part, dict)
    }
