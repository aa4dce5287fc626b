"""Structural tags for calls in an output that may also be text, in each family's own markup.

They serve `strict` tools with a choice of "auto": text stays free, and what looks like a call must
be one, of a declared function and with arguments that fit its schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    regex,
    repeated,
    separated,
    separated_members,
    sequence,
    text_value,
)
from .tools import own_type

__all__ = ("FREE_CALLS",)

_Build = Callable[[Functions], Format]

_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_INTEGER = r"-?(0|[1-9][0-9]*)"
_PYTHON_TEXT = r"('([^'\\\n]|\\.)*'|" + r'"([^"\\\n]|\\.)*")'
_PYTHON_SCALAR = f"({_PYTHON_TEXT}|{_NUMBER}|True|False|None)"
_PYTHON_TYPES = {
    "string": _PYTHON_TEXT,
    "integer": _INTEGER,
    "number": _NUMBER,
    "boolean": "(True|False)",
    "null": "None",
}


def _free(triggers: list[str], tags: list[Format]) -> Format:
    return {"type": "triggered_tags", "triggers": triggers, "tags": tags, "at_least_one": False}


def _json_calls(begin: str, end: str, trigger: str, key: str = "arguments") -> _Build:
    """One JSON object per call between `begin` and `end`."""

    def build(functions: Functions) -> Format:
        tags = [
            bare_tag(f'{begin}{{"name": "{name}", "{key}": ', json_value(schema), "}" + end)
            for name, schema in functions
        ]
        return _free([trigger], tags)

    return build


def _listed(begin: str, call: Callable[[str, Schema], Format], separator: str, end: str) -> _Build:
    """Calls behind one `begin`, with a separator between them."""

    def build(functions: Functions) -> Format:
        calls = separated([call(*function) for function in functions], separator)
        return _free([begin], [bare_tag(begin, calls, end)])

    return build


def _cohere_call(name: str, schema: Schema) -> Format:
    return bare_tag(f'{{"tool_name": "{name}", "parameters": ', json_value(schema), "}")


def _llama(functions: Functions) -> Format:
    # What separates calls is text; the second trigger catches the call behind it.
    tags = [
        bare_tag(f'{tag}{{"name": "{name}", "parameters": ', json_value(schema), "}")
        for name, schema in functions
        for tag in ("<|python_tag|>", "")
    ]
    return _free(["<|python_tag|>", '{"name": '], tags)


def _kimi_k2(functions: Functions) -> Format:
    section, call = "<|tool_calls_section_begin|>", "<|tool_call_begin|>"
    number, begin = regex("[0-9]+"), const("<|tool_call_argument_begin|>")
    tags = [
        bare_tag(
            f"{before}functions.{name}:",
            sequence(number, begin, json_value(schema)),
            "<|tool_call_end|>",
        )
        for name, schema in functions
        for before in (section + call, call)
    ]
    return _free([section, call], tags)


def _deepseek_call(name: str, schema: Schema) -> Format:
    begin = f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n"
    return bare_tag(begin, json_value(schema), "\n```<｜tool▁call▁end｜>")


def _deepseek31_call(name: str, schema: Schema) -> Format:
    begin = f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>"
    return bare_tag(begin, json_value(schema), "<｜tool▁call▁end｜>")


def _step3_call(name: str, schema: Schema) -> Format:
    parameters = _marked(
        schema, '<steptml:parameter name="', '">', "</steptml:parameter>", "</steptml:invoke>"
    )
    begin = f'<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="{name}">'
    return bare_tag(begin, parameters, "</steptml:invoke><｜tool_call_end｜>")


def _gemma4(functions: Functions) -> Format:
    from .symphony.constraints import drawing

    return {**drawing("gemma4", functions, once=False), "at_least_one": False}


# Parameters between markers


def _value(schema: Schema, *excludes: str) -> Format:
    """Text for strings, JSON for whatever has another type, text where no type is declared."""
    if own_type(schema) is None and "anyOf" not in schema:
        return any_text(*excludes)
    return text_value(schema, *excludes) or json_value(schema)


def _marked(schema: Schema, before: str, behind: str, end: str, *outer: str) -> Format:
    """Declared parameters in order, each `before` KEY `behind` VALUE `end`; else any."""
    excludes = (end.strip(), *outer)

    def member(key: str, declared: Schema) -> Format:
        return sequence(const(f"{before}{key}{behind}"), _value(declared, *excludes), const(end))

    declared = members(schema, member)
    if declared is not None:
        return declared
    key = regex(r'[^<>"\n]+')
    anything = sequence(const(before), key, const(behind), any_text(*excludes), const(end))
    return repeated("star", anything)


def _tagged_calls(
    begin: str, name_end: str, parameter: tuple[str, str, str], end: str, trigger: str
) -> _Build:
    def build(functions: Functions) -> Format:
        tags = [
            bare_tag(f"{begin}{name}{name_end}", _marked(schema, *parameter, trigger, end), end)
            for name, schema in functions
        ]
        return _free([trigger], tags)

    return build


def _minimax_m2(functions: Functions) -> Format:
    opener, closer = "<minimax:tool_call>", "</minimax:tool_call>"
    invokes = [
        bare_tag(
            f'<invoke name="{name}">\n',
            _marked(schema, '<parameter name="', '">', "</parameter>\n", "</invoke>", closer),
            "</invoke>\n",
        )
        for name, schema in functions
    ]
    return _free([opener], [bare_tag(opener + "\n", separated(invokes, ""), closer)])


def _dsml(block: str) -> _Build:
    opening, closing = "<｜DSML｜", "</｜DSML｜"
    end = f"{closing}parameter>\n"
    outer = (f"{closing}invoke>", f"{closing}{block}>")

    def text(schema: Schema) -> Format:
        value = text_value(schema, end.strip(), *outer) or any_text(end.strip(), *outer)
        return sequence(const('string="true">'), value)

    def member(key: str, declared: Schema) -> Format:
        kind = own_type(declared)
        other = sequence(const('string="false">'), json_value(declared))
        value = text(declared) if kind == "string" else other
        if kind is None:
            value = either([text({}), other])
        return sequence(const(f'{opening}parameter name="{key}" '), value, const(end))

    def build(functions: Functions) -> Format:
        start = const(f'{opening}parameter name="')
        anything = sequence(
            start, regex('[^"]+'), const('" '), either([text({}), _any_json()]), const(end)
        )
        invokes = [
            bare_tag(
                f'{opening}invoke name="{name}">\n',
                members(schema, member) or repeated("star", anything),
                f"{closing}invoke>\n",
            )
            for name, schema in functions
        ]
        opener = f"{opening}{block}>"
        calls = separated(invokes, "")
        return _free([opener], [bare_tag(opener + "\n", calls, f"{closing}{block}>")])

    return build


def _any_json() -> Format:
    return sequence(const('string="false">'), json_value({}))


# Python


def _python_value(schema: Schema) -> Format:
    literals = schema.get("enum")
    if isinstance(literals, list) and literals:
        return either([const(repr(one)) for one in literals])
    kind = own_type(schema)
    if kind == "array":
        items = schema.get("items")
        item = _python_value(items if isinstance(items, Mapping) else {})
        more = repeated("star", sequence(const(", "), item))
        return sequence(const("["), repeated("optional", sequence(item, more)), const("]"))
    if kind == "object":
        return _python_dict(schema)
    return regex(_PYTHON_TYPES.get(kind or "", _PYTHON_SCALAR))


def _python_dict(schema: Schema) -> Format:
    def member(key: str, declared: Schema) -> Format:
        return sequence(const(f"{key!r}: "), _python_value(declared))

    inside = separated_members(schema, ", ", member, by_name=False)
    if inside is None:
        entry = sequence(regex(_PYTHON_TEXT), const(": "), regex(_PYTHON_SCALAR))
        more = repeated("star", sequence(const(", "), entry))
        inside = repeated("optional", sequence(entry, more))
    return sequence(const("{"), inside, const("}"))


def _pythonic(functions: Functions) -> Format:
    def member(key: str, declared: Schema) -> Format:
        return sequence(const(f"{key}="), _python_value(declared))

    def arguments(schema: Schema) -> Format:
        keyword = sequence(regex("[A-Za-z_][A-Za-z0-9_]*"), const("="), regex(_PYTHON_SCALAR))
        more = repeated("star", sequence(const(", "), keyword))
        anything = repeated("optional", sequence(keyword, more))
        return separated_members(schema, ", ", member, by_name=False) or anything

    calls = {name: sequence(arguments(schema), const(")")) for name, schema in functions}
    further = [sequence(const(f"{name}("), rest) for name, rest in calls.items()]
    more = repeated("star", sequence(const(", "), either(further)))
    tags = [bare_tag(f"[{name}(", sequence(rest, more), "]") for name, rest in calls.items()]
    return _free([f"[{name}(" for name in calls], tags)


def _sarashina_call(name: str, schema: Schema) -> Format:
    return bare_tag(f"{{'name': {name!r}, 'arguments': ", _python_dict(schema), "}")


_QWEN_XML = _tagged_calls(
    "<tool_call>\n<function=",
    ">\n",
    ("<parameter=", ">\n", "\n</parameter>\n"),
    "</function>\n</tool_call>",
    "<tool_call>",
)

FREE_CALLS: Mapping[str, _Build] = {
    "cohere": _listed("<|START_ACTION|>[", _cohere_call, ", ", "]<|END_ACTION|>"),
    "deepseek": _listed("<｜tool▁calls▁begin｜>", _deepseek_call, "\n", "<｜tool▁calls▁end｜>"),
    "deepseek31": _listed("<｜tool▁calls▁begin｜>", _deepseek31_call, "", "<｜tool▁calls▁end｜>"),
    "deepseek32": _dsml("function_calls"),
    "deepseek_v4": _dsml("tool_calls"),
    "gemma4": _gemma4,
    "glm45_moe": _tagged_calls(
        "<tool_call>",
        "\n",
        ("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
        "</tool_call>",
        "<tool_call>",
    ),
    "json": _json_calls("", "", '{"name": '),
    "kimik2": _kimi_k2,
    "llama": _llama,
    "minimax_m2": _minimax_m2,
    "nemotron": _QWEN_XML,
    "pythonic": _pythonic,
    "qwen": _json_calls("<tool_call>\n", "\n</tool_call>", "<tool_call>"),
    "qwen_coder": _QWEN_XML,
    "qwen_xml": _QWEN_XML,
    "sarashina": _listed("<|tool_calls|>[", _sarashina_call, ", ", "]"),
    "step3": _listed("<｜tool_calls_begin｜>", _step3_call, "\n", "<｜tool_calls_end｜>"),
}
"""Families whose document for forced calls does not serve where text is free."""
