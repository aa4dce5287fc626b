"""Messages and parameters of a chat request, as renderers want them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..errors import RenderingFailed
from ..renderers.contract import ChatRenderer, JsonObject, Preparation

__all__ = ("prepare_messages", "prepare_tools", "template_kwargs_for", "thinking_from_effort")

MEDIA_TYPES: Mapping[str, str] = {
    "image_url": "image",
    "video_url": "video",
    "audio_url": "audio",
    "input_audio": "audio",
}
MEDIA = frozenset(MEDIA_TYPES.values())


def prepare_messages(
    messages: Sequence[JsonObject],
    renderer: ChatRenderer,
    *,
    placeholders: Mapping[str, str] | None = None,
    media_in_order: bool = False,
) -> list[dict[str, Any]]:
    """The messages of a request in the form that `renderer` reads; the originals stay as they are.

    Lists of content parts become a text or simplified parts, call arguments become objects, and an
    assistant without content gets None. `placeholders` maps image, video and audio to the text
    that stands for one of them in text formats; `media_in_order` keeps media where they were
    written instead of putting them first. Raises `RenderingFailed` for arguments that are not JSON.
    """
    wishes = renderer.preparation
    structured = renderer.content_format == "openai"
    prepared = []
    for original in messages:
        message = dict(original)
        role = message.get("role")
        if role == "developer" and wishes.developer_is_system:
            message["role"] = "system"
        if role == "assistant":
            message.setdefault("content", None)
            if wishes.parse_arguments and message.get("tool_calls"):
                message["tool_calls"] = _with_arguments(message["tool_calls"])
        content = message.get("content")
        if isinstance(content, list):
            message["content"] = (
                _simplified(content, media_in_order)
                if structured
                else _flattened(content, placeholders or {}, media_in_order)
            )
        elif isinstance(content, str) and structured and wishes.wrap_text:
            message["content"] = [{"type": "text", "text": content}]
        prepared.append(message)
    return prepared


def _simplified(parts: Sequence[object], media_in_order: bool) -> list[object]:
    simple: list[object] = []
    for part in parts:
        kind = MEDIA_TYPES.get(_kind(part))
        simple.append(part if kind is None else {"type": kind})
    if media_in_order:
        return simple
    media = [part for part in simple if _kind(part) in MEDIA]
    return media + [part for part in simple if _kind(part) not in MEDIA]


def _flattened(parts: Sequence[object], placeholders: Mapping[str, str], in_order: bool) -> object:
    media: list[str] = []
    texts: list[str] = []
    for part in parts:
        kind = _kind(part)
        if kind in MEDIA_TYPES:
            placeholder = placeholders.get(MEDIA_TYPES[kind])
            if placeholder is not None:
                (texts if in_order else media).append(placeholder)
        elif isinstance(part, Mapping) and isinstance(text := part.get("text"), str):
            texts.append(text)
    # Nothing that can be printed: the template sees what was sent.
    return "\n".join(media + texts) if media or texts else parts


def _kind(part: object) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind if isinstance(kind, str) else ""


def _with_arguments(calls: object) -> object:
    if not isinstance(calls, list):
        return calls
    parsed: list[object] = []
    for call in calls:
        match call:
            case {"function": {"arguments": str(text)} as function}:
                function = {**function, "arguments": _parse_arguments(text)}
                parsed.append({**call, "function": function})
            case _:
                parsed.append(call)
    return parsed


def _parse_arguments(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = f"Failed to parse tool call arguments as JSON: '{text}'. Error: {error}"
        raise RenderingFailed(reason) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def prepare_tools(
    tools: Sequence[JsonObject] | None, tool_choice: object, preparation: Preparation
) -> list[dict[str, Any]] | None:
    """The tools of a request as renderers print them, None if there are none to print.

    A function without parameters gets an empty object of them. With the choice "none" nothing is
    printed, unless the format has words for that choice (`keep_tools_unused`).
    """
    if not tools or (tool_choice == "none" and not preparation.keep_tools_unused):
        return None
    prepared = []
    for tool in tools:
        function = tool.get("function")
        if isinstance(function, Mapping) and "parameters" not in function:
            prepared.append({**tool, "function": {**function, "parameters": {}}})
        else:
            prepared.append(dict(tool))
    return prepared


def template_kwargs_for(
    *,
    reasoning_effort: str | None = None,
    tool_choice: object = None,
    response_format: object = None,
    has_tools: bool = False,
    chat_template_kwargs: JsonObject | None = None,
) -> dict[str, object]:
    """The variables that a request gives to templates; its own `chat_template_kwargs` win."""
    variables: dict[str, object] = {}
    if reasoning_effort is not None:
        variables["reasoning_effort"] = reasoning_effort
    if tool_choice is not None or has_tools:
        variables["tool_choice"] = "auto" if tool_choice is None else tool_choice
    if response_format is not None:
        variables["response_format"] = response_format
    variables.update(chat_template_kwargs or {})
    return variables


def thinking_from_effort(reasoning_effort: str | None) -> bool | None:
    """What an OpenAI reasoning effort says about thinking: "none" and "minimal" switch it off."""
    return False if reasoning_effort in {"none", "minimal"} else None
