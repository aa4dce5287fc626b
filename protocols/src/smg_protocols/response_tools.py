"""Tools of the Responses API. Each tool is closed: a member it does not declare is an error."""

import re
from typing import Annotated, Final, Literal, get_args

import msgspec

from smg_protocols.chat_tools import FunctionChoice, ToolReference
from smg_protocols.faults import Broken
from smg_protocols.wire import F64, U32, Named, OneOf, StringMap

__all__ = (
    "FunctionTool",
    "ResponseTool",
    "ResponseToolChoice",
    "ToolChoiceParam",
    "broken_tools",
    "function_names",
)


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class FunctionTool(_Closed, frozen=True, tag="function"):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    strict: bool | None = None


class WebSearchPreviewTool(_Closed, frozen=True, tag="web_search_preview"):
    """The older hosted web search."""

    search_context_size: str | None = None
    user_location: msgspec.Raw | None = None


class WebSearchFilters(_Closed, frozen=True):
    allowed_domains: list[str] | None = None


class WebSearchUserLocation(_Closed, frozen=True):
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None
    type: str | None = None


class WebSearchTool(_Closed, frozen=True, tag="web_search"):
    """The hosted web search."""

    filters: WebSearchFilters | None = None
    return_token_budget: Literal["default", "unlimited"] | None = None
    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: WebSearchUserLocation | None = None


class DatedWebSearchTool(WebSearchTool, frozen=True, tag="web_search_2025_08_26"):
    """The hosted web search under its dated name."""


class ToolEnvironment(_Closed, frozen=True):
    pass


class CodeInterpreterTool(_Closed, frozen=True, tag="code_interpreter"):
    """The hosted interpreter."""

    container: msgspec.Raw | None = None
    environment: ToolEnvironment | None = None


class RequireApprovalFilter(_Closed, frozen=True):
    tool_names: list[str] | None = None
    read_only: bool | None = None


class RequireApprovalRules(_Closed, frozen=True):
    always: RequireApprovalFilter | None = None
    never: RequireApprovalFilter | None = None


class McpToolFilter(_Closed, frozen=True):
    read_only: bool | None = None
    tool_names: list[str] | None = None


_ConnectorId = Literal[
    "connector_dropbox",
    "connector_gmail",
    "connector_googlecalendar",
    "connector_googledrive",
    "connector_microsoftteams",
    "connector_outlookcalendar",
    "connector_outlookemail",
    "connector_sharepoint",
]


class McpTool(_Closed, frozen=True, tag="mcp"):
    """The tools of an MCP server."""

    server_label: str
    server_url: str | None = None
    authorization: str | None = None
    headers: StringMap | None = None
    server_description: str | None = None
    require_approval: Annotated[
        Literal["always", "never"] | RequireApprovalRules | None, Named("RequireApproval")
    ] = None
    allowed_tools: Annotated[list[str] | McpToolFilter | None, Named("McpAllowedTools")] = None
    connector_id: _ConnectorId | None = None
    defer_loading: bool | None = None


class _Comparison(_Closed, frozen=True):
    key: str
    value: msgspec.Raw


class EqFilter(_Comparison, frozen=True, tag="eq"):
    pass


class NeFilter(_Comparison, frozen=True, tag="ne"):
    pass


class GtFilter(_Comparison, frozen=True, tag="gt"):
    pass


class GteFilter(_Comparison, frozen=True, tag="gte"):
    pass


class LtFilter(_Comparison, frozen=True, tag="lt"):
    pass


class LteFilter(_Comparison, frozen=True, tag="lte"):
    pass


class InFilter(_Comparison, frozen=True, tag="in"):
    pass


class NinFilter(_Comparison, frozen=True, tag="nin"):
    pass


class AndFilter(_Closed, frozen=True, tag="and"):
    filters: "list[FileSearchFilter]"


class OrFilter(_Closed, frozen=True, tag="or"):
    filters: "list[FileSearchFilter]"


