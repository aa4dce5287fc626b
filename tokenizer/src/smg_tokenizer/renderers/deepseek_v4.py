"""The prompt formats of DeepSeek V4 and V4.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import RenderingFailed
from .contract import ContentFormat, JsonObject, Preparation, RenderOptions, ThinkingToggle
from .deepseek import (
    ASSISTANT,
    BOS,
    CONTROLS,
    DSML,
    END_THINK,
    EOS,
    REMINDER,
    SYSTEM,
    TASKS,
    THINK,
    USER,
    CallMarkup,
    last_user,
    text_parts,
    with_tools,
    without_old_thoughts,
    write_calls,
    write_response_format,
    write_tools,
)
from .segments import Prompt, Segment, joined
from .values import (
    compact_json,
    final_text,
    members,
    objects,
    resolved_thinking,
    spaced_json,
    text_of,
)

__all__ = ("DeepSeekV4Renderer", "DeepSeekV41Renderer")

KEPT_ROLES = frozenset({"user", "system", "tool", "latest_reminder", "direct_search_results"})
V4_CALLS = CallMarkup(block="tool_calls", whole_arguments="arguments")
V41_CALLS = CallMarkup(
    block=" calls", invoke=" invoke", parameter=" parameter", whole_arguments="arguments"
)

# The words below are the models' training, to the letter.
EFFORT_HIGH = (
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to "
    "resolve the root cause, rigorously stress-testing your logic against all potential paths, "
    "edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, "
    "considered alternative, and rejected hypothesis to ensure absolutely no assumption is left "
    "unchecked.\n\n"
)
EFFORT_MAX = (
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: "
    "exhaustively decompose the problem into its most fundamental components, trace every causal "
    "chain to its root, and resolve the underlying cause rather than any surface symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from multiple angles "
    "and are certain that no assumption remains unchecked and no error remains undiscovered.\n\n"
)
V4_EFFORTS: Mapping[object, str] = {
    None: EFFORT_HIGH,
    "high": EFFORT_HIGH,
    "xhigh": EFFORT_HIGH,
    "max": EFFORT_MAX,
}
V41_EFFORTS: Mapping[object, int] = {None: 50, "low": 25, "high": 50, "xhigh": 75, "max": 100}
TOOLS_AFTER = (
    "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke "
    "tool calls.\n"
)


def _tools_before(names: CallMarkup) -> str:
    block, invoke, parameter = names.block, names.invoke, names.parameter
    return f"""## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by \
writing a "<{DSML}{block}>" block like the following:

<{DSML}{block}>
<{DSML}{invoke} name="$TOOL_NAME">
<{DSML}{parameter} name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{DSML}{parameter}>
...
</{DSML}{invoke}>
<{DSML}{invoke} name="$TOOL_NAME2">
...
</{DSML}{invoke}>
</{DSML}{block}>

String parameters should be specified as is and set `string="true"`. For all other types (numbers, \
booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by {THINK}), you MUST output your complete reasoning inside \
{THINK}...{END_THINK} BEFORE any tool calls or final response.

Otherwise, output directly after {END_THINK} with tool calls or final response.

### Available Tool Schemas

"""


@dataclass(frozen=True, slots=True)
class _Style:
    """What sets the two generations apart."""

    name: str
    calls: CallMarkup
    # Written before every system text.
    system_mark: str


V4_STYLE = _Style("DeepSeek V4", V4_CALLS, "")
V41_STYLE = _Style("DeepSeek V4.1", V41_CALLS, SYSTEM)


class DeepSeekV4Renderer:
    """Writes DeepSeek V4 prompts. Thinking is on unless switched off."""

    content_format: ContentFormat = "string"
    thinking_toggle: ThinkingToggle = "default_on"
    thinking_key: str | None = "thinking"
    think_in_prefill = True
    preparation = Preparation()

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt. Raises `RenderingFailed` for conversations that the format can not hold."""
        return joined(self.render_segments(messages, options))

    def render_segments(
        self, messages: Sequence[JsonObject], options: RenderOptions
    ) -> list[Segment]:
        """The prompt in segments. Raises like `render`."""
        thinking = resolved_thinking(options, ("thinking", "enable_thinking"), default=True)
        effort = options.template_kwargs.get("reasoning_effort")
        effort_text = V4_EFFORTS.get(effort, "") if isinstance(effort, str | None) else ""
        prompt = Prompt(CONTROLS)
        prompt.markup(BOS + (effort_text if thinking else ""))
        continued = final_text(messages, options)
        if continued is not None:
            messages = messages[:-1]
        _write_conversation(prompt, messages, options, V4_STYLE, thinking)
        prompt.text(continued or "")
        return prompt.segments()


