"""Reading loosely typed messages, and printing JSON the two ways that prompts need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import RenderingFailed
from .contract import JsonObject, RenderOptions

__all__ = (
    "compact_json",
    "final_text",
    "functions_of",
    "members",
    "objects",
    "parsed",
    "resolved_thinking",
    "sorted_deeply",
    "spaced_json",
    "text_of",
)


def spaced_json(value: object) -> str:
    """JSON as Python prints it by default, non-ASCII raw."""
    return json.dumps(value, ensure_ascii=False)


def compact_json(value: object) -> str:
    """JSON without blanks, non-ASCII raw."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sorted_deeply(value: object) -> object:
    """`value` with the members of all objects in order of their names."""
    if isinstance(value, Mapping):
        return {key: sorted_deeply(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [sorted_deeply(item) for item in value]
    return value


def text_of(value: JsonObject, key: str) -> str:
    """The text under `key`, empty if there is none."""
    text = value.get(key)
    return text if isinstance(text, str) else ""


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list; nothing if it is no list."""
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, dict)]


def members(value: object) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def functions_of(items: object) -> Iterator[Any]:
    """What tools or calls hold under `function`."""
    for item in objects(items):
        if "function" in item:
            yield item["function"]


def parsed(text: str) -> object:
    """The JSON value in `text`; raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def resolved_thinking(options: RenderOptions, keys: Sequence[str], default: bool) -> bool:
    """Whether to think: the first boolean under `keys`, else the caller's wish, else `default`."""
    for key in keys:
        value = options.template_kwargs.get(key)
        if isinstance(value, bool):
            return value
    return default if options.thinking is None else options.thinking


def final_text(messages: Sequence[JsonObject], options: RenderOptions) -> str | None:
    """The text that the prompt has to end with, None if no message is to be continued.

    Raises `RenderingFailed` if the last message is an assistant's without text.
    """
    if not options.continue_final_message or not messages:
        return None
    last = messages[-1]
    if last.get("role") != "assistant":
        return None
    content = last.get("content")
    if isinstance(content, str):
        return content
    texts = [text_of(part, "text") for part in objects(content) if "text" in part]
    if not texts:
        raise RenderingFailed("the final message has no text to continue")
    return "".join(texts)
