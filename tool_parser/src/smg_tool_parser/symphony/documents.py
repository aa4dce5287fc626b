"""Structural tags for JSON calls and for parameters between tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..constraints import (
    Format,
    Functions,
    Schema,
    _any_text,
    _const,
    _either,
    _json,
    _members,
    _repeated,
    _sequence,
    _tag,
    _text_value,
)
from ..tools import own_type

__all__ = (
    "CONTAINERS",
    "SCALARS",
    "Draw",
    "Parameters",
    "array",
    "calls_between",
    "deepseek",
    "function_tags",
    "hy4",
    "k2_horizon",
    "key_value_tags",
    "listed",
    "minimax_m2",
    "objects",
    "one_or_more",
    "regex",
    "schema_tags",
    "side_by_side",
    "tagged_array",
    "triggered",
)

Draw = Callable[[Functions, bool], Format]
"""The document for these functions; one call only, if the flag says so."""

SCALARS = frozenset({"integer", "number", "boolean"})
CONTAINERS = frozenset({"array", "object"})


def regex(pattern: str) -> Format:
    return {"type": "regex", "pattern": pattern}


def triggered(triggers: Sequence[str], tags: Sequence[Format], once: bool) -> Format:
    return _limited(
        {
            "type": "triggered_tags",
            "triggers": list(triggers),
            "tags": list(tags),
            "at_least_one": True,
        },
        once,
    )


def side_by_side(tags: Sequence[Format], once: bool) -> Format:
    return _limited(
        {
            "type": "tags_with_separator",
            "tags": list(tags),
            "separator": "",
            "at_least_one": True,
        },
        once,
    )


def _limited(format: Format, once: bool) -> Format:
    return {**format, "stop_after_first": True} if once else format


def one_or_more(calls: Format, once: bool) -> Format:
    return calls if once else _repeated("plus", calls)


def listed(calls: Format, separator: str, once: bool) -> list[Format]:
    return [calls] if once else [calls, _repeated("star", _sequence(_const(separator), calls))]


# JSON


def objects(begin: str, end: str, trigger: str) -> Draw:
    def draw(functions: Functions, once: bool) -> Format:
        tags = [_tag(begin.replace("NAME", name), _json(schema), end) for name, schema in functions]
        return triggered([trigger], tags, once)

    return draw


def array(functions: Functions, once: bool) -> Format:
    calls = _either([
        _sequence(_const(f'{{"name": "{name}", "arguments": '), _json(schema), _const("}"))
        for name, schema in functions
    ])
    return _sequence(_const("["), *listed(calls, ", ", once), _const("]"))


def tagged_array(functions: Functions, once: bool) -> Format:
    tag = _tag("<TOOLCALL>", array(functions, once), "</TOOLCALL>")
    return triggered(["<TOOLCALL>"], [tag], once)


# Parameters between tags


class Parameters:
    """How one parameter is written: `begin KEY middle VALUE end`.

    `stops` must not occur in free text, nor `key_end` in a free key. With `loose`, a newline may
    stand at either end of a JSON value. With `free_containers`, arrays and objects are free text.
    """

    def __init__(
        self,
        begin: str,
        middle: str,
        end: str,
        *,
        key_end: str,
        stops: Sequence[str],
        loose: bool = False,
        free_containers: bool = False,
    ) -> None:
        self._begin = begin
        self._middle = middle
        self._end = end
        self._key_end = key_end
        self._stops = tuple(stops)
        self._loose = loose
        self._as_json = SCALARS if free_containers else SCALARS | CONTAINERS

    def content(self, schema: Schema) -> Format:
        """All parameters of a function; any at all, if none is declared."""
        free = self._parameter(_any_text(self._key_end), [_any_text(*self._stops)])
        return _members(schema, self._declared) or _repeated("star", free)

    def _declared(self, key: str, schema: Schema) -> Format:
        text = _text_value(schema, *self._stops)
        if text is not None:
            return self._parameter(_const(key), [text])
        if own_type(schema) not in self._as_json:
            return self._parameter(_const(key), [_any_text(*self._stops)])
        edge = [_repeated("optional", _const("\n"))] if self._loose else []
        return self._parameter(_const(key), [*edge, _json(schema), *edge])

    def _parameter(self, key: Format, value: Sequence[Format]) -> Format:
        return _sequence(_const(self._begin), key, _const(self._middle), *value, _const(self._end))


def calls_between(begin: str, end: str, trigger: str, parameters: Parameters) -> Draw:
    def draw(functions: Functions, once: bool) -> Format:
        tags = [
            _tag(begin.replace("NAME", name), parameters.content(schema), end)
            for name, schema in functions
        ]
        return triggered([trigger], tags, once)

    return draw


def function_tags(block: str, *, free_containers: bool = False) -> Draw:
    parameters = Parameters(
        "<parameter=",
        ">",
        "</parameter>\n",
        key_end=">",
        stops=("</parameter>", f"</{block}>", f"<{block}>"),
        loose=True,
        free_containers=free_containers,
    )
    return calls_between(
        f"<{block}>\n<function=NAME>\n", f"</function>\n</{block}>", f"<{block}>", parameters
    )


def key_value_tags(end: str, value_end: str) -> Draw:
    parameters = Parameters(
        "<arg_key>",
        "</arg_key>\n<arg_value>",
        value_end,
        key_end="</arg_key>",
        stops=("</arg_value>", "</tool_call>", "<tool_call>"),
    )
    return calls_between("<tool_call>NAME\n", end, "<tool_call>", parameters)


def schema_tags(tag: str) -> Draw:
    def draw(functions: Functions, once: bool) -> Format:
        tags = [
            _tag(f"<{tag}>{name}", _json(schema, style="glm_xml"), f"</{tag}>")
            for name, schema in functions
        ]
        return triggered([f"<{tag}>"], tags, once)

    return draw


def _alternatives(functions: Functions, parameters: Parameters, begin: str, end: str) -> Format:
    return _either([
        _sequence(_const(begin.replace("NAME", name)), parameters.content(schema), _const(end))
        for name, schema in functions
    ])


def hy4(functions: Functions, once: bool) -> Format:
    parameters = Parameters(
        "<arg_key:opensource>",
        "</arg_key:opensource><arg_value:opensource>",
        "</arg_value:opensource>",
        key_end="</arg_key:opensource>",
        stops=("</arg_value:opensource>", "</tool_call:opensource>"),
    )
    calls = _alternatives(
        functions, parameters, "<tool_call:opensource>NAME", "</tool_call:opensource>"
    )
    block = "<tool_calls:opensource>"
    tag = _tag(block, one_or_more(calls, once), "</tool_calls:opensource>")
    return triggered([block], [tag], once)


def k2_horizon(functions: Functions, once: bool) -> Format:
    parameters = Parameters(
        "<ifm|arg_key>",
        "</ifm|arg_key>\n<ifm|arg_value>",
        "</ifm|arg_value>\n",
        key_end="</ifm|arg_key>",
        stops=("</ifm|arg_value>", "</ifm|tool_call>", "<ifm|tool_call>"),
    )
    calls = _alternatives(functions, parameters, "<ifm|tool_call>NAME\n", "</ifm|tool_call>")
    lines = one_or_more(_sequence(_const("\n"), calls), once)
    block = "<ifm|tool_calls>"
    tag = _tag(block, _sequence(lines, _const("\n")), "</ifm|tool_calls>")
    return triggered([block], [tag], once)


def minimax_m2(functions: Functions, once: bool) -> Format:
    parameters = Parameters(
        '<parameter name="',
        '">',
        "</parameter>\n",
        key_end='">',
        stops=("</parameter>", "</invoke>", '<invoke name="', "</minimax:tool_call>"),
    )
    invokes = [
        _tag(f'<invoke name="{name}">\n', parameters.content(schema), "</invoke>\n")
        for name, schema in functions
    ]
    return _sequence(
        _const("\n<minimax:tool_call>\n"),
        side_by_side(invokes, once),
        _const("</minimax:tool_call>"),
    )


def deepseek(functions: Functions, once: bool) -> Format:
    text = _any_text("</｜DSML｜ parameter>", "</｜DSML｜ invoke>", "</｜DSML｜ calls>")
    value = _either([
        _sequence(_const('true">'), text),
        _sequence(_const('false">'), _json(True)),
    ])
    key = regex('[^"]+')
    parameter = _tag(
        '<｜DSML｜ parameter name="',
        _sequence(key, _const('" string="'), value),
        "</｜DSML｜ parameter>\n",
    )
    invokes = [
        _tag(
            f'<｜DSML｜ invoke name="{name}">\n',
            _repeated("star", parameter),
            "</｜DSML｜ invoke>\n",
        )
        for name, _ in functions
    ]
    return _sequence(
        _const("\n\n<｜DSML｜ calls>\n"),
        side_by_side(invokes, once),
        _const("</｜DSML｜ calls>"),
    )
