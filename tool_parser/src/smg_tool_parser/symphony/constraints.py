"""What an engine must be told so that forced calls come out in a table's own markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..constraints import (
    Constraint,
    ToolChoice,
    attribute,
    constraint_for,
    functions_of,
)
from ..structural_tags import (
    Format,
    Functions,
    Schema,
    any_text,
    const,
    either,
    json_value,
    members,
    regex,
    repeated,
    separated_members,
    sequence,
    tag,
    text_value,
)
from ..tools import own_type
from .documents import (
    CONTAINERS,
    SCALARS,
    Draw,
    Parameters,
    array,
    calls_between,
    deepseek,
    function_tags,
    hy4,
    k2_horizon,
    key_value_tags,
    listed,
    minimax_m2,
    objects,
    one_or_more,
    schema_tags,
    side_by_side,
    tagged_array,
    triggered,
)
from .parser import TABLE_NAMES, TableUnknown, TemplateMissing

__all__ = ("drawing", "symphony_constraint_for")

_STRING_LITERAL = r'"([^"\\]|\\.)*"' + "|" + r"'([^'\\]|\\.)*'"


def symphony_constraint_for(
    table: str, tools: Sequence[Mapping[str, Any]], tool_choice: object = "auto"
) -> Constraint | None:
    """The constraint for a table, tools and tool choice, each as in a chat completion request.

    A forced choice ("required", a named function, `allowed_tools` with mode "required") gets a
    structural tag, for `plain` a JSON schema; other choices get none. A named function is called
    once.

    Raises `TableUnknown`, `TemplateMissing` for `hf`, and `ConstraintConflict` for `plain`.
    """
    if table == "hf":
        raise TemplateMissing
    if table not in TABLE_NAMES:
        raise TableUnknown(table)
    if table == "plain":
        return constraint_for("json", tools, tool_choice)
    choice = ToolChoice(tool_choice)
    functions = functions_of(tools, choice)
    if not functions or choice.off or not choice.forced:
        return None
    once = choice.named is not None
    return Constraint("structural_tag", {"format": drawing(table, functions, once=once)})


def drawing(table: str, functions: Functions, *, once: bool) -> Format:
    """The structural tag of calls in a table's markup."""
    return _DRAWINGS[table](functions, once)


# Members with separators between them: braces, and Python's keywords


class _Braces:
    """`call:NAME{key:value,...}`; `null` is how nothing is written."""

    def __init__(self, begin: str, end: str, quotes: str, null: str) -> None:
        self._begin = begin
        self._end = end
        self._quotes = quotes
        self._null = null

    def __call__(self, functions: Functions, once: bool) -> Format:
        tags = [
            tag(f"{self._begin}call:{name}{{", self._members(schema), f"}}{self._end}")
            for name, schema in functions
        ]
        return triggered([self._begin], tags, once)

    def _members(self, schema: Schema) -> Format:
        declared = separated_members(schema, ",", self._member, by_name=True)
        if declared is not None:
            return declared
        key = regex(r"[^:,{}\[\]<]+")
        free = sequence(key, const(":"), self._anything())
        return self._some(free)

    def _member(self, key: str, schema: Schema) -> Format:
        return sequence(const(f"{key}:"), self._value(schema))

    def _some(self, one: Format) -> Format:
        more = repeated("star", sequence(const(","), one))
        return repeated("optional", sequence(one, more))

    def _anything(self) -> Format:
        number = r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
        bare = regex(f"{number}|true|false|{self._null}")
        return either([self._string(any_text(self._quotes, self._end)), bare])

    def _string(self, text: Format) -> Format:
        return sequence(const(self._quotes), text, const(self._quotes))

    def _value(self, schema: Schema) -> Format:
        text = text_value(schema, self._quotes, self._end)
        if text is not None:
            return self._string(text)
        union = schema.get("anyOf") or schema.get("oneOf")
        declared = schema.get("type")
        if isinstance(declared, list):
            return either([self._value({**schema, "type": one}) for one in declared])
        if isinstance(union, list):
            return either([self._value(one) for one in union if isinstance(one, Mapping)])
        if declared == "null":
            return const(self._null)
        if declared == "array":
            items = schema.get("items")
            item = self._value(items if isinstance(items, Mapping) else {})
            return sequence(const("["), self._some(item), const("]"))
        if declared == "object":
            return sequence(const("{"), self._members(schema), const("}"))
        return json_value(schema) if declared in SCALARS else self._anything()


