"""The prompt format of Kimi K3: messages as elements between control tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import RenderingFailed
from .contract import ContentFormat, JsonObject, Preparation, RenderOptions, ThinkingToggle
from .segments import Prompt, Segment, any_of, joined
from .values import (
    compact_json,
    final_text,
    members,
    objects,
    parsed,
    resolved_thinking,
    sorted_deeply,
    text_of,
)

__all__ = ("KimiK3Renderer", "ToolsWithContent")

OPEN = "<|open|>"
CLOSE = "<|close|>"
SEPARATOR = "<|sep|>"
END_OF_MESSAGE = "<|end_of_msg|>"
# One for each image; whoever prepares the images replaces it.
IMAGE = "<|kimi_image_placeholder|>"
CONTROLS = any_of(OPEN, CLOSE, SEPARATOR, END_OF_MESSAGE, IMAGE)
EFFORTS = ("high", "low", "max")
DEFAULT_EFFORT = "max"

# The words below are the model's training, to the letter.
TOOLS = "# Tools\nHere are the available tools, described in JSONSchema.\n\n"
MORE_TOOLS = (
    "## New Tools Available\n"
    "The system dynamically extends the toolset via lazy-loading.\n"
    "You have access to all existing and extended tools.\n"
    "Here are the specs for the extended tools.\n\n"
)
EFFORT = (
    "`thinking_effort` guides on how much to think in your thinking channel (not including the "
    "response channel), supported values include `low`, `medium`, `high`, and `max`.\n"
    "Now the system is invoked with `thinking_effort={}`."
)
CHOICES: Mapping[object, str] = {
    "required": (
        "The system is invoked with `tool_choice=required`.\n"
        "You MUST call tools in the next message."
    ),
    "none": (
        "The system is invoked with `tool_choice=none`.\n"
        "You MUST NOT call any tools in the next message."
    ),
}
RAW_JSON = (
    "The system is invoked with `response_format={}`.\n"
    "Your response must be raw JSON data without markdown code blocks (```json) or any additional "
    "formatting."
)
SCHEMA = "\nThe JSON data must match the following schema:\n"


class ToolsWithContent(RenderingFailed):
    """A message that declares tools says something beside."""


class KimiK3Renderer:
    """Writes Kimi K3 prompts. Thinking is on unless switched off."""

    content_format: ContentFormat = "openai"
    thinking_toggle: ThinkingToggle = "default_on"
    thinking_key: str | None = "thinking"
    think_in_prefill = True
    preparation = Preparation(parse_arguments=False, keep_tools_unused=True, ordinary_text=True)

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt. Raises `RenderingFailed` for conversations that the format can not hold."""
        return joined(self.render_segments(messages, options))

    def render_segments(
        self, messages: Sequence[JsonObject], options: RenderOptions
    ) -> list[Segment]:
        """The prompt in segments. Raises like `render`."""
        continued = final_text(messages, options)
        if continued is not None:
            messages = messages[:-1]
        thinking = resolved_thinking(options, ("thinking",), default=True)
        writer = _Writer(thinking)
        if options.tools:
            writer.declare(TOOLS, options.tools)
        if thinking:
            writer.instruct("thinking-effort", EFFORT.format(_effort(options.template_kwargs)))
        for message in _in_call_order(messages):
            writer.write(message)
        choice = options.template_kwargs.get("tool_choice")
        if isinstance(choice, str) and choice in CHOICES:
            writer.instruct("tool-choice", CHOICES[choice])
        writer.ask_for_format(options.template_kwargs)
        if options.add_generation_prompt or continued is not None:
            writer.invite()
        writer.prompt.text(continued or "")
        return writer.prompt.segments()


def _effort(variables: JsonObject) -> str:
    wanted = variables.get("thinking_effort")
    if wanted is not None:
        if wanted in EFFORTS and isinstance(wanted, str):
            return wanted
        raise RenderingFailed(
            f"Unsupported thinking_effort={compact_json(wanted)}; "
            'supported values are ["high", "low", "max"].'
        )
    effort = variables.get("reasoning_effort")
    return effort if isinstance(effort, str) and effort in EFFORTS else DEFAULT_EFFORT


