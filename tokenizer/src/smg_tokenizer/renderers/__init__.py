"""Prompt formats that are written by code: DeepSeek, Kimi and Harmony."""

from .choice import native_renderer
from .contract import (
    ChatRenderer,
    ContentFormat,
    JsonObject,
    Preparation,
    RenderOptions,
    ThinkingToggle,
)
from .deepseek_v4 import DeepSeekV4Renderer, DeepSeekV41Renderer
from .deepseek_v32 import DeepSeekV32Renderer
from .harmony import (
    HARMONY_STOP_TOKEN_IDS,
    HarmonyMessage,
    HarmonyRenderer,
    developer_text,
    render_harmony,
    system_text,
)
from .harmony_parser import (
    HARMONY_CONTROL_IDS,
    ChannelDelta,
    HarmonyCall,
    HarmonyCallArguments,
    HarmonyCallClosed,
    HarmonyCallOpened,
    HarmonyEvent,
    HarmonyOutput,
    HarmonyParser,
    TokenDecoder,
    gather_harmony,
)
from .kimi_k3 import KimiK3Renderer, ToolsWithContent
from .kimi_k25 import KimiK25Renderer, typescript_tools
from .segments import Segment, SegmentRenderer

__all__ = (
    "HARMONY_CONTROL_IDS",
    "HARMONY_STOP_TOKEN_IDS",
    "ChannelDelta",
    "ChatRenderer",
    "ContentFormat",
    "DeepSeekV4Renderer",
    "DeepSeekV32Renderer",
    "DeepSeekV41Renderer",
    "HarmonyCall",
    "HarmonyCallArguments",
    "HarmonyCallClosed",
    "HarmonyCallOpened",
    "HarmonyEvent",
    "HarmonyMessage",
    "HarmonyOutput",
    "HarmonyParser",
    "HarmonyRenderer",
    "JsonObject",
    "KimiK3Renderer",
    "KimiK25Renderer",
    "Preparation",
    "RenderOptions",
    "Segment",
    "SegmentRenderer",
    "ThinkingToggle",
    "TokenDecoder",
    "ToolsWithContent",
    "developer_text",
    "gather_harmony",
    "native_renderer",
    "render_harmony",
    "system_text",
    "typescript_tools",
)
