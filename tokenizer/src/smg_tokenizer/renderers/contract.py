"""The seam between tokenizers and whatever writes their prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

__all__ = (
    "ChatRenderer",
    "ContentFormat",
    "JsonObject",
    "Preparation",
    "RenderOptions",
    "ThinkingToggle",
)

JsonObject: TypeAlias = Mapping[str, object]
ContentFormat = Literal["string", "openai"]
ThinkingToggle = Literal["none", "default_on", "default_off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What a rendering takes beside the messages.

    `thinking` is the caller's wish; a value under the renderer's own key in `template_kwargs` goes
    before it. Renderers written in Python read `reasoning_effort`, `tool_choice` and
    `response_format` out of `template_kwargs` too. With `continue_final_message` the prompt ends
    inside the last message, which must be an assistant's.
    """

    add_generation_prompt: bool = True
    tools: Sequence[JsonObject] | None = None
    documents: Sequence[JsonObject] | None = None
    template_kwargs: JsonObject = field(default_factory=lambda: MappingProxyType({}))
    thinking: bool | None = None
    continue_final_message: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a renderer wants its input prepared, and its prompt encoded.

    `ordinary_text` says that the model's own encoder reads no control tokens in the text of a
    request: such prompts are encoded segment by segment (see `SegmentRenderer`).
    """

    parse_arguments: bool = True
    developer_is_system: bool = False
    wrap_text: bool = False
    keep_tools_unused: bool = False
    ordinary_text: bool = False


class ChatRenderer(Protocol):
    """Writes the prompt of a conversation."""

    @property
    def content_format(self) -> ContentFormat:
        """Whether messages hold a text or a list of parts."""
        ...

    @property
    def thinking_toggle(self) -> ThinkingToggle:
        """Whether thinking can be switched, and which way it starts."""
        ...

    @property
    def thinking_key(self) -> str | None:
        """The template variable that switches it."""
        ...

    @property
    def think_in_prefill(self) -> bool:
        """Whether the prompt may end inside a think block, so that output begins in it."""
        ...

    @property
    def preparation(self) -> Preparation:
        """How messages have to be prepared."""
        ...

    def render(self, messages: Sequence[JsonObject], options: RenderOptions) -> str:
        """The prompt. Raises `RenderingFailed`, or `TemplateInvalid` for a broken template."""
        ...
