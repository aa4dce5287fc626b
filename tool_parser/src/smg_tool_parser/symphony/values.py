"""Argument values: what the tools' schemas say of them, and how untyped text becomes JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..json_stream import is_json
from ..tools import ToolSchemas, all_types, sub_schema

__all__ = ("Schemas", "escape", "quote", "typed_json")

_INTEGER = re.compile(r"(-?)0*([0-9]+)")
_PYTHON_NAMES = {"True": "true", "False": "false", "None": "null"}
_MAX_REFERENCES = 8

Schema = Mapping[str, Any]


def quote(text: str) -> str:
    """A text as a JSON string."""
    return json.dumps(text, ensure_ascii=False)


def escape(text: str) -> str:
    """A text as it stands inside a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


class Schemas(ToolSchemas):
    """Property schemas with references resolved."""

    __slots__ = ()

    def argument(self, name: str, key: str) -> Schema:
        """The schema of one argument; empty where there is none."""
        parameters = self._parameters.get(name, {})
        return self.resolved(name, sub_schema(parameters, key))

    def resolved(self, name: str, schema: Schema) -> Schema:
        """Follows `#/...` references within the function's own parameters."""
        for _ in range(_MAX_REFERENCES):
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return schema
            target: object = self._parameters.get(name, {})
            for step in reference[2:].split("/"):
                target = target.get(step) if isinstance(target, Mapping) else None
            if not isinstance(target, Mapping):
                return schema
            schema = target
        return schema


def may_be_string(schema: Schema) -> bool:
    """Whether text is taken as it is written."""
    return "string" in all_types(schema)


def typed_json(text: str, schema: Schema) -> str:
    """The JSON for a value that is written as text, by its schema and else by its own shape."""
    if may_be_string(schema):
        return quote(text)
    trimmed = text.strip()
    if is_json(trimmed):
        return trimmed
    if trimmed in _PYTHON_NAMES:
        return _PYTHON_NAMES[trimmed]
    integer = _INTEGER.fullmatch(trimmed)
    if integer is not None and "integer" in all_types(schema):
        return integer.group(1) + integer.group(2)
    return quote(text)
