"""Writing calls the way each family's models do: what the parsers read, the other way round."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ("FORMATS", "MARKERS", "WrittenCall", "write_calls")

WrittenCall = tuple[str, Mapping[str, Any]]
"""A function's name and its arguments."""

Writer = Callable[[Sequence[WrittenCall]], str]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _object(name_key: str, name: str, arguments_key: str, arguments: Mapping[str, Any]) -> str:
    return json.dumps({name_key: name, arguments_key: arguments}, ensure_ascii=False)


def _dumped(arguments: Mapping[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _json(calls: Sequence[WrittenCall]) -> str:
    objects = [_object("name", name, "arguments", arguments) for name, arguments in calls]
    return objects[0] if len(objects) == 1 else "[" + ", ".join(objects) + "]"


def _llama(calls: Sequence[WrittenCall]) -> str:
    objects = [_object("name", name, "parameters", arguments) for name, arguments in calls]
    return "<|python_tag|>" + ";".join(objects)


def _mistral(calls: Sequence[WrittenCall]) -> str:
    objects = [_object("name", name, "arguments", arguments) for name, arguments in calls]
    return "[TOOL_CALLS] [" + ", ".join(objects) + "]"


def _qwen(calls: Sequence[WrittenCall]) -> str:
    objects = [_object("name", name, "arguments", arguments) for name, arguments in calls]
    return "\n".join(f"<tool_call>\n{one}\n</tool_call>" for one in objects)


def _cohere(calls: Sequence[WrittenCall]) -> str:
    objects = [_object("tool_name", name, "parameters", arguments) for name, arguments in calls]
    return "<|START_ACTION|>[" + ", ".join(objects) + "]<|END_ACTION|>"


def _deepseek(calls: Sequence[WrittenCall]) -> str:
    parts = [
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{_dumped(arguments)}\n```"
        "<｜tool▁call▁end｜>"
        for name, arguments in calls
    ]
    return "<｜tool▁calls▁begin｜>" + "\n".join(parts) + "<｜tool▁calls▁end｜>"


def _deepseek31(calls: Sequence[WrittenCall]) -> str:
    parts = [
        f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{_dumped(arguments)}<｜tool▁call▁end｜>"
        for name, arguments in calls
    ]
    return "<｜tool▁calls▁begin｜>" + "".join(parts) + "<｜tool▁calls▁end｜>"


def _kimi_k2(calls: Sequence[WrittenCall]) -> str:
    parts = [
        f"<|tool_call_begin|>functions.{name}:{index}<|tool_call_argument_begin|>"
        f"{_dumped(arguments)}<|tool_call_end|>"
        for index, (name, arguments) in enumerate(calls)
    ]
    return "<|tool_calls_section_begin|>" + "".join(parts) + "<|tool_calls_section_end|>"


def _qwen_xml(calls: Sequence[WrittenCall]) -> str:
    blocks: list[str] = []
    for name, arguments in calls:
        values = "".join(
            f"<parameter={key}>\n{_text(value)}\n</parameter>\n" for key, value in arguments.items()
        )
        blocks.append(f"<tool_call>\n<function={name}>\n{values}</function>\n</tool_call>")
    return "\n".join(blocks)


def _dsml(block: str, space: str) -> Writer:
    opening, closing = f"<｜DSML｜{space}", f"</｜DSML｜{space}"

    def write(calls: Sequence[WrittenCall]) -> str:
        lines = [f"{opening}{block}>"]
        for name, arguments in calls:
            lines.append(f'{opening}invoke name="{name}">')
            for key, value in arguments.items():
                is_string = "true" if isinstance(value, str) else "false"
                lines.append(
                    f'{opening}parameter name="{key}" string="{is_string}">{_text(value)}'
                    f"{closing}parameter>"
                )
            lines.append(f"{closing}invoke>")
        return "\n".join([*lines, f"{closing}{block}>"])

    return write


def _glm(newline: str) -> Writer:
    def write(calls: Sequence[WrittenCall]) -> str:
        blocks: list[str] = []
        for name, arguments in calls:
            values = "".join(
                f"<arg_key>{key}</arg_key>{newline}<arg_value>{_text(value)}</arg_value>{newline}"
                for key, value in arguments.items()
            )
            blocks.append(f"<tool_call>{name}{newline}{values}</tool_call>")
        return newline.join(blocks)

    return write


def _hy_v4(calls: Sequence[WrittenCall]) -> str:
    return "<tool_calls>" + _glm("")(calls) + "</tool_calls>"


def _kimi_k3(calls: Sequence[WrittenCall]) -> str:
    types = {str: "string", bool: "boolean", int: "number", float: "number", list: "array"}
    parts: list[str] = []
    for index, (name, arguments) in enumerate(calls, 1):
        parts.append(f'<|open|>call tool="{name}" index="{index}"<|sep|>')
        for key, value in arguments.items():
            kind = types.get(type(value), "object")
            parts.append(f'<|open|>argument key="{key}" type="{kind}"<|sep|>{_text(value)}')
            parts.append("<|close|>argument<|sep|>")
        parts.append("<|close|>call<|sep|>")
    return "<|open|>tools<|sep|>" + "".join(parts) + "<|close|>tools<|sep|>"


def _inkling(calls: Sequence[WrittenCall]) -> str:
    return "".join(
        f"<|message_model|>{name}<|content_invoke_tool_json|>"
        f"{_object('name', name, 'args', arguments)}<|end_message|>"
        for name, arguments in calls
    )


def _minimax_m2(calls: Sequence[WrittenCall]) -> str:
    lines = ["<minimax:tool_call>"]
    for name, arguments in calls:
        lines.append(f'<invoke name="{name}">')
        for key, value in arguments.items():
            lines.append(f'<parameter name="{key}">{_escaped(_text(value))}</parameter>')
        lines.append("</invoke>")
    return "\n".join([*lines, "</minimax:tool_call>"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_NS = "]<]minimax[>["


def _minimax_m3(calls: Sequence[WrittenCall]) -> str:
    invokes = [
        f'{_NS}<invoke name="{name}">'
        + "".join(_element(key, value) for key, value in arguments.items())
        + f"{_NS}</invoke>\n"
        for name, arguments in calls
    ]
    return f"{_NS}<tool_call>\n" + "".join(invokes) + f"{_NS}</tool_call>"


def _element(tag: str, value: object) -> str:
    if isinstance(value, dict):
        inside = "".join(_element(key, entry) for key, entry in value.items())
    elif isinstance(value, list):
        inside = "".join(_element("item", entry) for entry in value)
    else:
        inside = _escaped(_text(value))
    return f"{_NS}<{tag}>{inside}{_NS}</{tag}>"


def _gemma4(calls: Sequence[WrittenCall]) -> str:
    return "".join(
        f"<|tool_call>call:{name}{_braced(arguments)}<tool_call|>" for name, arguments in calls
    )


def _braced(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_braced(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_braced, value)) + "]"
    return f'<|"|>{value}<|"|>' if isinstance(value, str) else json.dumps(value)


def _pythonic(calls: Sequence[WrittenCall]) -> str:
    parts = [
        f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
        for name, arguments in calls
    ]
    return "[" + ", ".join(parts) + "]"


def _sarashina(calls: Sequence[WrittenCall]) -> str:
    entries = [{"name": name, "arguments": dict(arguments)} for name, arguments in calls]
    return "<|tool_calls|>" + repr(entries)


def _step3(calls: Sequence[WrittenCall]) -> str:
    parts: list[str] = []
    for name, arguments in calls:
        values = "".join(
            f'<steptml:parameter name="{key}">{_text(value)}</steptml:parameter>'
            for key, value in arguments.items()
        )
        parts.append(
            f'<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name="{name}">{values}'
            "</steptml:invoke><｜tool_call_end｜>"
        )
    return "<｜tool_calls_begin｜>" + "\n".join(parts) + "<｜tool_calls_end｜>"


FORMATS: Mapping[str, Writer] = {
    "cohere": _cohere,
    "deepseek": _deepseek,
    "deepseek31": _deepseek31,
    "deepseek32": _dsml("function_calls", ""),
    "deepseek_v4": _dsml("tool_calls", ""),
    "deepseek_v41": _dsml("calls", " "),
    "gemma4": _gemma4,
    "glm45_moe": _glm("\n"),
    "glm47_moe": _glm(""),
    "hy_v4": _hy_v4,
    "inkling": _inkling,
    "json": _json,
    "kimi_k3": _kimi_k3,
    "kimik2": _kimi_k2,
    "llama": _llama,
    "minimax_m2": _minimax_m2,
    "minimax_m3": _minimax_m3,
    "mistral": _mistral,
    "nemotron": _qwen_xml,
    "pythonic": _pythonic,
    "qwen": _qwen,
    "qwen_coder": _qwen_xml,
    "qwen_xml": _qwen_xml,
    "sarashina": _sarashina,
    "step3": _step3,
}
"""The writers by parser name. `passthrough` has none, no text is a call to it."""

MARKERS: Mapping[str, tuple[str, ...]] = {
    "cohere": ("<|START_ACTION|>", "<|END_ACTION|>", "<|END_RESPONSE|>"),
    "deepseek": (
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
        "\n```json\n",
        "\n```<｜tool▁call▁end｜>",
    ),
    "deepseek31": ("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>"),
    "deepseek32": ("<｜DSML｜function_calls>", "<｜DSML｜invoke", "</｜DSML｜parameter>"),
    "deepseek_v4": ("<｜DSML｜tool_calls>", "<｜DSML｜invoke", "</｜DSML｜invoke>"),
    "deepseek_v41": ("<｜DSML｜ calls>", "<｜DSML｜ invoke", "\n\n"),
    "gemma4": ("<|tool_call>", "<tool_call|>", '<|"|>', "call:"),
    "glm45_moe": ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_value>"),
    "glm47_moe": ("<tool_call>", "</tool_call>", "<arg_key>", "</arg_value>"),
    "hy_v4": ("<tool_calls>", "<tool_call>", "<arg_key>", "</arg_value>", "</tool_calls>"),
    "inkling": ("<|message_model|>", "<|content_invoke_tool_json|>", "<|end_message|>"),
    "json": ("{", "[", '{"name": "'),
    "kimi_k3": ("<|open|>", "<|close|>", "<|sep|>", "tools<|sep|>", "response<|sep|>"),
    "kimik2": ("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_end|>"),
    "llama": ("<|python_tag|>", ";", "{"),
    "minimax_m2": ("<minimax:tool_call>", "</invoke>", "</minimax:tool_call>"),
    "minimax_m3": (_NS + "<tool_call>", _NS + "</tool_call>", _NS),
    "mistral": ("[TOOL_CALLS] [", "[TOOL_CALLS]", "]"),
    "nemotron": ("<tool_call>", "</tool_call>", "<function=", "</parameter>"),
    "passthrough": ("<tool_call>", "{"),
    "pythonic": ("[", "(", "<|python_start|>", "'"),
    "qwen": ("<tool_call>\n", "\n</tool_call>", "{"),
    "qwen_coder": ("<tool_call>", "</tool_call>", "<function=", "</parameter>"),
    "qwen_xml": ("<tool_call>", "</tool_call>", "<function=", "</parameter>"),
    "sarashina": ("<|tool_calls|>", "[{", "'"),
    "step3": ("<｜tool_calls_begin｜>", "<｜tool_call_begin｜>", "</steptml:invoke>"),
}
"""Pieces of markup by parser name, to spoil texts with."""


def write_calls(name: str, calls: Sequence[WrittenCall]) -> str:
    """The markup of calls in the format of parser `name`; there must be one call at least."""
    return FORMATS[name](calls)
