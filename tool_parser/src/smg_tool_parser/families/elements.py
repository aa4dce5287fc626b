"""minimax_m3: arguments as elements named after their keys, nested for objects and arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..argument_types import minimax_json, quote, unescape
from ..argument_writer import object_json
from ..json_stream import MAX_DEPTH
from ..tape import WHITESPACE
from ..tools import ToolSchemas, item_schema, own_type, sub_schema
from .blocks import Blocks

__all__ = ("minimax_m3",)

# Every tag follows this token.
_NS = "]<]minimax[>["
_INVOKE = re.compile(
    re.escape(_NS) + r"<invoke\s*name\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+))\s*>"
)
_INVOKE_END = _NS + "</invoke>"
_TAG = re.compile(re.escape(_NS) + r"<(/?)([^<>/\s]+)>")


class _Element:
    __slots__ = ("children", "tag", "text")

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.text: list[str] = []
        self.children: list[_Element] = []


def _read_elements(body: str) -> _Element | None:
    """The tree of a body; None if tags do not match or nest too deep."""
    root = _Element("")
    open_elements = [root]
    pos = 0
    for found in _TAG.finditer(body):
        current = open_elements[-1]
        current.text.append(body[pos : found.start()])
        pos = found.end()
        closing, tag = found.groups()
        if not closing:
            if len(open_elements) > MAX_DEPTH:
                return None
            child = _Element(tag)
            current.children.append(child)
            open_elements.append(child)
        elif tag == current.tag and len(open_elements) > 1:
            open_elements.pop()
        else:
            return None
    root.text.append(body[pos:])
    return root if len(open_elements) == 1 else None


def _json(element: _Element, schema: Mapping[str, object]) -> str:
    """An element as JSON. Trees are bounded in depth, so this recurses safely."""
    declared = own_type(schema)
    if element.children:
        if declared == "array":
            items = item_schema(schema)
            return "[" + ", ".join(_json(child, items) for child in element.children) + "]"
        return _object(element, schema)
    text = unescape("".join(element.text))
    if declared in {"object", "array"} and not text.strip(WHITESPACE):
        return "{}" if declared == "object" else "[]"
    return minimax_json(text, declared)


def _object(element: _Element, schema: Mapping[str, object]) -> str:
    members: dict[str, list[str]] = {}
    for child in element.children:
        json = _json(child, sub_schema(schema, child.tag))
        members.setdefault(child.tag, []).append(json)
    joined = {
        key: values[0] if len(values) == 1 else "[" + ", ".join(values) + "]"
        for key, values in members.items()
    }
    text = unescape("".join(element.text))
    if text.strip(WHITESPACE):
        joined["$text"] = quote(text)
    return object_json(joined)


def _read(inside: str, tools: ToolSchemas) -> list[tuple[str, str]]:
    calls: list[tuple[str, str]] = []
    pos = 0
    while (invoke := _INVOKE.search(inside, pos)) is not None:
        end = inside.find(_INVOKE_END, invoke.end())
        if end < 0:
            break
        name = next(group for group in invoke.groups() if group is not None)
        root = _read_elements(inside[invoke.end() : end])
        if root is None or not name:
            return []
        # White space and prose between parameters is nobody's.
        root.text.clear()
        calls.append((name, _object(root, tools.parameters(name))))
        pos = end + len(_INVOKE_END)
    return calls


minimax_m3 = Blocks(_NS + "<tool_call>", _NS + "</tool_call>", _read)
