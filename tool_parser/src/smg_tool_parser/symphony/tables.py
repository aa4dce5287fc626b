"""The tables: each format as data over one of the mechanisms."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .braces import BraceCalls
from .channels import Channels, Frames
from .elements import ElementCalls
from .keywords import KeywordCalls
from .objects import JsonCalls, NamedJson
from .reading import CallGrammar, Reader, Reasoning, Turns
from .tagged import Head, Tagged

__all__ = ("TABLES",)

_THINK = ("<think>", "</think>")


def _with_calls(calls: CallGrammar, marks: tuple[str, str] = _THINK) -> Turns:
    """Calls inside reasoning are reasoning."""
    return Turns(Reasoning(*marks), calls)


def _ended_by_calls(
    calls: CallGrammar, marks: tuple[str, str] = _THINK, *, once: bool = False
) -> Turns:
    """A call ends reasoning."""
    return Turns(Reasoning(*marks, ended_by=calls.openers, once=once), calls)


def _functions(block: str, *, framed: bool) -> Tagged:
    tags = (f"<{block}>", f"</{block}>")
    return Tagged(
        block=tags,
        call=("<function=", "</function>"),
        name_end=">",
        parameter="<parameter=",
        head_end=">",
        value_end="</parameter>",
        stops=tags,
        framed=framed,
    )


def _keys_and_values(
    call: str,
    *,
    prefix: str = "",
    suffix: str = "",
    block: str = "",
    stops_at_calls: bool = True,
) -> Tagged:
    def tags(name: str) -> tuple[str, str]:
        return f"<{prefix}{name}{suffix}>", f"</{prefix}{name}{suffix}>"

    (key, key_end), (value, value_end) = tags("arg_key"), tags("arg_value")
    opening, closing = tags(call)
    return Tagged(
        block=tags(block) if block else None,
        call=(opening, closing),
        parameter=key,
        head_middle=key_end,
        head_end=value,
        value_end=value_end,
        stops=(closing, opening) if stops_at_calls else (closing,),
    )


def _invokes(block: str, *, framed: bool = False, stops_at_calls: bool = False) -> Tagged:
    block_tags = (f"<{block}>", f"</{block}>")
    call = ('<invoke name="', "</invoke>")
    return Tagged(
        block=block_tags,
        call=call,
        name_end='">',
        parameter='<parameter name="',
        head_end='">',
        value_end="</parameter>",
        stops=(call[1], block_tags[1], *([call[0]] if stops_at_calls else [])),
        framed=framed,
    )


_DSML_HEAD = re.compile(r'([^"]+)" string="(true|false)')


def _dsml_head(head: str) -> Head | None:
    found = _DSML_HEAD.fullmatch(head)
    return (found.group(1), found.group(2) == "true") if found else None


def _dsml() -> Tagged:
    call = ('<｜DSML｜ invoke name="', "</｜DSML｜ invoke>")
    block = ("<｜DSML｜ calls>", "</｜DSML｜ calls>")
    return Tagged(
        block=block,
        call=call,
        name_end='">',
        parameter='<｜DSML｜ parameter name="',
        head_end='">',
        value_end="</｜DSML｜ parameter>",
        stops=(call[1], block[1]),
        read_head=_dsml_head,
    )


_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def _attributes(text: str) -> Mapping[str, str]:
    return {
        name: value.replace("&quot;", '"').replace("&amp;", "&")
        for name, value in _ATTRIBUTE.findall(text)
    }


def _channel_head(head: str) -> Head | None:
    attributes = _attributes(head)
    key = attributes.get("key")
    return None if key is None else (key, attributes.get("type", "string") == "string")


def _channel_calls() -> Tagged:
    return Tagged(
        block=("<|open|>tools<|sep|>", "<|close|>tools<|sep|>"),
        call=("<|open|>call ", "<|close|>call<|sep|>"),
        name_end="<|sep|>",
        parameter="<|open|>argument ",
        head_end="<|sep|>",
        value_end="<|close|>argument<|sep|>",
        stops=("<|close|>", "<|open|>", "<|sep|>"),
        read_name=lambda heading: _attributes(heading).get("tool", ""),
        read_head=_channel_head,
    )


def _parameters_of_a_function() -> Tagged:
    return Tagged(
        call=('<function name="', "</function>"),
        name_end='">',
        parameter='<param name="',
        head_end='">',
        value_end="</param>",
        stops=("</function>",),
    )


_MINIMAX_THINK = ("<mm:think>", "</mm:think>")
_BARE_WORDS = {"true": "true", "false": "false"}


def _tool_call_objects() -> JsonCalls:
    return JsonCalls(("<tool_call>", "</tool_call>"))


TABLES: Mapping[str, Callable[[], Reader]] = {
    "deepseek_v4.1": lambda: _ended_by_calls(_dsml()),
    "dots3": lambda: _ended_by_calls(_invokes("dots_function_call", framed=True)),
    "function_gemma": lambda: Turns(
        None,
        BraceCalls(
            ("<start_function_call>", "<end_function_call>"),
            "<escape>",
            {**_BARE_WORDS, "None": "null"},
        ),
    ),
    "gemma4": lambda: _ended_by_calls(
        BraceCalls(("<|tool_call>", "<tool_call|>"), '<|"|>', {**_BARE_WORDS, "null": "null"}),
        ("<|channel>thought\n", "<channel|>"),
    ),
    "glm": lambda: _with_calls(_keys_and_values("tool_call")),
    "glm4": lambda: _with_calls(_keys_and_values("tool_call")),
    "hy4": lambda: _with_calls(
        _keys_and_values(
            "tool_call", suffix=":opensource", block="tool_calls", stops_at_calls=False
        ),
        ("<think:opensource>", "</think:opensource>"),
    ),
    "inkling": lambda: Frames(
        JsonCalls(
            (
                "<|content_invoke_tool_json|>",
                "<|end_message|>",
                "<|content_model_end_sampling|>",
            ),
            arguments_keys=("args", "arguments"),
        )
    ),
    "iquest": lambda: _with_calls(_keys_and_values("iquest_tool_call")),
    "json": lambda: Turns(None, None, first=JsonCalls(None)),
    "k2_horizon": lambda: _with_calls(
        _keys_and_values("tool_call", prefix="ifm|", block="tool_calls"),
        ("<ifm|think>", "</ifm|think>"),
    ),
    "kimi_k3": lambda: Channels(_channel_calls()),
    "lfm2.5": lambda: _with_calls(
        KeywordCalls(("<|tool_call_start|>", "<|tool_call_end|>"), brackets=True, json_values=False)
    ),
    "ling": lambda: _with_calls(_keys_and_values("tool_call")),
    "llama_nemotron": lambda: _with_calls(JsonCalls(("<TOOLCALL>", "</TOOLCALL>"), array=True)),
    "minicpm5": lambda: _ended_by_calls(_parameters_of_a_function()),
    "minimax_m2": lambda: _ended_by_calls(_invokes("minimax:tool_call", stops_at_calls=True)),
    "minimax_m3": lambda: _ended_by_calls(
        ElementCalls("]<]minimax[>[", "tool_call", "invoke"), _MINIMAX_THINK, once=True
    ),
    "mistral_v13": lambda: _with_calls(
        NamedJson("[TOOL_CALLS]", "[ARGS]"), ("[THINK]", "[/THINK]")
    ),
    "olmo3": lambda: Turns(
        None,
        KeywordCalls(("<function_calls>", "</function_calls>"), brackets=False, json_values=True),
    ),
    "plain": lambda: Turns(None, None),
    "qwen2.5": lambda: Turns(None, _tool_call_objects()),
    "qwen3": lambda: _with_calls(_tool_call_objects()),
    "qwen3_tagged": lambda: _with_calls(_functions("tool_call", framed=True)),
    "qwen3_tagged_direct": lambda: _with_calls(_functions("tool_call", framed=False)),
    "seed_oss": lambda: _with_calls(
        _functions("seed:tool_call", framed=False), ("<seed:think>", "</seed:think>")
    ),
    "xlam": lambda: Turns(None, None, first=JsonCalls(None, alone=False)),
}