class _Writer:
    def __init__(self, thinking: bool) -> None:
        self.prompt = Prompt(CONTROLS)
        self._thinking = thinking
        self._calls: list[dict[str, Any]] = []
        self._results = 0

    def open(self, tag: str, **attributes: str) -> None:
        self.prompt.markup(OPEN + tag)
        for name, value in attributes.items():
            self.prompt.markup(f' {name}="')
            self.prompt.text(value.replace("&", "&amp;").replace('"', "&quot;"))
            self.prompt.markup('"')
        self.prompt.markup(SEPARATOR)

    def close(self, tag: str) -> None:
        self.prompt.markup(CLOSE + tag + SEPARATOR)

    def end_message(self) -> None:
        self.close("message")
        self.prompt.markup(END_OF_MESSAGE)

    def instruct(self, kind: str, words: str) -> None:
        self.open("message", role="system", type=kind)
        self.prompt.markup(words)
        self.end_message()

    def declare(self, words: str, tools: object) -> None:
        self.open("message", role="system", type="tool-declare")
        self.prompt.markup(words + "```json\n")
        self.prompt.text(compact_json(sorted_deeply(tools)))
        self.prompt.markup("\n```")
        self.end_message()

    def ask_for_format(self, variables: JsonObject) -> None:
        wanted = variables.get("response_format")
        kind = wanted if isinstance(wanted, str) else members(wanted).get("type")
        if kind == "json_object":
            self.instruct("response-format", RAW_JSON.format(kind))
        elif kind == "json_schema":
            schema = members(members(wanted).get("json_schema")).get("schema")
            schema = variables.get("response_schema", schema)
            self.open("message", role="system", type="response-format")
            self.prompt.markup(RAW_JSON.format(kind) + SCHEMA + "```json\n")
            self.prompt.text(compact_json(sorted_deeply(schema)))
            self.prompt.markup("\n```")
            self.end_message()

    def invite(self) -> None:
        self.open("message", role="assistant")
        self.open("think" if self._thinking else "response")

    def write(self, message: JsonObject) -> None:
        role = message.get("role")
        if role in {"system", "developer"} and objects(message.get("tools")):
            if message.get("content"):
                raise ToolsWithContent(
                    f"'tools' on a message with role '{role}' requires empty content"
                )
            if role == "system":
                self.declare(MORE_TOOLS, message["tools"])
            return
        match role:
            case "user" | "system":
                self.open("message", role=str(role), **_name(message))
                self._content(message.get("content"))
                self.end_message()
            case "tool":
                self._write_result(message)
            case "assistant":
                self._calls = objects(message.get("tool_calls"))
                self._results = 0
                self.open("message", role="assistant", **_name(message))
                self._write_answer(message)
                self.end_message()
            case _:
                # Developers and unknown roles have no voice in this format.
                pass

    def _content(self, content: object) -> None:
        if isinstance(content, str):
            self.prompt.text(content)
            return
        for part in objects(content):
            if part.get("type") in {"image", "image_url"}:
                self.prompt.markup(IMAGE)
            else:
                self.prompt.text(text_of(part, "text"))

    def _write_result(self, message: JsonObject) -> None:
        self._results += 1
        name = message.get("tool")
        if not isinstance(name, str):
            name = message.get("name")
        if not isinstance(name, str) and self._results <= len(self._calls):
            name = _called(self._calls[self._results - 1]).get("name")
        if not isinstance(name, str):
            raise RenderingFailed(
                "Kimi K3 tool messages need a resolvable tool name: carry `tool`/`name`, or match "
                "a preceding assistant tool_call by order."
            )
        self.open("message", role="tool", tool=name, index=str(self._results))
        self._content(message.get("content"))
        self.end_message()

    def _write_answer(self, message: JsonObject) -> None:
        if self._thinking:
            reasoning = message.get("reasoning_content") or message.get("reasoning")
            self.open("think")
            if reasoning is not None:
                text = reasoning if isinstance(reasoning, str) else compact_json(reasoning)
                self.prompt.text(text if text.strip() else "")
            self.close("think")
        self.open("response")
        self._content(message.get("content"))
        self.close("response")
        if not self._calls:
            return
        self.open("tools")
        for index, call in enumerate(self._calls, 1):
            name = _called(call).get("name")
            if not isinstance(name, str):
                raise RenderingFailed("Kimi K3 tool call is missing a function name")
            self.open("call", tool=name, index=str(index))
            self._write_arguments(_called(call).get("arguments"))
            self.close("call")
        self.close("tools")

    def _write_arguments(self, given: object) -> None:
        arguments = given
        if isinstance(given, str):
            if not given.strip():
                return
            try:
                arguments = parsed(given)
            except ValueError:
                arguments = None
            if not isinstance(arguments, dict):
                # What is no object is shown to the model as it was written.
                self.open("json", type="object")
                self.prompt.text(given)
                self.close("json")
                return
        for key, value in members(arguments).items():
            self.open("argument", key=key, type=_type_name(value))
            self.prompt.text(value if isinstance(value, str) else compact_json(value))
            self.close("argument")


def _called(call: JsonObject) -> JsonObject:
    function = call.get("function")
    return function if isinstance(function, dict) else call


def _name(message: JsonObject) -> dict[str, str]:
    name = message.get("name")
    return {"name": name} if isinstance(name, str) and name else {}


def _type_name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _in_call_order(messages: Sequence[JsonObject]) -> list[JsonObject]:
    """The messages, each run of results in the order of the calls they all answer."""
    ordered: list[JsonObject] = []
    answered: dict[str, tuple[int, object]] = {}
    place = 0
    while place < len(messages):
        message = messages[place]
        if message.get("role") != "tool":
            if message.get("role") == "assistant":
                answered = _calls_by_id(message.get("tool_calls"))
            ordered.append(message)
            place += 1
            continue
        run = []
        while place < len(messages) and messages[place].get("role") == "tool":
            run.append(messages[place])
            place += 1
        ordered += _sorted_run(run, answered)
    return ordered


def _calls_by_id(calls: object) -> dict[str, tuple[int, object]]:
    by_id: dict[str, tuple[int, object]] = {}
    for position, call in enumerate(objects(calls)):
        if call.get("id") is not None:
            by_id.setdefault(str(call["id"]), (position, _called(call).get("name")))
    return by_id


def _sorted_run(
    run: Sequence[JsonObject], answered: Mapping[str, tuple[int, object]]
) -> list[JsonObject]:
    matched = []
    for message in run:
        call_id = message.get("tool_call_id", message.get("id"))
        entry = None if call_id is None else answered.get(str(call_id))
        if entry is None:
            return list(run)
        position, name = entry
        if isinstance(name, str):
            message = {**message, "tool": name}
        matched.append((position, message))
    matched.sort(key=lambda pair: pair[0])
    return [message for _, message in matched]
