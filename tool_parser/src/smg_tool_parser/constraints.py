"""What an engine must be told so that forced calls come out in a family's own markup.

The documents are JSON schemas, or structural tags as xgrammar (and, through it, the engines) take
them: JSON schemas for the arguments, with the markup around them spelled out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .registry import check_name
from .structural_tags import (
    Format,
    Functions,
    Schema,
    any_text,
    bare_tag,
    const,
    either,
    json_value,
    members,
    repeated,
    separated,
    sequence,
    tag,
    text_value,
    triggered,
)
from .tools import all_types, own_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    # At run time `typing` would be a tenth of the import.
    from typing import Any

__all__ = (
    "Constraint",
    "ConstraintConflict",
    "constraint_for",
    "named_function",
    "writes_bare_json",
)


class ConstraintConflict(ValueError):
    """Two tools define different schemas under one `$defs` name, which is in `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"conflicting definitions of {name} in the tools' schemas")
        self.name = name


class Constraint:
    """A document for the engine: `type` is "json_schema" or "structural_tag"."""

    __slots__ = ("type", "value")

    def __init__(self, type: str, value: Format) -> None:
        self.type = type
        self.value: dict[str, Any] = value

    def as_lark(self) -> str:
        """The same as a grammar for llguidance, in its dialect of Lark."""
        from .lark import lark_grammar

        return lark_grammar(self)


class ToolChoice:
    """A tool choice, reduced to whether calls are forced and which functions may be called."""

    __slots__ = ("allowed", "forced", "named", "off")

    def __init__(self, choice: object) -> None:
        self.forced = choice == "required"
        self.off = choice == "none"
        self.named: str | None = None
        self.allowed: frozenset[str] | None = None
        if not isinstance(choice, Mapping):
            return
        kind = choice.get("type")
        if kind == "function":
            self.named = _function_name(choice)
            self.allowed = frozenset({self.named} if self.named else ())
            self.forced = True
        elif kind == "allowed_tools":
            inner = choice.get("allowed_tools", choice)
            tools = inner.get("tools", ()) if isinstance(inner, Mapping) else ()
            names = (_function_name(tool) for tool in tools)
            self.allowed = frozenset(name for name in names if name)
            self.forced = isinstance(inner, Mapping) and inner.get("mode") == "required"


def _function_name(entry: object) -> str | None:
    if not isinstance(entry, Mapping):
        return None
    function = entry.get("function", entry)
    name = function.get("name") if isinstance(function, Mapping) else None
    return name if isinstance(name, str) else None


def functions_of(tools: Sequence[Mapping[str, object]], choice: ToolChoice) -> Functions:
    found: list[tuple[str, Schema]] = []
    for tool in tools:
        name = _function_name(tool)
        if name is not None and (choice.allowed is None or name in choice.allowed):
            function = tool.get("function", tool)
            parameters = function.get("parameters") if isinstance(function, Mapping) else None
            found.append((name, parameters if isinstance(parameters, Mapping) else {}))
    return found


def constraint_for(
    name: str,
    tools: Sequence[Mapping[str, object]],
    tool_choice: object = "auto",
    *,
    strict: bool = False,
) -> Constraint | None:
    """The constraint for a parser, tools and tool choice, each as in a chat completion request.

    A forced choice ("required", a named function, `allowed_tools` with mode "required") gets the
    family's structural tag, or a JSON schema where it has none: the schema of the function's
    arguments for a named one, else of an array of `{"name", "parameters"}` objects. gemma4 gets
    none. Other choices get none either, unless `strict`: then text is free, and what looks like a
    call must be one of a declared function with arguments that fit its schema.

    Raises ParserUnknown and ConstraintConflict.
    """
    check_name(name)
    choice = ToolChoice(tool_choice)
    functions = functions_of(tools, choice)
    if not functions or choice.off:
        return None
    tagged = _TAGGED.get(name)
    if choice.forced:
        if name in _UNCONSTRAINED:
            return None
        if tagged is None:
            return Constraint("json_schema", _forced_schema(functions, choice))
        return _structural(tagged.forced(functions))
    if strict:
        return _free(name, functions, tagged)
    return None


def writes_bare_json(
    name: str, tools: Sequence[Mapping[str, object]], tool_choice: object = "auto"
) -> bool:
    """Whether `constraint_for` answers with a JSON schema: the engine then writes plain JSON.

    Builds no document. Raises ParserUnknown.
    """
    check_name(name)
    choice = ToolChoice(tool_choice)
    if not choice.forced or name in _UNCONSTRAINED or name in _TAGGED:
        return False
    return bool(functions_of(tools, choice))


def named_function(tool_choice: object) -> str | None:
    """The one function that a tool choice names; None for other choices."""
    return ToolChoice(tool_choice).named


def _free(name: str, functions: Functions, tagged: _Tagged | None) -> Constraint | None:
    # Rarely needed, so not part of the import.
    from .free_calls import FREE_CALLS

    build = FREE_CALLS.get(name)
    if build is not None:
        return _structural(build(functions))
    if tagged is not None:
        return _structural({**tagged.free(functions), "at_least_one": False})
    return None


def _structural(format: Format) -> Constraint:
    return Constraint("structural_tag", {"format": format})


def _forced_schema(functions: Functions, choice: ToolChoice) -> Format:
    if choice.named is not None:
        return dict(functions[0][1])
    definitions: dict[str, object] = {}
    calls: list[Format] = []
    for name, parameters in functions:
        defined = parameters.get("$defs")
        for key, schema in defined.items() if isinstance(defined, Mapping) else ():
            if definitions.setdefault(key, schema) != schema:
                raise ConstraintConflict(key)
        inline = {key: value for key, value in parameters.items() if key != "$defs"}
        calls.append({
            "properties": {"name": {"type": "string", "enum": [name]}, "parameters": inline},
            "required": ["name", "parameters"],
        })
    schema = {"type": "array", "minItems": 1, "items": {"type": "object", "anyOf": calls}}
    return {**schema, "$defs": definitions} if definitions else schema


# Families


class _Tagged:
    """How a family is constrained: `forced`, and `free` as tags that a trigger sets off."""

    __slots__ = ("forced", "free")

    def __init__(
        self,
        free: Callable[[Functions], Format],
        forced: Callable[[Functions], Format] | None = None,
    ) -> None:
        self.free = free
        self.forced = forced or free


def _mistral(functions: Functions) -> Format:
    calls = [
        bare_tag(f'{{"name": "{name}", "arguments": ', json_value(schema), "}")
        for name, schema in functions
    ]
    return triggered(["[TOOL_CALLS]"], [bare_tag("[TOOL_CALLS] [", separated(calls, ", "), "]")])


def _inkling(functions: Functions) -> Format:
    token = "<|content_invoke_tool_json|>"
    tags = [
        bare_tag(f'{token}{{"name":"{name}","args":', json_value(schema), "}<|end_message|>")
        for name, schema in functions
    ]
    return triggered([token], tags)


def _kimi_k2(functions: Functions) -> Format:
    section, call = "<|tool_calls_section_begin|>", "<|tool_call_begin|>"
    tags = [
        bare_tag(
            f"{before}functions.{name}:{index}<|tool_call_argument_begin|>",
            json_value(schema),
            "<|tool_call_end|>",
        )
        for index, (name, schema) in enumerate(functions)
        for before in (section + call, call)
    ]
    return triggered([section, call], tags)


def _glm47(functions: Functions) -> Format:
    return triggered(["<tool_call>"], _glm_calls(functions))


def _glm_calls(functions: Functions) -> list[Format]:
    return [
        tag(f"<tool_call>{name}", json_value(schema, style="glm_xml"), "</tool_call>")
        for name, schema in functions
    ]


def _hy_v4(functions: Functions) -> Format:
    calls = repeated("plus", either(_glm_calls(functions)))
    return triggered(["<tool_calls>"], [bare_tag("<tool_calls>", calls, "</tool_calls>")])


def _dsml_block(functions: Functions) -> Format:
    text = any_text(
        "</｜DSML｜ parameter>",
        "</｜DSML｜ invoke>",
        "</｜DSML｜ calls>",
    )
    value = either([
        sequence(const('true">'), text),
        sequence(const('false">'), json_value(True)),
    ])
    name = {"type": "regex", "pattern": '[^"]+'}
    parameter = tag(
        '<｜DSML｜ parameter name="',
        sequence(name, const('" string="'), value),
        "</｜DSML｜ parameter>\n",
    )
    invokes = [
        tag(
            f'<｜DSML｜ invoke name="{function}">\n',
            repeated("star", parameter),
            "</｜DSML｜ invoke>\n",
        )
        for function, _ in functions
    ]
    return separated(invokes, "")


def _dsml_forced(functions: Functions) -> Format:
    return sequence(
        const("\n\n<｜DSML｜ calls>\n"), _dsml_block(functions), const("</｜DSML｜ calls>")
    )


def _dsml_free(functions: Functions) -> Format:
    opener = "<｜DSML｜ calls>"
    return triggered([opener], [tag(opener + "\n", _dsml_block(functions), "</｜DSML｜ calls>")])


_K3_TEXT = ("<|close|>", "<|open|>", "<|sep|>")
_K3_ATTRIBUTE = ('"', "<|")
_K3_TYPES = {"integer": "number"}
_K3_NAMED_TYPES = frozenset({"string", "number", "boolean", "array", "object"})


def _kimi_k3(functions: Functions) -> Format:
    calls = repeated("plus", either([_k3_call(*function) for function in functions]))
    opener, closer = "<|open|>tools<|sep|>", "<|close|>tools<|sep|>"
    before = ("<|close|>think<|sep|>", "<|close|>response<|sep|>")
    tags = [bare_tag(start + opener, calls, closer) for start in ("", *before)]
    return triggered([opener, *before], tags)


def _k3_call(name: str, schema: Schema) -> Format:
    any_argument = sequence(
        const('<|open|>argument key="'),
        any_text(*_K3_ATTRIBUTE),
        const('" type="'),
        *_k3_any_value(),
    )
    return sequence(
        const(f'<|open|>call tool="{attribute(name)}" index="'),
        {"type": "regex", "pattern": "[1-9][0-9]*"},
        const('"<|sep|>'),
        members(schema, _k3_argument) or repeated("star", any_argument),
        const("<|close|>call<|sep|>"),
    )


def _k3_argument(key: str, schema: Schema) -> Format:
    declared = own_type(schema)
    kind = _K3_TYPES.get(declared, declared) if declared else None
    start = f'<|open|>argument key="{attribute(key)}" type="'
    if kind not in _K3_NAMED_TYPES:
        return sequence(const(start), *_k3_any_value())
    value = text_value(schema, *_K3_TEXT) or json_value(schema)
    return sequence(const(f'{start}{kind}"<|sep|>'), value, const("<|close|>argument<|sep|>"))


def _k3_any_value() -> tuple[Format, ...]:
    """Any type and any value, behind `type="`."""
    return (
        any_text(*_K3_ATTRIBUTE),
        const('"<|sep|>'),
        any_text(*_K3_TEXT),
        const("<|close|>argument<|sep|>"),
    )


def attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")


_M3 = "]<]minimax[>["
_M3_OUTER = ("</invoke>", '<invoke name="', "</tool_call>")


def _minimax_m3(functions: Functions) -> Format:
    invokes = [
        tag(
            f'{_M3}<invoke name="{name}">',
            members(schema, _m3_element) or any_text(*_M3_OUTER),
            f"{_M3}</invoke>\n",
        )
        for name, schema in functions
    ]
    wrapper = tag(f"{_M3}<tool_call>\n", separated(invokes, ""), f"{_M3}</tool_call>")
    return triggered([f"{_M3}<tool_call>"], [wrapper])


def _m3_forced(functions: Functions) -> Format:
    thought = tag("<mm:think>", any_text("<mm:think>", "</mm:think>", _M3), "</mm:think>")
    thinking = repeated("optional", either([thought, const("</mm:think>")]))
    return sequence(thinking, _minimax_m3(functions))


def _m3_element(tag: str, schema: Schema) -> Format:
    return sequence(const(f"{_M3}<{tag}>"), _m3_value(tag, schema), const(f"{_M3}</{tag}>"))


def _m3_value(tag: str, schema: Schema) -> Format:
    free = any_text(f"</{tag}>", *_M3_OUTER)
    text = text_value(schema, _M3, f"</{tag}>", *_M3_OUTER)
    if text is not None:
        return text
    declared = own_type(schema)
    if declared == "array":
        items = schema.get("items")
        item = items if isinstance(items, Mapping) else {}
        return repeated("star", _m3_element("item", item))
    if declared == "object":
        return members(schema, _m3_element) or free
    if all_types(schema) <= {"integer", "number", "boolean"} and declared is not None:
        return json_value(schema)
    return free


# A family without an entry has no structural tag; for these nothing is forced at all.
_UNCONSTRAINED = frozenset({"gemma4"})

_TAGGED: Mapping[str, _Tagged] = {
    "deepseek_v41": _Tagged(_dsml_free, _dsml_forced),
    "glm47_moe": _Tagged(_glm47),
    "hy_v4": _Tagged(_hy_v4),
    "inkling": _Tagged(_inkling),
    "kimi_k3": _Tagged(_kimi_k3),
    "kimik2": _Tagged(_kimi_k2),
    "minimax_m3": _Tagged(_minimax_m3, _m3_forced),
    "mistral": _Tagged(_mistral),
}
