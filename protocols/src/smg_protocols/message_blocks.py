"""Content blocks and tools of the Messages API."""

from typing import Annotated, Any, Literal

import msgspec

from smg_protocols.wire import U32, AnyObject, Named, OneOf

__all__ = ("InputBlock", "MessageTool", "SystemText", "TextBlock", "ToolDefinition")


class CacheControl(msgspec.Struct, frozen=True):
    type: Literal["ephemeral"]


class CharLocation(msgspec.Struct, frozen=True, tag="char_location"):
    cited_text: str
    document_index: U32
    start_char_index: U32
    end_char_index: U32
    document_title: str | None = None
    file_id: str | None = None


class PageLocation(msgspec.Struct, frozen=True, tag="page_location"):
    cited_text: str
    document_index: U32
    start_page_number: U32
    end_page_number: U32
    document_title: str | None = None


class ContentBlockLocation(msgspec.Struct, frozen=True, tag="content_block_location"):
    cited_text: str
    document_index: U32
    start_block_index: U32
    end_block_index: U32
    document_title: str | None = None


class WebSearchResultLocation(msgspec.Struct, frozen=True, tag="web_search_result_location"):
    cited_text: str
    url: str
    encrypted_index: str
    title: str | None = None


class SearchResultLocation(msgspec.Struct, frozen=True, tag="search_result_location"):
    cited_text: str
    search_result_index: U32
    source: str
    start_block_index: U32
    end_block_index: U32
    title: str | None = None


_Citation = Annotated[
    CharLocation
    | PageLocation
    | ContentBlockLocation
    | WebSearchResultLocation
    | SearchResultLocation,
    Named("Citation"),
]


class CitationsConfig(msgspec.Struct, frozen=True):
    enabled: bool | None = None


class _Text(msgspec.Struct, frozen=True):
    text: str
    cache_control: CacheControl | None = None
    citations: list[_Citation] | None = None


class TextBlock(_Text, frozen=True, tag="text"):
    """Text."""


class SystemText(_Text, frozen=True, kw_only=True):
    """Text of the system prompt."""

    type: Literal["text"]


class SearchResultText(_Text, frozen=True):
    pass


class Base64Source(msgspec.Struct, frozen=True, tag="base64"):
    media_type: str
    data: str


class UrlSource(msgspec.Struct, frozen=True, tag="url"):
    url: str


class TextSource(msgspec.Struct, frozen=True, tag="text"):
    data: str


class ContentSource(msgspec.Struct, frozen=True, tag="content"):
    content: "list[InputBlock]"


class ImageBlock(msgspec.Struct, frozen=True, tag="image"):
    source: Annotated[Base64Source | UrlSource, Named("ImageSource")]
    cache_control: CacheControl | None = None


class DocumentBlock(msgspec.Struct, frozen=True, tag="document"):
    source: Annotated[
        Base64Source | TextSource | UrlSource | ContentSource, Named("DocumentSource")
    ]
    cache_control: CacheControl | None = None
    title: str | None = None
    context: str | None = None
    citations: CitationsConfig | None = None


class ToolUseBlock(msgspec.Struct, frozen=True, tag="tool_use"):
    """A tool call of a past turn."""

    id: str
    name: str
    input: msgspec.Raw
    cache_control: CacheControl | None = None


class SearchResultBlock(msgspec.Struct, frozen=True, tag="search_result"):
    source: str
    title: str
    content: list[SearchResultText]
    cache_control: CacheControl | None = None
    citations: CitationsConfig | None = None


class ToolResultBlock(msgspec.Struct, frozen=True, tag="tool_result"):
    """The answer to a tool call."""

    tool_use_id: str
    content: Annotated[
        str
        | list[
            Annotated[
                TextBlock | ImageBlock | DocumentBlock | SearchResultBlock,
                Named("ToolResultContentBlock"),
            ]
        ]
        | None,
        Named("ToolResultContent"),
    ] = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(msgspec.Struct, frozen=True, tag="thinking"):
    thinking: str
    signature: str