class _Keywords:
    """`NAME(key=value, ...)`, one call behind the other."""

    def __init__(self, begin: str, end: str, trigger: str, separator: str, quotes: bool) -> None:
        self._begin = begin
        self._end = end
        self._trigger = trigger
        self._separator = separator
        self._quotes = quotes

    def __call__(self, functions: Functions, once: bool) -> Format:
        calls = either([
            sequence(
                const(f"{name}("),
                separated_members(schema, ", ", self._member, by_name=False) or any_text(")"),
                const(")"),
            )
            for name, schema in functions
        ])
        content = calls if once else sequence(*listed(calls, self._separator, once))
        return triggered([self._trigger], [tag(self._begin, content, self._end)], once)

    def _member(self, key: str, schema: Schema) -> Format:
        return sequence(const(f"{key}="), self._value(schema))

    def _value(self, schema: Schema) -> Format:
        declared = own_type(schema)
        if declared == "string" and self._quotes and not schema.get("enum"):
            return regex(_STRING_LITERAL)
        if declared == "string" or declared in SCALARS | CONTAINERS:
            return json_value(schema)
        return any_text(")")


# Channels and elements


_CHANNEL_TEXT = ("<|close|>", "<|open|>", "<|sep|>")
_ATTRIBUTE_TEXT = ('"', "<|")


def _kimi_k3(functions: Functions, once: bool) -> Format:
    calls = one_or_more(either([_channel_call(*function) for function in functions]), once)
    opener = "<|open|>tools<|sep|>"
    # After the one call that was asked for, the message is over.
    closer = "<|close|>tools<|sep|>" + ("<|close|>message<|sep|>" if once else "")
    before = ("<|close|>think<|sep|>", "<|close|>response<|sep|>")
    tags = [tag(start + opener, calls, closer) for start in ("", *before)]
    return triggered([opener, *before], tags, once)


def _channel_call(name: str, schema: Schema) -> Format:
    key = [const('<|open|>argument key="'), any_text(*_ATTRIBUTE_TEXT)]
    free = sequence(*key, const('" type="'), *_channel_value())
    return sequence(
        const(f'<|open|>call tool="{attribute(name)}" index="'),
        regex("[1-9][0-9]*"),
        const('"<|sep|>'),
        members(schema, _channel_argument) or repeated("star", free),
        const("<|close|>call<|sep|>"),
    )


def _channel_value() -> tuple[Format, ...]:
    return (
        any_text(*_ATTRIBUTE_TEXT),
        const('"<|sep|>'),
        any_text(*_CHANNEL_TEXT),
        const("<|close|>argument<|sep|>"),
    )


def _channel_argument(key: str, schema: Schema) -> Format:
    declared = own_type(schema)
    kind = "number" if declared == "integer" else declared
    begin = f'<|open|>argument key="{attribute(key)}" type="'
    if kind not in SCALARS | CONTAINERS | {"string"}:
        return sequence(const(begin), *_channel_value())
    value = text_value(schema, *_CHANNEL_TEXT) or json_value(schema)
    return sequence(const(f'{begin}{kind}"<|sep|>'), value, const("<|close|>argument<|sep|>"))


_TOKEN = "]<]minimax[>["
_OUTER = ("</invoke>", '<invoke name="', "</tool_call>")


