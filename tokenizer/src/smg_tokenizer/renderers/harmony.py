"""Harmony, the prompt format of gpt-oss: messages with channels and recipients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from .contract import ContentFormat, JsonObject, Preparation, RenderOptions, ThinkingToggle
from .harmony_types import declared_function
from .segments import Prompt, Segment, any_of, joined
from .values import compact_json, final_text, functions_of, members, objects, text_of

__all__ = (
    "HARMONY_STOP_TOKEN_IDS",
    "HarmonyMessage",
    "HarmonyRenderer",
    "developer_text",
    "render_harmony",
    "system_text",
)

START = "<|start|>"
END = "<|end|>"
CALL = "<|call|>"
MESSAGE = "<|message|>"
CHANNEL = "<|channel|>"
CONSTRAIN = "<|constrain|>"
CONTROLS = any_of(START, END, CALL, MESSAGE, CHANNEL, CONSTRAIN)
# What ends a turn: <|return|> and <|call|>.
HARMONY_STOP_TOKEN_IDS = (200002, 200012)
CHANNELS = ("analysis", "commentary", "final")
EFFORTS: Mapping[str, str] = {"high": "high", "low": "low", "minimal": "low"}
FUNCTIONS = "functions."

Role = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmonyMessage:
    """One message. A tool's `name` is its full one, as in `functions.get_weather`.

    `content_type` starts with the constrain token where the output was constrained.
    """

    role: Role
    text: str
    name: str | None = None
    channel: str | None = None
    recipient: str | None = None
    content_type: str | None = None


def system_text(
    *,
    effort: str = "medium",
    today: date | None = None,
    channels: Sequence[str] = CHANNELS,
    has_functions: bool = False,
) -> str:
    """The system message: identity, date, how much to reason, and which channels there are."""
    lines = [
        "You are ChatGPT, a large language model trained by OpenAI.",
        "Knowledge cutoff: 2024-06",
    ]
    if today is not None:
        lines.append(f"Current date: {today.isoformat()}")
    lines += ["", f"Reasoning: {effort}", ""]
    listed = ", ".join(channels)
    lines.append(f"# Valid channels: {listed}. Channel must be included for every message.")
    if has_functions:
        lines.append("Calls to these tools must go to the commentary channel: 'functions'.")
    return "\n".join(lines)


def developer_text(*, instructions: str | None = None, tools: Sequence[JsonObject] = ()) -> str:
    """The developer message: instructions and function tools; of one name the first counts."""
    sections = []
    if instructions is not None:
        sections += ["# Instructions", instructions]
    declared: dict[str, str] = {}
    for function in map(members, functions_of(_function_tools(tools))):
        name = text_of(function, "name")
        if name not in declared:
            parameters = function.get("parameters")
            declared[name] = declared_function(name, text_of(function, "description"), parameters)
    if declared:
        sections += ["# Tools", "## functions", "namespace functions {", *declared.values()]
        sections.append("} // namespace functions")
    return "\n\n".join(sections)


def _function_tools(tools: Sequence[JsonObject]) -> list[JsonObject]:
    return [tool for tool in tools if tool.get("type", "function") == "function"]


def render_harmony(
    messages: Sequence[HarmonyMessage], *, invite: bool = True, drop_old_analysis: bool = True
) -> list[Segment]:
    """The prompt of a conversation; `invite` opens the assistant's next message.

    When the assistant spoke last in the final channel, its analysis before its first final message
    is left out, unless `drop_old_analysis` is false.
    """
    prompt = Prompt(CONTROLS)
    for message in _recent(messages) if drop_old_analysis else messages:
        _write(prompt, message)
    if invite:
        prompt.markup(START + "assistant")
    return prompt.segments()


def _recent(messages: Sequence[HarmonyMessage]) -> list[HarmonyMessage]:
    spoken = [message for message in messages if message.role == "assistant"]
    if not spoken or spoken[-1].channel != "final":
        return list(messages)
    first = next(n for n, message in enumerate(messages) if message.channel == "final")
    return [m for n, m in enumerate(messages) if n >= first or m.channel != "analysis"]


def _write(prompt: Prompt, message: HarmonyMessage) -> None:
    prompt.markup(START)
    if message.role == "tool":
        prompt.text(message.name or "")
    else:
        prompt.markup(message.role)
        prompt.text(f":{message.name}" if message.name else "")
    if message.recipient is not None and message.recipient != "all":
        prompt.text(f" to={message.recipient}")
    if message.channel is not None:
        prompt.markup(CHANNEL)
        prompt.text(message.channel)
    if message.content_type is not None:
        constrained = message.content_type.startswith(CONSTRAIN)
        prompt.markup(" " + CONSTRAIN if constrained else " ")
        prompt.text(message.content_type.removeprefix(CONSTRAIN))
    prompt.markup(MESSAGE)
    prompt.text(message.text)
    calls = message.role == "assistant" and message.recipient is not None
    prompt.markup(CALL if calls else END)


class HarmonyRenderer:
    """Writes gpt-oss prompts from chat messages. `now` gives the date in the system message."""

    content_format: ContentFormat = "string"
    thinking_toggle: ThinkingToggle = "none"
    thinking_key: str | None = None
    think_in_prefill = False
    preparation = Preparation(parse_arguments=False)

    def __init__(self, *, now: Callable[[], datetime] = datetime.now) -> None:
        self._now = now

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt. Raises `RenderingFailed` if there is nothing to continue."""
        return joined(self.render_segments(messages, options))

    def render_segments(
        self, messages: Sequence[JsonObject], options: RenderOptions
    ) -> list[Segment]:
        """The prompt in segments. Raises like `render`."""
        continued = final_text(messages, options)
        if continued is not None:
            messages = messages[:-1]
        conversation = [*self._preamble(options), *_conversation(messages)]
        prompt = Prompt(CONTROLS)
        invite = options.add_generation_prompt or continued is not None
        prompt.extend(render_harmony(conversation, invite=invite))
        if continued is not None:
            prompt.markup(f"{CHANNEL}final{MESSAGE}")
            prompt.text(continued)
        return prompt.segments()

    def _preamble(self, options: RenderOptions) -> list[HarmonyMessage]:
        tools = options.tools or ()
        effort = options.template_kwargs.get("reasoning_effort")
        system = system_text(
            effort=EFFORTS.get(effort, "medium") if isinstance(effort, str) else "medium",
            today=self._now().date(),
            # Commentary is for calls only.
            channels=CHANNELS if tools else ("analysis", "final"),
            has_functions=bool(_function_tools(tools)),
        )
        developer = developer_text(tools=tools)
        return [
            HarmonyMessage(role="system", text=system),
            HarmonyMessage(role="developer", text=developer),
        ]