class RedactedThinkingBlock(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    data: str


class ServerToolUseBlock(msgspec.Struct, frozen=True, tag="server_tool_use"):
    id: str
    name: str
    input: msgspec.Raw
    cache_control: CacheControl | None = None


class WebSearchResult(msgspec.Struct, frozen=True):
    title: str
    url: str
    encrypted_content: str
    page_age: str | None = None


class WebSearchError(msgspec.Struct, frozen=True):
    type: str
    error_code: Literal[
        "invalid_tool_input",
        "unavailable",
        "max_uses_exceeded",
        "too_many_requests",
        "query_too_long",
    ]


class WebSearchToolResultBlock(msgspec.Struct, frozen=True, tag="web_search_tool_result"):
    tool_use_id: str
    content: Annotated[list[WebSearchResult] | WebSearchError, Named("WebSearchToolResultContent")]
    cache_control: CacheControl | None = None


class ToolReference(msgspec.Struct, frozen=True):
    type: str
    tool_name: str
    description: str | None = None


class ToolSearchResult(msgspec.Struct, frozen=True):
    type: str
    tool_references: list[ToolReference]


class ToolSearchToolResultBlock(msgspec.Struct, frozen=True, tag="tool_search_tool_result"):
    tool_use_id: str
    content: ToolSearchResult
    cache_control: CacheControl | None = None


class ToolReferenceBlock(msgspec.Struct, frozen=True, tag="tool_reference"):
    tool_name: str
    description: str | None = None


InputBlock = Annotated[
    TextBlock
    | ImageBlock
    | DocumentBlock
    | ToolUseBlock
    | ToolResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ServerToolUseBlock
    | SearchResultBlock
    | WebSearchToolResultBlock
    | ToolSearchToolResultBlock
    | ToolReferenceBlock,
    Named("InputContentBlock"),
]


class InputSchema(msgspec.Struct, frozen=True):
    """The schema of a tool's input, as far as it is fixed."""

    type: str
    properties: AnyObject | None = None
    required: list[str] | None = None


class ToolSettings(msgspec.Struct, frozen=True):
    enabled: bool | None = None
    defer_loading: bool | None = None


class UserLocation(msgspec.Struct, frozen=True):
    type: str
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class McpToolset(msgspec.Struct, frozen=True):
    type: str
    mcp_server_name: str
    default_config: ToolSettings | None = None
    configs: dict[str, ToolSettings] | None = None
    cache_control: CacheControl | None = None


class CustomTool(msgspec.Struct, frozen=True):
    name: str
    input_schema: InputSchema
    type: str | None = None
    description: str | None = None
    defer_loading: bool | None = None
    cache_control: CacheControl | None = None


class ToolSearchTool(msgspec.Struct, frozen=True):
    type: str
    name: str
    allowed_callers: list[str] | None = None
    cache_control: CacheControl | None = None


class PlainTool(msgspec.Struct, frozen=True):
    type: str
    name: str
    cache_control: CacheControl | None = None


class ToolDefinition(msgspec.Struct, frozen=True):
    """A tool of any kind: an MCP toolset, a custom tool, or one that its type explains."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: InputSchema | None = None
    defer_loading: bool | None = None
    cache_control: CacheControl | None = None
    mcp_server_name: str | None = None
    default_config: ToolSettings | None = None
    configs: dict[str, ToolSettings] | None = None
    allowed_callers: list[str] | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    max_uses: U32 | None = None
    user_location: UserLocation | None = None

    @property
    def is_toolset(self) -> bool:
        """Whether this is the toolset of an MCP server."""
        return self.type is not None and self.mcp_server_name is not None

    @property
    def is_custom(self) -> bool:
        """Whether this is a tool of the client's own."""
        return self.name is not None and self.input_schema is not None and not self.is_toolset

    @property
    def undecided(self) -> bool:
        """Whether the object is no tool of any kind."""
        named = self.name is not None and self.type is not None
        return not (named or self.is_toolset or self.is_custom)

    def answers_to(self, name: str) -> bool:
        """Whether a tool choice by this name means, or may mean, this tool."""
        if not self.is_toolset:
            return self.name == name
        settings: list[Any] = [(self.configs or {}).get(name), self.default_config]
        for each in settings:
            if each is not None and each.enabled is not None:
                return bool(each.enabled)
        return True


MessageTool = Annotated[
    ToolDefinition,
    OneOf("Tool", (McpToolset, CustomTool, ToolSearchTool, PlainTool), ToolDefinition),
]
