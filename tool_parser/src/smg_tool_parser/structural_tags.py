"""Pieces of structural tags, as xgrammar and, through it, the engines take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .tools import own_type

__all__ = (
    "Format",
    "Functions",
    "Schema",
    "any_text",
    "bare_tag",
    "const",
    "either",
    "json_value",
    "members",
    "regex",
    "repeated",
    "separated",
    "separated_members",
    "sequence",
    "tag",
    "text_value",
    "triggered",
)

Schema = Mapping[str, object]
Format = dict[str, object]
Functions = Sequence[tuple[str, Schema]]


def const(value: str) -> Format:
    return {"type": "const_string", "value": value}


def sequence(*elements: Schema) -> Format:
    return {"type": "sequence", "elements": list(elements)}


def either(elements: Sequence[Schema]) -> Format:
    return {"type": "or", "elements": list(elements)}


def repeated(kind: str, content: Schema) -> Format:
    return {"type": kind, "content": content}


def any_text(*excludes: str) -> Format:
    return {"type": "any_text", "excludes": list(excludes)}


def json_value(schema: object, **style: str) -> Format:
    return {"type": "json_schema", "json_schema": schema, **style}


def tag(begin: str, content: Schema, end: str) -> Format:
    return {"type": "tag", "begin": begin, "content": content, "end": end}


def bare_tag(begin: str, content: Schema, end: str) -> Format:
    return {"begin": begin, "content": content, "end": end}


def triggered(triggers: Sequence[str], tags: Sequence[Schema]) -> Format:
    return {
        "type": "triggered_tags",
        "triggers": list(triggers),
        "tags": list(tags),
        "at_least_one": True,
    }


def separated(tags: Sequence[Schema], separator: str) -> Format:
    return {
        "type": "tags_with_separator",
        "tags": list(tags),
        "separator": separator,
        "at_least_one": True,
    }


def members(schema: Schema, member: Callable[[str, Schema], Format]) -> Format | None:
    """The declared properties in order, those not required optional; None if there are none."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return None
    required = schema.get("required")
    names = required if isinstance(required, Sequence) else ()
    elements: list[Format] = []
    for key, declared in properties.items():
        element = member(key, declared if isinstance(declared, Mapping) else {})
        elements.append(element if key in names else repeated("optional", element))
    return sequence(*elements)


def text_value(schema: Schema, *excludes: str) -> Format | None:
    """A string value: one of its literals, or text without these; None for other types."""
    if own_type(schema) != "string":
        return None
    literals = schema.get("enum")
    if isinstance(literals, list) and literals and all(isinstance(one, str) for one in literals):
        return either([const(one) for one in literals])
    return any_text(*excludes)


def regex(pattern: str) -> Format:
    return {"type": "regex", "pattern": pattern}


def separated_members(
    schema: Schema, separator: str, member: Callable[[str, Schema], Format], *, by_name: bool
) -> Format | None:
    """The declared members, those not required optional; None if none is declared."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return None
    required = schema.get("required")
    needed = frozenset(required if isinstance(required, Sequence) else ())
    keys = sorted(properties) if by_name else list(properties)
    drawn = {
        key: member(key, properties[key] if isinstance(properties[key], Mapping) else {})
        for key in keys
    }
    beginnings: list[Format] = []
    for at, first in enumerate(keys):
        others = ((key, sequence(const(separator), drawn[key])) for key in keys[at + 1 :])
        rest = [part if key in needed else repeated("optional", part) for key, part in others]
        beginnings.append(sequence(drawn[first], *rest))
        if first in needed:
            break
    drawing = beginnings[0] if len(beginnings) == 1 else either(beginnings)
    return drawing if needed & drawn.keys() else repeated("optional", drawing)
