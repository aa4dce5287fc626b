"""What the DeepSeek formats share: tokens, call blocks, tools and who spoke last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import RenderingFailed
from .contract import JsonObject
from .segments import Prompt, any_of
from .values import functions_of, members, objects, parsed, spaced_json, text_of

__all__: tuple[str, ...] = ()

BOS = "<｜begin▁of▁sentence｜>"
EOS = "<｜end▁of▁sentence｜>"
USER = "<｜User｜>"
ASSISTANT = "<｜Assistant｜>"
THINK = "<think>"
END_THINK = "</think>"
DSML = "｜DSML｜"
SYSTEM = "<｜System｜>"
REMINDER = "<｜latest_reminder｜>"
TASKS = frozenset({"action", "query", "authority", "domain", "title", "read_url"})
CONTROLS = any_of(
    BOS,
    EOS,
    USER,
    ASSISTANT,
    THINK,
    END_THINK,
    DSML,
    SYSTEM,
    REMINDER,
    *(f"<｜{t}｜>" for t in TASKS),
)


@dataclass(frozen=True, slots=True)
class CallMarkup:
    """The element names of call blocks, which the generations spell differently."""

    block: str
    invoke: str = "invoke"
    parameter: str = "parameter"
    # What becomes of arguments that are no object: one parameter of this name, or nothing.
    whole_arguments: str | None = None


def with_tools(
    messages: Sequence[JsonObject], tools: Sequence[JsonObject] | None
) -> list[dict[str, Any]]:
    """The messages with `tools` on the first one, which is made a system message if need be.

    Tools that messages bring along are not part of these formats.
    """
    copies = [
        {key: value for key, value in message.items() if key != "tools"} for message in messages
    ]
    if not tools:
        return copies
    if not copies or copies[0].get("role") not in {"system", "developer"}:
        copies.insert(0, {"role": "system", "content": ""})
    copies[0]["tools"] = list(tools)
    return copies


def last_user(messages: Sequence[JsonObject]) -> int:
    """The place of the last message by a user or developer, -1 if there is none."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].get("role") in {"user", "developer"}:
            return place
    return -1


def without_old_thoughts(
    messages: Sequence[dict[str, Any]], kept_roles: frozenset[str]
) -> list[dict[str, Any]]:
    """The messages, those before the last user without reasoning or, by role, not at all."""
    last = last_user(messages)
    kept = []
    for place, message in enumerate(messages):
        role = message.get("role")
        if place >= last or role in kept_roles:
            kept.append(message)
        elif role == "assistant":
            kept.append({k: v for k, v in message.items() if k != "reasoning_content"})
    return kept


def write_tools(prompt: Prompt, message: JsonObject, before: str, after: str) -> None:
    """The tools of a message, one schema a line, between the two parts of the instructions."""
    tools = list(functions_of(message.get("tools")))
    if not tools:
        return
    prompt.markup("\n\n" + before)
    prompt.text("\n".join(map(spaced_json, tools)))
    prompt.markup(after)


def write_response_format(prompt: Prompt, message: JsonObject) -> None:
    """The schema that a message asks answers to follow."""
    if "response_format" not in message:
        return
    prompt.markup(
        "\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"
    )
    prompt.text(spaced_json(message["response_format"]))


def write_calls(prompt: Prompt, message: JsonObject, names: CallMarkup) -> None:
    """The call block of an assistant message, if it has calls."""
    functions = list(map(members, functions_of(message.get("tool_calls"))))
    if not functions:
        return
    prompt.markup(f"\n\n<{DSML}{names.block}>\n")
    for function in functions:
        prompt.markup(f'<{DSML}{names.invoke} name="')
        prompt.text(text_of(function, "name"))
        prompt.markup('">\n')
        _write_parameters(prompt, function.get("arguments"), names)
        prompt.markup(f"\n</{DSML}{names.invoke}>\n")
    prompt.markup(f"</{DSML}{names.block}>")


def _write_parameters(prompt: Prompt, given: object, names: CallMarkup) -> None:
    for number, (name, value) in enumerate(_arguments(given, names).items()):
        kind = "true" if isinstance(value, str) else "false"
        prompt.markup(("\n" if number else "") + f'<{DSML}{names.parameter} name="')
        prompt.text(str(name))
        prompt.markup(f'" string="{kind}">')
        prompt.text(value if isinstance(value, str) else spaced_json(value))
        prompt.markup(f"</{DSML}{names.parameter}>")


def _arguments(given: object, names: CallMarkup) -> dict[str, object]:
    value = given
    if isinstance(given, str):
        try:
            value = parsed(given)
        except ValueError as error:
            if names.whole_arguments is None:
                reason = f"Failed to parse tool-call arguments as JSON: {error}"
                raise RenderingFailed(reason) from error
    if isinstance(value, dict):
        return value
    if value is None or names.whole_arguments is None:
        return {}
    return {names.whole_arguments: value}


def text_parts(content: object) -> str:
    """The text of a message: as it is, or its parts with a blank line between them."""
    if isinstance(content, str):
        return content
    parts = []
    for part in objects(content):
        kind = part.get("type")
        parts.append(text_of(part, "text") if kind == "text" else f"[Unsupported {kind}]")
    return "\n\n".join(parts)