def _minimax_m3(functions: Functions, once: bool) -> Format:
    invokes = [
        tag(
            f'{_TOKEN}<invoke name="{name}">',
            members(schema, _element) or any_text(*_OUTER),
            f"{_TOKEN}</invoke>\n",
        )
        for name, schema in functions
    ]
    block = tag("<tool_call>\n", side_by_side(invokes, once), f"{_TOKEN}</tool_call>")
    stops = (
        *("<mm:think>", "</mm:think>", "<tool_call>", "</tool_call>", '<invoke name="'),
        *("</invoke>", _TOKEN),
    )
    thought = tag("<mm:think>", any_text(*stops), "</mm:think>")
    return sequence(
        repeated("optional", either([thought, const("</mm:think>")])),
        sequence(repeated("optional", const(_TOKEN)), triggered(["<tool_call>"], [block], once)),
    )


def _element(tag: str, schema: Schema) -> Format:
    begin, end = f"{_TOKEN}<{tag}>", f"{_TOKEN}</{tag}>"
    return sequence(const(begin), _element_value(tag, schema), const(end))


def _element_value(tag: str, schema: Schema) -> Format:
    text = text_value(schema, _TOKEN, f"</{tag}>", *_OUTER)
    if text is not None:
        return text
    declared = own_type(schema)
    if declared in SCALARS:
        return json_value(schema)
    if declared == "array":
        items = schema.get("items")
        return repeated("star", _element("item", items if isinstance(items, Mapping) else {}))
    declared_members = members(schema, _element) if declared == "object" else None
    return declared_members or any_text(f"</{tag}>", *_OUTER)


_DRAWINGS: Mapping[str, Draw] = {
    "deepseek_v4.1": deepseek,
    "dots3": calls_between(
        '<dots_function_call>\n<invoke name="NAME">\n',
        "</invoke>\n</dots_function_call>",
        "<dots_function_call>",
        Parameters(
            '<parameter name="',
            '">\n',
            "\n</parameter>\n",
            key_end='">',
            stops=("</parameter>", "</invoke>", "</dots_function_call>"),
        ),
    ),
    "function_gemma": _Braces("<start_function_call>", "<end_function_call>", "<escape>", "None"),
    "gemma4": _Braces("<|tool_call>", "<tool_call|>", '<|"|>', "null"),
    "glm": schema_tags("tool_call"),
    "glm4": key_value_tags("</tool_call>", "</arg_value>\n"),
    "hy4": hy4,
    "inkling": objects(
        '<|content_invoke_tool_json|>{"name":"NAME","args":',
        "}<|end_message|>",
        "<|content_invoke_tool_json|>",
    ),
    "iquest": schema_tags("iquest_tool_call"),
    "json": array,
    "k2_horizon": k2_horizon,
    "kimi_k3": _kimi_k3,
    "lfm2.5": _Keywords(
        "<|tool_call_start|>[", "]<|tool_call_end|>", "<|tool_call_start|>", ", ", True
    ),
    "ling": key_value_tags("\n</tool_call>", "</arg_value>"),
    "llama_nemotron": tagged_array,
    "minicpm5": calls_between(
        '<function name="NAME">',
        "</function>",
        '<function name="',
        Parameters(
            '<param name="', '">', "</param>", key_end='">', stops=("</param>", "</function>")
        ),
    ),
    "minimax_m2": minimax_m2,
    "minimax_m3": _minimax_m3,
    "mistral_v13": objects("[TOOL_CALLS]NAME[ARGS]", "", "[TOOL_CALLS]"),
    "olmo3": _Keywords("<function_calls>", "</function_calls>", "<function_calls>", "\n", False),
    "qwen2.5": objects(
        '<tool_call>\n{"name": "NAME", "arguments": ', "}\n</tool_call>", "<tool_call>"
    ),
    "qwen3": objects(
        '<tool_call>\n{"name": "NAME", "arguments": ', "}\n</tool_call>", "<tool_call>"
    ),
    "qwen3_tagged": function_tags("tool_call"),
    "qwen3_tagged_direct": function_tags("tool_call"),
    "seed_oss": function_tags("seed:tool_call", free_containers=True),
    "xlam": array,
}
