"""The prompt format of DeepSeek V3.2."""

from __future__ import annotations

from collections.abc import Sequence
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
    THINK,
    USER,
    CallMarkup,
    last_user,
    with_tools,
    without_old_thoughts,
    write_calls,
    write_response_format,
    write_tools,
)
from .segments import Prompt, Segment, joined
from .values import compact_json, final_text, objects, resolved_thinking, text_of

__all__ = ("DeepSeekV32Renderer",)

CALLS = CallMarkup(block="function_calls")
KEPT_ROLES = frozenset({"user", "system", "tool"})

# The words are the model's training, to the letter.
TOOLS_BEFORE = f"""## Tools

You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<{DSML}function_calls>" block like the following as part of \
your reply to the user:
<{DSML}function_calls>
<{DSML}invoke name="$FUNCTION_NAME">
<{DSML}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{DSML}parameter>
...
</{DSML}invoke>
<{DSML}invoke name="$FUNCTION_NAME2">
...
</{DSML}invoke>
</{DSML}function_calls>

String and scalar parameters should be specified as is without any escaping or quotes, while lists \
and objects should use JSON format. The "string" attribute should be set to "true" for string type \
parameters and "false" for other types (numbers, booleans, arrays, objects).

If the thinking_mode is enabled, then after function results you should strongly consider \
outputting a thinking block. Here is an example:

<{DSML}function_calls>
...
</{DSML}function_calls>

<function_results>
...
</function_results>

{THINK}...thinking about results{END_THINK}

Here are the functions available in JSONSchema format:
<functions>
"""
TOOLS_AFTER = "\n</functions>\n"


class DeepSeekV32Renderer:
    """Writes DeepSeek V3.2 prompts. Thinking is off unless asked for."""

    content_format: ContentFormat = "string"
    thinking_toggle: ThinkingToggle = "default_off"
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
        continued = final_text(messages, options)
        if continued is not None:
            messages = messages[:-1]
        thinking = resolved_thinking(options, ("thinking",), default=False)
        copies = with_tools(messages, options.tools)
        if thinking and not any(message.get("tools") for message in copies):
            copies = without_old_thoughts(copies, KEPT_ROLES)
        prompt = Prompt(CONTROLS)
        prompt.markup(BOS)
        writer = _Writer(prompt, copies, thinking)
        for place in range(len(copies)):
            writer.write(place)
        prompt.text(continued or "")
        return prompt.segments()


class _Writer:
    def __init__(self, prompt: Prompt, messages: list[dict[str, Any]], thinking: bool) -> None:
        self._prompt = prompt
        self._messages = messages
        self._thinking = thinking
        self._last_user = last_user(messages)

    def write(self, place: int) -> None:
        message = self._messages[place]
        role = message.get("role")
        match role:
            case "system":
                self._prompt.text(text_of(message, "content"))
                write_tools(self._prompt, message, TOOLS_BEFORE, TOOLS_AFTER)
                write_response_format(self._prompt, message)
            case "developer":
                self._write_developer(place, message)
            case "user":
                self._prompt.markup(USER)
                self._prompt.text(text_of(message, "content"))
                self._hand_over(place == self._last_user)
            case "tool":
                self._write_result(place, message)
            case "assistant":
                self._write_assistant(place, message)
            case _:
                raise RenderingFailed(f"DeepSeek V3.2 encode failed: Unknown role: {role}")

    def _write_developer(self, place: int, message: JsonObject) -> None:
        if not text_of(message, "content"):
            raise RenderingFailed(
                "DeepSeek V3.2 encode failed: Invalid message for role `developer`: "
                + compact_json(message)
            )
        self._prompt.markup(USER)
        write_tools(self._prompt, message, TOOLS_BEFORE, TOOLS_AFTER)
        write_response_format(self._prompt, message)
        self._prompt.markup("\n\n# The user's message is: ")
        self._prompt.text(text_of(message, "content"))
        self._hand_over(place == self._last_user)

    def _hand_over(self, is_last: bool) -> None:
        self._prompt.markup(ASSISTANT + (THINK if is_last and self._thinking else END_THINK))

    def _write_result(self, place: int, message: JsonObject) -> None:
        asked_at = place - 1
        while asked_at >= 0 and self._messages[asked_at].get("role") == "tool":
            asked_at -= 1
        asker = self._messages[asked_at] if asked_at >= 0 else None
        if asker is None and place > 0 or asker is not None and asker.get("role") != "assistant":
            context = compact_json(self._messages[max(asked_at, 0)])
            raise RenderingFailed(
                f"DeepSeek V3.2 encode failed: Invalid messages at {place}: {context}"
            )
        calls = len(objects(asker.get("tool_calls"))) if asker is not None else 0
        number = place - asked_at
        if number > calls:
            raise RenderingFailed(
                "DeepSeek V3.2 encode failed: No tool calls but found tool output"
            )
        self._prompt.markup("\n\n<function_results>" if number == 1 else "")
        self._prompt.markup("\n<result>")
        self._prompt.text(text_of(message, "content"))
        self._prompt.markup("</result>")
        if number == calls:
            thinks = self._thinking and place >= self._last_user
            self._prompt.markup("\n</function_results>\n\n" + (THINK if thinks else END_THINK))

    def _write_assistant(self, place: int, message: JsonObject) -> None:
        if self._thinking and place > self._last_user:
            reasoning = text_of(message, "reasoning_content")
            if not reasoning and not objects(message.get("tool_calls")):
                raise RenderingFailed(
                    "DeepSeek V3.2 encode failed: thinking mode: invalid message without "
                    "reasoning_content/tool_calls after last user message: " + compact_json(message)
                )
            self._prompt.text(reasoning)
            self._prompt.markup(END_THINK)
        self._prompt.text(text_of(message, "content"))
        write_calls(self._prompt, message, CALLS)
        self._prompt.markup(EOS)
