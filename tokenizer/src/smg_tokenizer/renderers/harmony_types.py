"""JSON schemas as the TypeScript types that Harmony declares functions with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .values import compact_json

__all__ = ("declared_function",)

SCALARS: Mapping[str, str] = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
}
NULL = " | null"


def declared_function(name: str, description: str, parameters: object) -> str:
    """One function of a namespace; `parameters` is its schema, None for a function without any."""
    lines = [f"// {line}\n" for line in description.splitlines()]
    shape = "" if parameters is None else f"_: {_type(parameters, '')}"
    return "".join(lines) + f"type {name} = ({shape}) => any;"


def _type(schema: object, indent: str) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    if isinstance(schema.get("oneOf"), list):
        return _alternatives(schema["oneOf"], indent)
    kind = schema.get("type")
    if isinstance(kind, list):
        names = [name for name in kind if isinstance(name, str)]
        return " | ".join("number" if name == "integer" else name for name in names)
    if kind == "object":
        return _object(schema, indent)
    if kind == "array":
        items = schema.get("items")
        return "Array<any>" if items is None else _type(items, indent) + "[]"
    if kind == "string":
        values = [value for value in _enum(schema) if isinstance(value, str)]
        return " | ".join(f'"{value}"' for value in values) or "string"
    return SCALARS.get(kind, "any") if isinstance(kind, str) else "any"


def _enum(schema: Mapping[str, Any]) -> list[object]:
    values = schema.get("enum")
    return values if isinstance(values, list) else []


def _alternatives(variants: list[object], indent: str) -> str:
    written = (_alternative(variant, indent, _description(variant)) for variant in variants)
    return "".join(f"\n{indent} | {text}" for text in written)


def _alternative(
    variant: object, indent: str, description: str | None, *, bare_enum: bool = False
) -> str:
    text = _type(variant, indent + "   ")
    if not isinstance(variant, Mapping):
        return text
    text = _nullable(text, variant)
    comments = [] if description is None else [description]
    if "default" in variant:
        comments.append(f"default: {_default(variant, bare_enum=bare_enum)}")
    return f"{text} // {' '.join(comments)}" if comments else text


def _description(schema: object) -> str | None:
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return text if isinstance(text, str) else None


def _nullable(text: str, schema: Mapping[str, Any]) -> str:
    return text + NULL if schema.get("nullable") is True and "null" not in text else text


def _default(schema: Mapping[str, Any], *, bare_enum: bool = True) -> str:
    value = schema["default"]
    if isinstance(value, str):
        return value if bare_enum and "enum" in schema else f'"{value}"'
    return compact_json(value)


def _object(schema: Mapping[str, Any], indent: str) -> str:
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    properties = schema.get("properties")
    members = [
        _member(name, inner, indent, is_optional=name not in needed)
        for name, inner in (properties.items() if isinstance(properties, dict) else ())
    ]
    return f"{_described(schema, indent)}{{\n{''.join(members)}{indent}}}"


def _member(name: str, schema: object, indent: str, *, is_optional: bool) -> str:
    key = f"{indent}{name}{'?' if is_optional else ''}:"
    if not isinstance(schema, Mapping):
        return f"{key} any,\n"
    if isinstance(schema.get("oneOf"), list):
        return _member_of_alternatives(key, schema, indent)
    comments = _titled(schema, indent) + _described(schema, indent) + _examples(schema, indent)
    text = _nullable(_type(schema, indent + "    "), schema)
    default = f" // default: {_default(schema)}" if "default" in schema else ""
    return f"{comments}{key} {text},{default}\n"


def _member_of_alternatives(key: str, schema: Mapping[str, Any], indent: str) -> str:
    variants = schema["oneOf"]
    own = _description(schema)
    comments = _titled(schema, indent) + _examples(schema, indent)
    # The format's own rule: the first alternative leaves the word to the member, and no other
    # repeats it.
    if not variants or own != _description(variants[0]):
        comments += _described(schema, indent)
    if "default" in schema:
        comments += f"{indent}// default: {_default(schema)}\n"
    written = []
    for place, variant in enumerate(variants):
        description = _description(variant)
        if own is not None and (place == 0 or description == own):
            description = None
        text = _alternative(variant, indent, description, bare_enum=True)
        written.append(f"\n{indent} | {text}")
    return f"{comments}{key}{''.join(written)}\n{indent},\n"


def _titled(schema: Mapping[str, Any], indent: str) -> str:
    title = schema.get("title")
    return f"{indent}// {title}\n{indent}//\n" if isinstance(title, str) else ""


def _described(schema: Mapping[str, Any], indent: str) -> str:
    description = _description(schema)
    return "" if description is None else f"{indent}// {description}\n"


def _examples(schema: Mapping[str, Any], indent: str) -> str:
    examples = schema.get("examples")
    if not isinstance(examples, list) or not examples:
        return ""
    texts = [f'{indent}// - "{example}"\n' for example in examples if isinstance(example, str)]
    return f"{indent}// Examples:\n{''.join(texts)}"
