"""A chat template: compiled once, rendered as often as asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from jinja2 import Template
from jinja2.exceptions import TemplateSyntaxError

from ..errors import RenderingFailed, TemplateInvalid
from ..renderers.contract import (
    ChatRenderer,
    ContentFormat,
    JsonObject,
    Preparation,
    RenderOptions,
    ThinkingToggle,
)
from ..renderers.in_front import RendererInFront
from .detection import TemplateTraits, template_traits
from .environment import chat_environment
from .limits import RenderingBudget, RenderLimits, charged_to

__all__ = ("BrokenTemplate", "ChatTemplate", "TemplateChoice")

# The largest templates in use have some 40 thousand characters.
MAX_TEMPLATE_CHARS = 256 * 1024
COMPILED_TEMPLATES_KEPT = 32
# Ends with a blank: a template that strips the message takes that away, and only that.
CUT_MARK = "CONTINUE_FINAL_MESSAGE_TAG "


@lru_cache(maxsize=COMPILED_TEMPLATES_KEPT)
def _compiled(text: str) -> tuple[Template, TemplateTraits]:
    environment = chat_environment()
    try:
        tree = environment.parse(text)
        # Before compiling, which writes into the tree.
        traits = template_traits(text, tree)
        return environment.from_string(tree), traits
    except TemplateSyntaxError as error:
        raise TemplateInvalid(f"line {error.lineno}: {error.message}") from error
    except (RecursionError, SyntaxError, MemoryError, ValueError, OverflowError) as error:
        # Python's own compiler gives up on a nesting that Jinja still accepts.
        raise TemplateInvalid(f"the chat template is nested too deeply: {error}") from error


class ChatTemplate:
    """A Jinja chat template with the special tokens of its model.

    `special_tokens` maps `bos_token`, `eos_token` and the like to their text. `now` is what
    `strftime_now` asks. Raises `TemplateInvalid` if the text does not parse.
    """

    def __init__(
        self,
        text: str,
        special_tokens: Mapping[str, str],
        *,
        now: Callable[[], datetime] = datetime.now,
        limits: RenderLimits | None = None,
    ) -> None:
        if len(text) > MAX_TEMPLATE_CHARS:
            raise TemplateInvalid(f"a chat template of {len(text)} characters is too long")
        self.text = text
        self._template, self._traits = _compiled(text)
        self._special_tokens = dict(special_tokens)
        self._now = now
        self._limits = limits or RenderLimits()
        # gpt-oss and others read reasoning under this name.
        self._reads_thinking = any(
            use in text for use in (".thinking", "['thinking']", '["thinking"]')
        )

    @property
    def content_format(self) -> ContentFormat:
        """Whether the template reads messages as text or as lists of parts."""
        return self._traits.content_format

    @property
    def thinking_toggle(self) -> ThinkingToggle:
        """Whether the template can switch thinking, and which way it starts."""
        return self._traits.thinking_toggle

    @property
    def thinking_key(self) -> str | None:
        """The variable that switches thinking."""
        return self._traits.thinking_key

    @property
    def think_in_prefill(self) -> bool:
        """Whether the generation prompt may open a think block."""
        return self._traits.think_in_prefill

    @property
    def preparation(self) -> Preparation:
        """Jinja templates know no developer role; those of part lists get nothing else."""
        return Preparation(developer_is_system=True, wrap_text=self.content_format == "openai")

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt of a conversation. Raises `RenderingFailed`."""
        if self._reads_thinking:
            messages = [_with_thinking(message) for message in messages]
        if options.continue_final_message and messages and _is_assistant(messages[-1]):
            return self._render_open(messages, options)
        return self._run(messages, options, options.add_generation_prompt)

    def _render_open(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        marked, final = _marked(messages[-1])
        prompt = self._run([*messages[:-1], marked], options, add_generation_prompt=False)
        mark = CUT_MARK.strip()
        cut = prompt.rfind(mark)
        if cut < 0 or final.strip() not in prompt:
            raise RenderingFailed("the template leaves out the final message, nothing to continue")
        if prompt.startswith(CUT_MARK, cut):
            return prompt[:cut]
        # The template strips messages; the text before the mark has to be stripped like it.
        return prompt[:cut].rstrip()

    def _run(
        self, messages: Sequence[JsonObject], options: RenderOptions, add_generation_prompt: bool
    ) -> str:
        variables = dict(options.template_kwargs)
        key = self._traits.thinking_key
        if options.thinking is not None and key is not None:
            variables.setdefault(key, options.thinking)
        variables.update(self._special_tokens)
        variables.update(
            messages=messages,
            tools=options.tools,
            documents=options.documents,
            add_generation_prompt=add_generation_prompt,
        )
        budget = RenderingBudget(self._limits, self._now)
        try:
            with charged_to(budget):
                context = self._template.new_context(variables)
                pieces = []
                chars = 0
                for piece in self._template.root_render_func(context):
                    chars += len(piece)
                    budget.book_output(chars)
                    budget.tick()
                    pieces.append(piece)
        except Exception as error:
            # The boundary to foreign code: a template can provoke any exception there is.
            raise RenderingFailed(_told(error)) from error
        return "".join(pieces)


class BrokenTemplate:
    """Stands for a template that does not parse: its tokenizer works, rendering tells why not."""

    content_format: ContentFormat = "string"
    thinking_toggle: ThinkingToggle = "none"
    thinking_key: str | None = None
    think_in_prefill = False
    preparation = Preparation(developer_is_system=True)

    def __init__(self, error: TemplateInvalid) -> None:
        self.error = error

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """Raises `TemplateInvalid`."""
        raise TemplateInvalid(*self.error.args) from self.error


class TemplateChoice(RendererInFront):
    """Two templates under one roof: the one for tools is used when tools are sent."""

    def __init__(self, default: ChatRenderer, tool_use: ChatRenderer) -> None:
        super().__init__(default)
        self._tool_use = tool_use

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt, by the template that fits. Raises what that one raises."""
        chosen = self._tool_use if options.tools else self.inner
        return chosen.render(messages, options)


def _is_assistant(message: JsonObject) -> bool:
    return message.get("role") == "assistant"


def _with_thinking(message: JsonObject) -> JsonObject:
    reasoning = message.get("reasoning_content")
    if reasoning is None or "thinking" in message:
        return message
    return {**message, "thinking": reasoning}


def _marked(message: JsonObject) -> tuple[JsonObject, str]:
    """The final message with the mark behind its text, and that text."""
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": content + CUT_MARK}, content
    if isinstance(content, list):
        for place in range(len(content) - 1, -1, -1):
            part = content[place]
            if isinstance(part, Mapping) and isinstance(text := part.get("text"), str):
                parts = [*content]
                parts[place] = {**part, "text": text + CUT_MARK}
                return {**message, "content": parts}, text
    raise RenderingFailed("the final message has no text to continue")


def _told(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 2000 else text[:2000] + "…"
