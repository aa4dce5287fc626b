"""The tool declaration of Kimi K2.5: JSON schemas retold as TypeScript types.

The model's Jinja template prints it as `tools_ts_str`. Where a schema says something that has no
such form the variable stays undefined, and the template prints the tools as JSON instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .contract import JsonObject, RenderOptions
from .in_front import RendererInFront
from .values import compact_json, functions_of, text_of

__all__ = ("KimiK25Renderer", "typescript_tools")

INDENT = "  "
# Deeper schemas are declared as `any`.
MAX_DEPTH = 32
DEFINITIONS = "#/$defs/"
CONSTRAINTS: Mapping[str, tuple[str, ...]] = {
    "string": ("maxLength", "minLength", "pattern"),
    "number": ("maximum", "minimum"),
    "integer": ("maximum", "minimum"),
    "array": ("maxItems", "minItems"),
}
NAMES_IN_UNIONS: Mapping[str, str] = {
    "integer": "number",
    "object": "{}",
    "array": "Array<any>",
}


class KimiK25Renderer(RendererInFront):
    """Renders with the model's own template, after declaring its tools."""

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt. Raises what the template raises."""
        declaration = typescript_tools(options.tools or ())
        if declaration is not None:
            variables = {**options.template_kwargs, "tools_ts_str": declaration}
            options = replace(options, template_kwargs=variables)
        return self.inner.render(messages, options)


def typescript_tools(tools: Sequence[JsonObject]) -> str | None:
    """The declaration of all function tools, None if there are none or one can not be declared."""
    functions = functions_of([tool for tool in tools if tool.get("type") == "function"])
    try:
        declared = [_function(function) for function in functions if function]
    except _Unsupported:
        return None
    if not declared:
        return None
    return "\n".join(["# Tools", "", "## functions", "namespace functions {", *declared, "}", ""])


class _Unsupported(Exception):
    """A schema that the declaration has no form for."""


@dataclass(slots=True)
class _Definitions:
    """What references of one function may point to."""

    schemas: dict[str, object] = field(default_factory=dict)
    points_to_itself: bool = False
    depth: int = 0


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    type: _Type
    is_optional: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class _Type:
    """A declared type. Comments depend on the schema, layout on where it is printed."""

    text: str = ""
    comments: tuple[str, ...] = ()
    alternatives: tuple[_Type, ...] = ()
    item: _Type | None = None
    members: tuple[_Member, ...] | None = None
    other_members: _Type | str | None = None


ANY = _Type("any")


def _function(function: object) -> str:
    if not isinstance(function, Mapping):
        raise _Unsupported
    parameters = function.get("parameters", {})
    definitions = _Definitions()
    body = _object(parameters if isinstance(parameters, Mapping) else {}, definitions)
    name = function.get("name")
    name = name if isinstance(name, str) else "function"
    lines: list[str] = []
    interfaces = list(_interfaces(definitions))
    if definitions.points_to_itself:
        members = ",\n".join(_member(member, INDENT) for member in body.members or ())
        lines.append("interface parameters {" + (f"\n{members}\n" if members else "") + "}")
    lines += interfaces
    lines += _described(text_of(function, "description"))
    shape = "parameters" if definitions.points_to_itself else _printed(body, "")
    lines.append(f"type {name} = (_: {shape}) => any;")
    return "\n".join(lines)


def _interfaces(definitions: _Definitions) -> Iterator[str]:
    for name, schema in list(definitions.schemas.items()):
        lines = _described(text_of(schema, "description") if isinstance(schema, dict) else "")
        lines.append(f"interface {name} {_printed(_type(schema, definitions), '')}")
        yield "\n".join(lines)


def _type(schema: object, definitions: _Definitions) -> _Type:
    if definitions.depth >= MAX_DEPTH:
        return ANY
    definitions.depth += 1
    try:
        return _read(schema, definitions)
    finally:
        definitions.depth -= 1


def _read(schema: object, definitions: _Definitions) -> _Type:
    if isinstance(schema, bool):
        return ANY if schema else _Type("null")
    if not isinstance(schema, Mapping):
        raise _Unsupported
    return _read_object(schema, definitions)


def _read_object(schema: Mapping[str, Any], definitions: _Definitions) -> _Type:
    match schema:
        case {"$ref": reference}:
            return _Type(_reference(reference, definitions), _comments(schema))
        case {"anyOf": branches}:
            listed = branches if isinstance(branches, list) else []
            types = tuple(_type(branch, definitions) for branch in listed)
            return _Type(comments=_comments(schema), alternatives=types)
        case {"enum": values}:
            listed = values if isinstance(values, list) else []
            return _Type(" | ".join(map(_enumerated, listed)), _comments(schema))
        case {"type": list(kinds)}:
            names = [NAMES_IN_UNIONS.get(kind, kind) for kind in kinds if isinstance(kind, str)]
            return _Type(" | ".join(names), _comments(schema))
        case {"type": "object"}:
            return _object(schema, definitions)
        case {"type": "array"}:
            items = schema.get("items")
            item = ANY if items is None else _type(items, definitions)
            return _Type(comments=_comments(schema, "array"), item=item)
        case {"type": str(kind)}:
            return _Type("number" if kind == "integer" else kind, _comments(schema, kind))
    if schema:
        raise _Unsupported
    return ANY


def _object(schema: Mapping[str, Any], definitions: _Definitions) -> _Type:
    defined = schema.get("$defs")
    if isinstance(defined, dict):
        definitions.schemas.update(defined)
    others: _Type | str | None = None
    if "additionalProperties" in schema:
        allowed = schema["additionalProperties"]
        if isinstance(allowed, bool):
            others = "any" if allowed else "never"
        else:
            others = _type(allowed, definitions)
    properties = schema.get("properties")
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    members = []
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        default = _default(inner)
        members.append(_Member(name, _type(inner, definitions), name not in needed, default))
    return _Type(comments=_comments(schema), members=tuple(members), other_members=others)


def _reference(reference: object, definitions: _Definitions) -> str:
    if reference == "#":
        definitions.points_to_itself = True
        return "parameters"
    if not isinstance(reference, str) or not reference.startswith(DEFINITIONS):
        raise _Unsupported
    if reference.removeprefix(DEFINITIONS) not in definitions.schemas:
        raise _Unsupported
    return reference.rsplit("/", 1)[-1]


def _comments(schema: Mapping[str, Any], kind: str = "") -> tuple[str, ...]:
    lines = _described(text_of(schema, "description"))
    bounds = [f"{key}: {_bound(schema[key])}" for key in CONSTRAINTS.get(kind, ()) if key in schema]
    if bounds:
        lines.append("// " + ", ".join(bounds))
    return tuple(lines)


def _described(description: str) -> list[str]:
    if not description:
        return []
    return [f"// {line}" if line else "" for line in description.split("\n")]


def _bound(value: object) -> str:
    return value if isinstance(value, str) else compact_json(value)


def _default(schema: object) -> str | None:
    if not isinstance(schema, Mapping) or "default" not in schema:
        return None
    value = schema["default"]
    return str(value) if isinstance(value, bool) else compact_json(value)


def _enumerated(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value) if value is None or isinstance(value, bool) else json.dumps(value)


def _printed(declared: _Type, indent: str) -> str:
    inner = indent + INDENT
    if declared.alternatives:
        return " | ".join(_printed(branch, indent) for branch in declared.alternatives)
    if declared.item is not None:
        item = _printed(declared.item, inner)
        if not declared.item.comments:
            return f"Array<{item}>"
        return f"Array<\n{_commented(declared.item.comments, inner)}{inner}{item}\n{indent}>"
    if declared.members is None:
        return declared.text
    ordered = sorted(declared.members, key=lambda member: (member.is_optional, member.name))
    parts = [_member(member, inner) for member in ordered]
    if declared.other_members is not None:
        others = declared.other_members
        text = others if isinstance(others, str) else _printed(others, inner)
        parts.append(f"{inner}[k: string]: {text}")
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}" if parts else "{}"


def _member(member: _Member, indent: str) -> str:
    comments = _commented(member.type.comments, indent)
    if member.default is not None:
        comments += f"{indent}// Default: {member.default}\n"
    mark = "?" if member.is_optional else ""
    return f"{comments}{indent}{member.name}{mark}: {_printed(member.type, indent)}"


def _commented(comments: Sequence[str], indent: str) -> str:
    return "".join(f"{indent}{line}\n" if line else "\n" for line in comments)