class DeepSeekV41Renderer:
    """Writes DeepSeek V4.1 prompts. Thinking is on unless switched off, with a graded effort."""

    content_format: ContentFormat = "openai"
    thinking_toggle: ThinkingToggle = "default_on"
    thinking_key: str | None = "thinking"
    think_in_prefill = True
    preparation = Preparation()

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt. Raises `RenderingFailed`, also for an effort that the model has not."""
        return joined(self.render_segments(messages, options))

    def render_segments(
        self, messages: Sequence[JsonObject], options: RenderOptions
    ) -> list[Segment]:
        """The prompt in segments. Raises like `render`."""
        effort = options.template_kwargs.get("reasoning_effort")
        thinking = resolved_thinking(options, ("thinking", "enable_thinking"), default=True)
        if isinstance(effort, str) and effort in {"none", "minimal"}:
            thinking, effort = options.template_kwargs.get("thinking") is True, None
        effort_line = ""
        if (grade := _grade(effort)) and thinking:
            effort_line = (
                f"Reasoning Effort: {grade} (range 1-100, the higher the value, the more thorough "
                "the reasoning)\n\n"
            )
        prompt = Prompt(CONTROLS)
        prompt.markup(BOS)
        continued = final_text(messages, options)
        if continued is not None:
            messages = messages[:-1]
        _write_conversation(prompt, messages, options, V41_STYLE, thinking, effort_line)
        if continued is not None:
            prompt.markup(END_THINK if thinking else "")
            prompt.text(continued)
        return prompt.segments()


def _grade(effort: object) -> int:
    if isinstance(effort, str | None) and effort in V41_EFFORTS:
        return V41_EFFORTS[effort]
    number = int(effort) if isinstance(effort, str) and effort.isdecimal() else effort
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= 100:
        return number
    raise RenderingFailed(
        f"DeepSeek V4.1 reasoning_effort invalid: Invalid reasoning effort `{effort}`: expected an "
        "integer within [1, 100] or one of low, high, xhigh, max"
    )


def _write_conversation(
    prompt: Prompt,
    messages: Sequence[JsonObject],
    options: RenderOptions,
    style: _Style,
    thinking: bool,
    effort_line: str = "",
) -> None:
    copies = list(_in_call_order(_with_results_merged(with_tools(messages, options.tools))))
    drops = not any(message.get("tools") for message in copies)
    if thinking and drops:
        copies = without_old_thoughts(copies, KEPT_ROLES)
    if effort_line and (not copies or copies[0].get("role") != "system"):
        copies.insert(0, {"role": "system", "content": ""})
    writer = _Writer(prompt, copies, style, thinking=thinking, drops=drops)
    for place in range(len(copies)):
        writer.write(place, effort_line if place == 0 else "")


def _with_results_merged(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tool messages as blocks of user messages, and neighbouring user messages in one."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role == "tool":
            block = {
                "type": "tool_result",
                "tool_use_id": message.get("tool_call_id", ""),
                "content": message.get("content", ""),
            }
            if merged and merged[-1].get("role") == "user":
                merged[-1]["content_blocks"].append(block)
            else:
                merged.append({"role": "user", "content_blocks": [block]})
        elif role == "user":
            block = {"type": "text", "text": text_parts(message.get("content"))}
            before = merged[-1] if merged else {}
            if before.get("role") == "user" and before.get("task") is None:
                before["content_blocks"].append(block)
            else:
                merged.append({**message, "content_blocks": [block]})
        else:
            merged.append(dict(message))
    return merged


def _in_call_order(messages: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The messages, the results of each round in the order of its calls."""
    order: dict[str, int] = {}
    for message in messages:
        calls = objects(message.get("tool_calls"))
        if message.get("role") == "assistant" and calls:
            order = {}
            for place, call in enumerate(calls):
                call_id = call.get("id") or members(call.get("function")).get("id")
                if isinstance(call_id, str):
                    order[call_id] = place
        blocks = objects(message.get("content_blocks"))
        results = [block for block in blocks if block["type"] == "tool_result"]
        if order and len(results) > 1:
            ranked = iter(sorted(results, key=lambda block: _rank(order, block["tool_use_id"])))
            blocks = [next(ranked) if b["type"] == "tool_result" else b for b in blocks]
            message = {**message, "content_blocks": blocks}
        yield message


