"""The declared tools, reduced to what parsers ask about them: names and property schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ("ToolSchemas",)

_EMPTY: Mapping[str, object] = {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else _EMPTY


class ToolSchemas:
    """Looks up property schemas by function and key.

    Takes chat-completion tools (`{"type": "function", "function": {...}}`) and bare function
    objects (`{"name": ..., "parameters": ...}`). Anything else is ignored.
    """

    __slots__ = ("_parameters",)

    def __init__(self, tools: Sequence[Mapping[str, object]] = ()) -> None:
        self._parameters: dict[str, Mapping[str, object]] = {}
        for tool in tools:
            function = _mapping(tool).get("function", tool)
            name = _mapping(function).get("name")
            if isinstance(name, str):
                self._parameters.setdefault(name, _mapping(_mapping(function).get("parameters")))

    def declares(self, name: str) -> bool:
        return name in self._parameters

    def parameters(self, name: str) -> Mapping[str, object]:
        """The schema of all arguments, empty where the function is not declared."""
        return self._parameters.get(name, _EMPTY)

    def property_schema(self, name: str, key: str) -> Mapping[str, object]:
        """The schema of one argument, empty where it is not declared."""
        return sub_schema(self.parameters(name), key)

    def declared_type(self, name: str, key: str) -> str | None:
        """The property's own scalar `type`; lists of types, `anyOf`, `$ref` do not count."""
        return own_type(self.property_schema(name, key))


def sub_schema(schema: Mapping[str, object], key: str) -> Mapping[str, object]:
    """The schema of property `key`, empty where there is none."""
    return _mapping(_mapping(schema.get("properties")).get(key))


def item_schema(schema: Mapping[str, object]) -> Mapping[str, object]:
    """The schema of array items, empty where there is none."""
    return _mapping(schema.get("items"))


def own_type(schema: Mapping[str, object]) -> str | None:
    """The scalar `type` of a schema."""
    declared = schema.get("type")
    return declared if isinstance(declared, str) else None


def all_types(schema: Mapping[str, object]) -> frozenset[str]:
    """Every type that `type` (one or a list), `anyOf` and `oneOf` name, at any depth of unions."""
    found: set[str] = set()
    waiting: list[object] = [schema]
    while waiting:
        current = _mapping(waiting.pop())
        declared = current.get("type")
        if isinstance(declared, str):
            found.add(declared)
        elif isinstance(declared, list):
            found.update(entry for entry in declared if isinstance(entry, str))
        for union in ("anyOf", "oneOf"):
            members = current.get(union)
            if isinstance(members, list):
                waiting.extend(members)
    return frozenset(found)