def _conversation(messages: Sequence[JsonObject]) -> list[HarmonyMessage]:
    names: dict[object, str] = {}
    for message in messages:
        for call in objects(message.get("tool_calls")):
            call_id = call.get("id")
            if isinstance(call_id, str):
                names[call_id] = text_of(members(call.get("function")), "name")
    conversation: list[HarmonyMessage] = []
    for message in messages:
        text = text_of(message, "content")
        name = text_of(message, "name") or None
        match message.get("role"):
            case "system" | "developer" | "user" as role:
                conversation.append(HarmonyMessage(role=role, text=text, name=name))
            case "assistant":
                conversation += _assistant(message, text, name)
            case "tool" | "function" as role:
                call_id = text_of(message, "tool_call_id")
                called = names.get(call_id, call_id) if role == "tool" else name or ""
                conversation.append(
                    HarmonyMessage(
                        role="tool", text=text, name=FUNCTIONS + called, recipient="assistant"
                    )
                )
            case _:
                # Other roles are none of this format's.
                pass
    return conversation


def _assistant(message: JsonObject, text: str, name: str | None) -> list[HarmonyMessage]:
    calls = objects(message.get("tool_calls"))
    if not calls:
        # Reasoning that ended in an answer is not shown again.
        return [HarmonyMessage(role="assistant", text=text, name=name, channel="final")]
    written = []
    if reasoning := text_of(message, "reasoning_content"):
        written.append(
            HarmonyMessage(role="assistant", text=reasoning, name=name, channel="analysis")
        )
    for call in calls:
        function = members(call.get("function"))
        arguments = function.get("arguments", "")
        written.append(
            HarmonyMessage(
                role="assistant",
                text=arguments if isinstance(arguments, str) else compact_json(arguments),
                name=name,
                channel="commentary",
                recipient=FUNCTIONS + text_of(function, "name"),
                content_type="json",
            )
        )
    return written