def _rank(order: Mapping[str, int], call_id: object) -> int:
    return order.get(call_id, 0) if isinstance(call_id, str) else 0


class _Writer:
    def __init__(
        self,
        prompt: Prompt,
        messages: list[dict[str, Any]],
        style: _Style,
        *,
        thinking: bool,
        drops: bool,
    ) -> None:
        self._prompt = prompt
        self._messages = messages
        self._style = style
        self._thinking = thinking
        self._drops = drops
        self._last_user = last_user(messages)

    def write(self, place: int, effort_line: str) -> None:
        message = self._messages[place]
        role = message.get("role")
        match role:
            case "system":
                self._prompt.markup(self._style.system_mark + effort_line)
                self._prompt.text(text_parts(message.get("content")))
                self._write_extras(message)
            case "developer":
                self._write_developer(message)
            case "user":
                self._prompt.markup(USER)
                self._write_blocks(message)
            case "latest_reminder":
                self._prompt.markup(REMINDER)
                self._prompt.text(text_parts(message.get("content")))
            case "assistant":
                self._write_assistant(place, message)
            case _:
                raise RenderingFailed(f"{self._style.name} encode failed: Unknown role: {role}")
        following = self._messages[place + 1 : place + 2]
        if not following or following[0].get("role") in {"assistant", "latest_reminder"}:
            self._hand_over(place, message)

    def _write_extras(self, message: JsonObject) -> None:
        write_tools(self._prompt, message, _tools_before(self._style.calls), TOOLS_AFTER)
        write_response_format(self._prompt, message)

    def _write_developer(self, message: JsonObject) -> None:
        content = text_parts(message.get("content"))
        if not content:
            raise RenderingFailed(
                f"{self._style.name} encode failed: Invalid message for role `developer`: "
                + compact_json(message)
            )
        self._prompt.markup(USER)
        self._prompt.text(content)
        self._write_extras(message)

    def _write_blocks(self, message: JsonObject) -> None:
        for number, block in enumerate(objects(message.get("content_blocks"))):
            self._prompt.markup("\n\n" if number else "")
            if block["type"] == "text":
                self._prompt.text(block["text"])
                continue
            content = block["content"]
            printable = content is None or isinstance(content, str | list)
            self._prompt.markup("<tool_result>")
            self._prompt.text(text_parts(content) if printable else spaced_json(content))
            self._prompt.markup("</tool_result>")

    def _write_assistant(self, place: int, message: JsonObject) -> None:
        answers_task = place > 0 and self._messages[place - 1].get("task") is not None
        recent = not self._drops or place > self._last_user
        if self._thinking and recent and not answers_task:
            self._prompt.text(text_of(message, "reasoning_content"))
            self._prompt.markup(END_THINK)
        self._prompt.text(text_parts(message.get("content")))
        write_calls(self._prompt, message, self._style.calls)
        if message.get("wo_eos") is not True:
            self._prompt.markup(EOS)

    def _hand_over(self, place: int, message: JsonObject) -> None:
        task = text_of(message, "task")
        think = THINK if self._thinking else END_THINK
        if task and task not in TASKS:
            raise RenderingFailed(
                f"{self._style.name} encode failed: Invalid task `{task}`. Valid tasks are: action,"
                " query, authority, domain, title, read_url"
            )
        if task:
            self._prompt.markup(ASSISTANT + think if task == "action" else "")
            self._prompt.markup(f"<｜{task}｜>")
        elif message.get("role") in {"user", "developer"}:
            recent = not self._drops or place >= self._last_user
            self._prompt.markup(ASSISTANT + (think if recent else END_THINK))
