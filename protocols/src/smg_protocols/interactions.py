"""Interactions: what routing and validation read of a request."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from smg_protocols.faults import Broken
from smg_protocols.wire import I64, U32, Named, Nested, OneOf, Ruled, StringMap, TopP, f32, u32

__all__ = ("InteractionsRequest", "broken_combination", "routing_text")

_Resolution = Literal["low", "medium", "high", "ultra_high"]
_ImageType = Literal["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"]
_AudioType = Literal["audio/wav", "audio/mp3", "audio/aiff", "audio/aac", "audio/ogg", "audio/flac"]
_VideoType = Literal[
    "video/mp4",
    "video/mpeg",
    "video/mov",
    "video/avi",
    "video/x-flv",
    "video/mpg",
    "video/webm",
    "video/wmv",
    "video/3gpp",
]
_Modality = Literal["text", "image", "audio"]
_Summaries = Literal["auto", "none"]


class FunctionTool(msgspec.Struct, frozen=True, tag="function"):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    strict: bool | None = None


class GoogleSearchTool(msgspec.Struct, frozen=True, tag="google_search"):
    pass


class CodeExecutionTool(msgspec.Struct, frozen=True, tag="code_execution"):
    pass


class UrlContextTool(msgspec.Struct, frozen=True, tag="url_context"):
    pass


class AllowedTools(msgspec.Struct, frozen=True):
    mode: Literal["auto", "any", "none", "validated"] | None = None
    tools: list[str] | None = None


class McpServerTool(msgspec.Struct, frozen=True, tag="mcp_server"):
    name: str | None = None
    url: str | None = None
    headers: StringMap | None = None
    allowed_tools: AllowedTools | None = None


class FileSearchTool(msgspec.Struct, frozen=True, tag="file_search"):
    file_search_store_names: list[str] | None = None
    top_k: U32 | None = None
    metadata_filter: str | None = None


_Tool = Annotated[
    FunctionTool
    | GoogleSearchTool
    | CodeExecutionTool
    | UrlContextTool
    | McpServerTool
    | FileSearchTool,
    Named("InteractionsTool"),
]


class ToolChoiceConfig(msgspec.Struct, frozen=True):
    allowed_tools: AllowedTools | None = None


class SpeechConfig(msgspec.Struct, frozen=True):
    voice: str | None = None
    language: str | None = None
    speaker: str | None = None


class ImageConfig(msgspec.Struct, frozen=True):
    aspect_ratio: (
        Literal["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"] | None
    ) = None
    image_size: Literal["1K", "2K", "4K"] | None = None


def _stops_rule(field: str, value: list[str]) -> Broken | None:
    if len(value) > 5:
        return Broken("too_many_stop_sequences", "Maximum 5 stop sequences allowed", field)
    if not all(each.strip() for each in value):
        text = "Stop sequences cannot contain empty strings"
        return Broken("stop_sequences_cannot_be_empty", text, field)
    return None


class GenerationConfig(msgspec.Struct, frozen=True):
    temperature: Annotated[float, f32(0.0, 2.0)] | None = None
    top_p: TopP | None = None
    seed: I64 | None = None
    stop_sequences: Annotated[list[str], Ruled(_stops_rule)] | None = None
    tool_choice: Annotated[
        Literal["auto", "any", "none", "validated"] | ToolChoiceConfig | None, Named("ToolChoice")
    ] = None
    thinking_level: Literal["minimal", "low", "medium", "high"] | None = None
    thinking_summaries: _Summaries | None = None
    max_output_tokens: Annotated[int, u32(1)] | None = None
    speech_config: list[SpeechConfig] | None = None
    image_config: ImageConfig | None = None


class DynamicAgent(msgspec.Struct, frozen=True, tag="dynamic"):
    pass


class DeepResearchAgent(msgspec.Struct, frozen=True, tag="deep-research"):
    thinking_summaries: _Summaries | None = None


class Annotation(msgspec.Struct, frozen=True):
    start_index: U32 | None = None
    end_index: U32 | None = None
    source: str | None = None


class TextContent(msgspec.Struct, frozen=True, tag="text"):
    text: str | None = None
    annotations: list[Annotation] | None = None


class ImageContent(msgspec.Struct, frozen=True, tag="image"):
    data: str | None = None
    uri: str | None = None
    mime_type: _ImageType | None = None
    resolution: _Resolution | None = None


class AudioContent(msgspec.Struct, frozen=True, tag="audio"):
    data: str | None = None
    uri: str | None = None
    mime_type: _AudioType | None = None


class DocumentContent(msgspec.Struct, frozen=True, tag="document"):
    data: str | None = None
    uri: str | None = None
    mime_type: Literal["application/pdf"] | None = None


class VideoContent(msgspec.Struct, frozen=True, tag="video"):
    data: str | None = None
    uri: str | None = None
    mime_type: _VideoType | None = None
    resolution: _Resolution | None = None


class ThoughtContent(msgspec.Struct, frozen=True, tag="thought"):
    signature: str | None = None
    summary: list[Annotated[TextContent | ImageContent, Named("ThoughtSummaryContent")]] | None = (
        None
    )


class FunctionCallContent(msgspec.Struct, frozen=True, tag="function_call"):
    name: str
    arguments: msgspec.Raw
    id: str


class FunctionResultContent(msgspec.Struct, frozen=True, tag="function_result"):
    result: msgspec.Raw
    call_id: str
    name: str | None = None
    is_error: bool | None = None


class CodeExecutionArguments(msgspec.Struct, frozen=True):
    language: Literal["python"] | None = None
    code: str | None = None


class CodeExecutionCall(msgspec.Struct, frozen=True, tag="code_execution_call"):
    arguments: CodeExecutionArguments | None = None
    id: str | None = None


class CodeExecutionResult(msgspec.Struct, frozen=True, tag="code_execution_result"):
    result: str | None = None
    is_error: bool | None = None
    signature: str | None = None
    call_id: str | None = None


class UrlContextArguments(msgspec.Struct, frozen=True):
    urls: list[str] | None = None


class UrlContextCall(msgspec.Struct, frozen=True, tag="url_context_call"):
    arguments: UrlContextArguments | None = None
    id: str | None = None


class UrlContextEntry(msgspec.Struct, frozen=True):
    url: str | None = None
    status: Literal["success", "error", "paywall", "unsafe"] | None = None


class UrlContextResult(msgspec.Struct, frozen=True, tag="url_context_result"):
    signature: str | None = None
    result: list[UrlContextEntry] | None = None
    is_error: bool | None = None
    call_id: str | None = None


class GoogleSearchArguments(msgspec.Struct, frozen=True):
    queries: list[str] | None = None


class GoogleSearchCall(msgspec.Struct, frozen=True, tag="google_search_call"):
    arguments: GoogleSearchArguments | None = None
    id: str | None = None


class GoogleSearchEntry(msgspec.Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    rendered_content: str | None = None


class GoogleSearchResult(msgspec.Struct, frozen=True, tag="google_search_result"):
    signature: str | None = None
    result: list[GoogleSearchEntry] | None = None
    is_error: bool | None = None
    call_id: str | None = None


class FileSearchCall(msgspec.Struct, frozen=True, tag="file_search_call"):
    id: str | None = None


class FileSearchEntry(msgspec.Struct, frozen=True):
    title: str | None = None
    text: str | None = None
    file_search_store: str | None = None


class FileSearchResult(msgspec.Struct, frozen=True, tag="file_search_result"):
    result: list[FileSearchEntry] | None = None


class McpServerToolCall(msgspec.Struct, frozen=True, tag="mcp_server_tool_call"):
    name: str
    server_name: str
    arguments: msgspec.Raw
    id: str


class McpServerToolResult(msgspec.Struct, frozen=True, tag="mcp_server_tool_result"):
    result: msgspec.Raw
    call_id: str
    name: str | None = None
    server_name: str | None = None


_Content = Annotated[
    TextContent
    | ImageContent
    | AudioContent
    | DocumentContent
    | VideoContent
    | ThoughtContent
    | FunctionCallContent
    | FunctionResultContent
    | CodeExecutionCall
    | CodeExecutionResult
    | UrlContextCall
    | UrlContextResult
    | GoogleSearchCall
    | GoogleSearchResult
    | FileSearchCall
    | FileSearchResult
    | McpServerToolCall
    | McpServerToolResult,
    Named("Content"),
]


class Turn(msgspec.Struct, frozen=True):
    role: str | None = None
    content: Annotated[list[_Content] | str | None, Named("TurnContent")] = None


def _blank(value: str | None) -> bool:
    return value is None or not value.strip()


def _is_empty(content: Any) -> bool:
    match content:
        case TextContent():
            return _blank(content.text)
        case ImageContent() | AudioContent() | DocumentContent() | VideoContent():
            return _blank(content.data) and _blank(content.uri)
        case CodeExecutionCall() | UrlContextCall() | GoogleSearchCall():
            return _blank(content.id)
        case CodeExecutionResult() | UrlContextResult() | GoogleSearchResult():
            return _blank(content.call_id)
        case Turn(content=None):
            return True
        case Turn(content=str() as text):
            return _blank(text)
        case Turn(content=list() as items):
            return not items or any(map(_is_empty, items))
        case _:
            return False


def _searches_files(content: Any) -> bool:
    if isinstance(content, Turn):
        return isinstance(content.content, list) and any(map(_searches_files, content.content))
    return isinstance(content, (FileSearchCall, FileSearchResult))


def _input_rule(field: str, value: Any) -> Broken | None:
    empty = ""
    if isinstance(value, str):
        empty = "Input text cannot be empty" if _blank(value) else ""
    elif not isinstance(value, list):
        empty = "Input content cannot be empty" if _is_empty(value) else ""
    elif not value:
        empty = "Input content array cannot be empty"
    elif any(map(_is_empty, value)):
        noun = "turns" if isinstance(value[0], Turn) else "content"
        item = "turn" if noun == "turns" else noun
        empty = f"Input {noun} array contains empty {item} items"
    if empty:
        return Broken("input_cannot_be_empty", empty, field)
    if any(map(_searches_files, value if isinstance(value, list) else [value])):
        text = "File search content is not supported."
        return Broken("file_search_content_not_supported", text, field)
    return None


def _tools_rule(field: str, value: list[Any]) -> Broken | None:
    if any(isinstance(tool, FileSearchTool) for tool in value):
        text = "The file search tool is not supported."
        return Broken("file_search_tool_not_supported", text, field)
    return None


# The shapes of the input cannot be told apart while decoding, so it is kept as bytes by the
# fast decoder, which is then never the last word on this dialect.
_Input = Annotated[
    msgspec.Raw,
    OneOf("InteractionsInput", (str, _Content, list[_Content], list[Turn])),
    Ruled(_input_rule),
]


class InteractionsRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/interactions."""

    input: _Input
    model: str | None = None
    agent: str | None = None
    system_instruction: str | None = None
    tools: Annotated[list[_Tool], Ruled(_tools_rule)] | None = None
    response_format: msgspec.Raw | None = None
    response_mime_type: str | None = None
    stream: bool | None = None
    store: bool = True
    background: bool = False
    generation_config: Annotated[GenerationConfig, Nested()] | None = None
    agent_config: Annotated[DynamicAgent | DeepResearchAgent | None, Named("AgentConfig")] = None
    response_modalities: list[_Modality] | None = None
    previous_interaction_id: str | None = None


