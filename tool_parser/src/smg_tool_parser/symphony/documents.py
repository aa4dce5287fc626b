"""Structural tags for JSON calls and for parameters between tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    sequence,
    tag,
    text_value,
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
    "schema_tags",
    "side_by_side",
    "tagged_array",
    "triggered",
)

Draw = Callable[[Functions, bool], Format]
"""The document for these functions; one call only, if the flag says so."""

SCALARS = frozenset({"integer", "number", "boolean"})
CONTAINERS = frozenset({"array", "object"})


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
    return calls if once else repeated("plus", calls)


def listed(calls: Format, separator: str, once: bool) -> list[Format]:
    return [calls] if once else [calls, repeated("star", sequence(const(separator), calls))]


# JSON


def objects(begin: str, end: str, trigger: str) -> Draw:
    def draw(functions: Functions, once: bool) -> Format:
        tags = [
            tag(begin.replace("NAME", name), json_value(schema), end) for name, schema in functions
        ]
        return triggered([trigger], tags, once)

    return draw


def array(functions: Functions, once: bool) -> Format:
    calls = either([
        sequence(const(f'{{"name": "{name}", "arguments": '), json_value(schema), const("}"))
        for name, schema in functions
    ])
    return sequence(const("["), *listed(calls, ", ", once), const("]"))


def tagged_array(functions: Functions, once: bool) -> Format:
    wrapper = tag("<TOOLCALL>", array(functions, once), "</TOOLCALL>")
    return triggered(["<TOOLCALL>"], [wrapper], once)


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
        free = self._parameter(any_text(self._key_end), [any_text(*self._stops)])
        return members(schema, self._declared) or repeated("star", free)

    def _declared(self, key: str, schema: Schema) -> Format:
        text = text_value(schema, *self._stops)
        if text is not None:
            return self._parameter(const(key), [text])
        if own_type(schema) not in self._as_json:
            return self._parameter(const(key), [any_text(*self._stops)])
        edge = [repeated("optional", const("\n"))] if self._loose else []
        return self._parameter(const(key), [*edge, json_value(schema), *edge])

    def _parameter(self, key: Format, value: Sequence[Format]) -> Format:
        return sequence(const(self._begin), key, const(self._middle), *value, const(self._end))


def calls_between(begin: str, end: str, trigger: str, parameters: Parameters) -> Draw:
    def draw(functions: Functions, once: bool) -> Format:
        tags = [
            tag(begin.replace("NAME", name), parameters.content(schema), end)
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


def schema_tags(marker: str) -> Draw:
    def draw(functions: Functions, once: bool) -> Format:
        tags = [
            tag(f"<{marker}>{name}", json_value(schema, style="glm_xml"), f"</{marker}>")
            for name, schema in functions
        ]
        return triggered([f"<{marker}>"], tags, once)

    return draw


def _alternatives(functions: Functions, parameters: Parameters, begin: str, end: str) -> Format:
    return either([
        sequence(const(begin.replace("NAME", name)), parameters.content(schema), const(end))
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
    wrapper = tag(block, one_or_more(calls, once), "</tool_calls:opensource>")
    return triggered([block], [wrapper], once)


def k2_horizon(functions: Functions, once: bool) -> Format:
    parameters = Parameters(
        "<ifm|arg_key>",
        "</ifm|arg_key>\n<ifm|arg_value>",
        "</ifm|arg_value>\n",
        key_end="</ifm|arg_key>",
        stops=("</ifm|arg_value>", "</ifm|tool_call>", "<ifm|tool_call>"),
    )
    calls = _alternatives(functions, parameters, "<ifm|tool_call>NAME\n", "</ifm|tool_call>")
    lines = one_or_more(sequence(const("\n"), calls), once)
    block = "<ifm|tool_calls>"
    wrapper = tag(block, sequence(lines, const("\n")), "</ifm|tool_calls>")
    return triggered([block], [wrapper], once)


def minimax_m2(functions: Functions, once: bool) -> Format:
    parameters = Parameters(
        '<parameter name="',
        '">',
        "</parameter>\n",
        key_end='">',
        stops=("</parameter>", "</invoke>", '<invoke name="', "</minimax:tool_call>"),
    )
    invokes = [
        tag(f'<invoke name="{name}">\n', parameters.content(schema), "</invoke>\n")
        for name, schema in functions
    ]
    return sequence(
        const("\n<minimax:tool_call>\n"),
        side_by_side(invokes, once),
        const("</minimax:tool_call>"),
    )


def deepseek(functions: Functions, once: bool) -> Format:
    text = any_text("</｜DSML｜ parameter>", "</｜DSML｜ invoke>", "</｜DSML｜ calls>")
    value = either([
        sequence(const('true">'), text),
        sequence(const('false">'), json_value(True)),
    ])
    key = regex('[^"]+')
    parameter = tag(
        '<｜DSML｜ parameter name="',
        sequence(key, const('" string="'), value),
        "</｜DSML｜ parameter>\n",
    )
    invokes = [
        tag(
            f'<｜DSML｜ invoke name="{name}">\n',
            repeated("star", parameter),
            "</｜DSML｜ invoke>\n",
        )
        for name, _ in functions
    ]
    return sequence(
        const("\n\n<｜DSML｜ calls>\n"),
        side_by_side(invokes, once),
        const("</｜DSML｜ calls>"),
    )
