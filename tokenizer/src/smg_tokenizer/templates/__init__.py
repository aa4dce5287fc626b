"""Chat templates: found, compiled once and rendered as transformers renders them, in a sandbox."""

from ..renderers.contract import (
    ChatRenderer,
    ContentFormat,
    Preparation,
    RenderOptions,
    ThinkingToggle,
)
from .limits import RenderLimits
from .messages import prepare_messages, prepare_tools, template_kwargs_for, thinking_from_effort
from .sources import load_chat_renderer, read_template_file
from .template import ChatTemplate

__all__ = (
    "ChatRenderer",
    "ChatTemplate",
    "ContentFormat",
    "Preparation",
    "RenderLimits",
    "RenderOptions",
    "ThinkingToggle",
    "load_chat_renderer",
    "prepare_messages",
    "prepare_tools",
    "read_template_file",
    "template_kwargs_for",
    "thinking_from_effort",
)