def broken_combination(request: InteractionsRequest) -> Broken | None:
    """Return the first rule across fields that the request breaks."""
    has_model, has_agent = not _blank(request.model), not _blank(request.agent)
    if not has_model and not has_agent:
        return Broken("model_or_agent_required", "Provide either model or agent.")
    if has_model and has_agent:
        text = "Cannot set both model and agent. Provide exactly one."
        return Broken("model_and_agent_mutually_exclusive", text)
    if request.response_format is not None and _blank(request.response_mime_type):
        text = "response_mime_type is required when response_format is set."
        return Broken("response_mime_type_required", text)
    if has_agent and not request.background:
        text = "Agent interactions require background mode to be enabled."
        return Broken("agent_requires_background", text)
    if has_model and request.background:
        text = "Background mode is only supported for agent interactions."
        return Broken("background_requires_agent", text)
    if request.background and request.stream:
        text = "Cannot set both background and stream to true."
        return Broken("background_conflicts_with_stream", text)
    return None


def routing_text(request: InteractionsRequest) -> str:
    """Return the text contents of the input, joined by one space."""
    value: Any = request.input
    if isinstance(value, str):
        return value
    items = value if isinstance(value, list) else [value]
    return " ".join(_pieces(items))


def _pieces(items: list[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, TextContent):
            if item.text is not None:
                yield item.text
        elif isinstance(item, Turn):
            content = item.content
            yield content if isinstance(content, str) else " ".join(_pieces(content or []))