FileSearchFilter = Annotated[
    EqFilter
    | NeFilter
    | GtFilter
    | GteFilter
    | LtFilter
    | LteFilter
    | InFilter
    | NinFilter
    | AndFilter
    | OrFilter,
    Named("FileSearchFilter"),
]


class HybridSearchOptions(_Closed, frozen=True):
    embedding_weight: F64 | None = None
    text_weight: F64 | None = None


class FileSearchRankingOptions(_Closed, frozen=True):
    hybrid_search: HybridSearchOptions | None = None
    ranker: Literal["auto", "default-2024-11-15"] | None = None
    score_threshold: F64 | None = None


class FileSearchTool(_Closed, frozen=True, tag="file_search"):
    """The hosted file search."""

    vector_store_ids: list[str]
    filters: FileSearchFilter | None = None
    max_num_results: U32 | None = None
    ranking_options: FileSearchRankingOptions | None = None


class ImageInputMask(_Closed, frozen=True):
    file_id: str | None = None
    image_url: str | None = None


class ImageGenerationTool(_Closed, frozen=True, tag="image_generation"):
    """The hosted image generation."""

    action: str | None = None
    background: str | None = None
    input_fidelity: str | None = None
    input_image_mask: ImageInputMask | None = None
    model: str | None = None
    moderation: str | None = None
    output_compression: U32 | None = None
    output_format: str | None = None
    partial_images: U32 | None = None
    quality: str | None = None
    size: str | None = None


class ComputerTool(msgspec.Struct, frozen=True, tag="computer"):
    """The hosted computer; the type says it all."""


class ComputerUsePreviewTool(_Closed, frozen=True, tag="computer_use_preview"):
    """The older hosted computer."""

    display_height: U32
    display_width: U32
    environment: Literal["windows", "mac", "linux", "ubuntu", "browser"]


class TextInput(msgspec.Struct, frozen=True, tag="text"):
    pass


class GrammarInput(_Closed, frozen=True, tag="grammar"):
    definition: str
    syntax: Literal["lark", "regex"]


class CustomTool(_Closed, frozen=True, tag="custom"):
    """A tool whose input is free text or follows a grammar."""

    name: str
    description: str | None = None
    defer_loading: bool | None = None
    format: Annotated[TextInput | GrammarInput | None, Named("CustomToolInputFormat")] = None


class NamespaceTool(_Closed, frozen=True, tag="namespace"):
    """Several tools under one name."""

    description: str
    name: str
    tools: list[Annotated[FunctionTool | CustomTool, Named("NamespaceTool")]]


class DomainSecret(_Closed, frozen=True):
    domain: str
    name: str
    value: str


class NetworkDisabled(msgspec.Struct, frozen=True, tag="disabled"):
    pass


class NetworkAllowlist(_Closed, frozen=True, tag="allowlist"):
    allowed_domains: list[str]
    domain_secrets: list[DomainSecret] | None = None


class ContainerAuto(_Closed, frozen=True, tag="container_auto"):
    file_ids: list[str] | None = None
    memory_limit: str | None = None
    network_policy: Annotated[
        NetworkDisabled | NetworkAllowlist | None, Named("ContainerNetworkPolicy")
    ] = None


class LocalShell(_Closed, frozen=True, tag="local"):
    pass


class ContainerReference(_Closed, frozen=True, tag="container_reference"):
    container_id: str


class ShellTool(_Closed, frozen=True, tag="shell"):
    """A shell."""

    environment: Annotated[
        ContainerAuto | LocalShell | ContainerReference | None, Named("ShellEnvironment")
    ] = None


class ApplyPatchTool(msgspec.Struct, frozen=True, tag="apply_patch"):
    """Edits to files; the type says it all."""


class LocalShellTool(msgspec.Struct, frozen=True, tag="local_shell"):
    """The older shell, which is recognised in order to be refused."""


ResponseTool = Annotated[
    FunctionTool
    | WebSearchPreviewTool
    | WebSearchTool
    | DatedWebSearchTool
    | CodeInterpreterTool
    | McpTool
    | FileSearchTool
    | ImageGenerationTool
    | ComputerTool
    | ComputerUsePreviewTool
    | CustomTool
    | NamespaceTool
    | ShellTool
    | ApplyPatchTool
    | LocalShellTool,
    Named("ResponseTool"),
]

_Option = Literal["none", "auto", "required"]
_BuiltIn = Literal[
    "file_search",
    "web_search",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "image_generation",
    "computer_use_preview",
    "code_interpreter",
]


class BuiltInChoice(msgspec.Struct, frozen=True):
    type: _BuiltIn


class FlatFunctionChoice(msgspec.Struct, frozen=True):
    type: Literal["function"]
    name: str
    function: FunctionChoice | None = None


class NestedFunctionChoice(msgspec.Struct, frozen=True):
    type: Literal["function"]
    function: FunctionChoice
    name: str | None = None


class AllowedToolsChoice(msgspec.Struct, frozen=True):
    type: Literal["allowed_tools"]
    mode: str
    tools: list[ToolReference]


class McpChoice(msgspec.Struct, frozen=True):
    type: Literal["mcp"]
    server_label: str
    name: str | None = None


class CustomChoice(msgspec.Struct, frozen=True):
    type: Literal["custom"]
    name: str


class BareChoice(msgspec.Struct, frozen=True):
    type: Literal["apply_patch", "shell"]


class ResponseToolChoice(msgspec.Struct, frozen=True):
    """Any of the object forms of `tool_choice`; `type` says which."""

    type: str
    name: str | None = None
    function: FunctionChoice | None = None
    mode: str | None = None
    tools: list[ToolReference] | None = None
    server_label: str | None = None

    @property
    def undecided(self) -> bool:
        """Whether the object lacks what its form needs."""
        match self.type:
            case "function":
                return self.name is None and self.function is None
            case "allowed_tools":
                return self.mode is None or self.tools is None
            case "mcp":
                return self.server_label is None
            case "custom":
                return self.name is None
            case other:
                return other not in _SELF_EXPLAINING


_SELF_EXPLAINING: Final = frozenset((*get_args(_BuiltIn), "apply_patch", "shell"))

ToolChoiceParam = Annotated[
    _Option | ResponseToolChoice | None,
    OneOf(
        "ResponsesToolChoice",
        (
            _Option,
            BuiltInChoice,
            FlatFunctionChoice,
            NestedFunctionChoice,
            AllowedToolsChoice,
            McpChoice,
            CustomChoice,
            BareChoice,
        ),
        ResponseToolChoice,
    ),
]


def function_names(tools: list[ResponseTool]) -> set[str]:
    """Return the names of the functions among the tools."""
    return {tool.name for tool in tools if isinstance(tool, FunctionTool)}


def broken_tools(field: str, tools: list[ResponseTool]) -> Broken | None:
    """Return the first rule that a list of tools breaks."""
    labels: set[str] = set()
    for at, tool in enumerate(tools):
        if isinstance(tool, LocalShellTool):
            return Broken("tool_not_supported", "Tool 'local_shell' is not supported.", field)
        if isinstance(tool, McpTool):
            broken = _broken_mcp_tool(f"{field}[{at}]", tool, labels)
            if broken is not None:
                return Broken(*broken, field)
            labels.add(tool.server_label.lower())
    return None


def _broken_mcp_tool(path: str, tool: McpTool, labels: set[str]) -> tuple[str, str] | None:
    label = tool.server_label
    if not label:
        text = f"Missing required parameter: '{path}.server_label'."
        return "missing_required_parameter", text
    if not _LABEL.fullmatch(label):
        text = (
            f"Invalid input {label}: 'server_label' must start with a letter and consist of "
            "only letters, digits, '-' and '_'"
        )
        return "invalid_server_label", text
    if label.lower() in labels:
        text = f"Duplicate MCP server_label '{label}' found in 'tools' parameter."
        return "mcp_tool_duplicate_server_label", text
    if tool.server_url is not None and tool.connector_id is not None:
        text = (
            f"MCP tool with server_label '{label}' sets both 'server_url' and 'connector_id'; "
            "exactly one is required."
        )
        return "mcp_tool_conflicting_targets", text
    return None


_LABEL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
