"""Functions offered to a chat model, and the ways to choose among them."""

from typing import Annotated, Final, Literal

import msgspec

from smg_protocols.document import Members
from smg_protocols.faults import Broken, Mismatch, Trail, shown
from smg_protocols.wire import Named, OneOf, ReadBy

__all__ = (
    "TOOL_CHOICE_WITHOUT_TOOLS",
    "Function",
    "FunctionCall",
    "FunctionChoice",
    "Tool",
    "ToolChoice",
    "ToolChoiceParam",
    "ToolReference",
    "broken_allowed_tools",
    "broken_choice",
    "function_not_found",
)


class Function(msgspec.Struct, frozen=True):
    """A function that the model may call; `parameters` is its JSON schema as sent."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool offered to the model."""

    type: str
    function: Function


class FunctionReference(msgspec.Struct, frozen=True, tag="function"):
    """A function by name."""

    name: str

    @property
    def label(self) -> str:
        return f"function:{self.name}"


class McpReference(msgspec.Struct, frozen=True, tag="mcp"):
    """An MCP server, or one tool of it."""

    server_label: str
    name: str | None = None

    @property
    def label(self) -> str:
        tool = "" if self.name is None else f":{self.name}"
        return f"mcp:{self.server_label}{tool}"


class _HostedReference(msgspec.Struct, frozen=True):
    @property
    def label(self) -> str:
        return str(self.__struct_config__.tag)


class FileSearchReference(_HostedReference, frozen=True, tag="file_search"):
    """The hosted file search."""


class WebSearchReference(_HostedReference, frozen=True, tag="web_search_preview"):
    """The hosted web search."""


class ComputerReference(_HostedReference, frozen=True, tag="computer_use_preview"):
    """The hosted computer."""


class CodeInterpreterReference(_HostedReference, frozen=True, tag="code_interpreter"):
    """The hosted interpreter."""


class ImageGenerationReference(_HostedReference, frozen=True, tag="image_generation"):
    """The hosted image generation."""


ToolReference = Annotated[
    FunctionReference
    | McpReference
    | FileSearchReference
    | WebSearchReference
    | ComputerReference
    | CodeInterpreterReference
    | ImageGenerationReference,
    Named("ToolReference"),
]


class FunctionChoice(msgspec.Struct, frozen=True):
    """The function that must be called."""

    name: str


class FunctionToolChoice(msgspec.Struct, frozen=True):
    """Call this function."""

    type: str
    function: FunctionChoice


class AllowedToolsChoice(msgspec.Struct, frozen=True):
    """Call one of these tools."""

    type: str
    mode: str
    tools: list[ToolReference]


class ToolChoice(msgspec.Struct, frozen=True):
    """Either of the object forms of `tool_choice`: `function`, or `mode` and `tools`, are set."""

    type: str
    function: FunctionChoice | None = None
    mode: str | None = None
    tools: list[ToolReference] | None = None

    @property
    def undecided(self) -> bool:
        """Whether the object is of neither form."""
        return self.function is None and (self.mode is None or self.tools is None)


_ToolChoiceValue = Literal["auto", "required", "none"]
Choice = _ToolChoiceValue | ToolChoice | FunctionChoice | None
ToolChoiceParam = Annotated[
    _ToolChoiceValue | ToolChoice | None,
    OneOf("ToolChoice", (_ToolChoiceValue, FunctionToolChoice, AllowedToolsChoice), ToolChoice),
]


def _read_function_call(value: object, trail: Trail) -> object:
    if isinstance(value, str):
        if value in ("none", "auto"):
            return value
        cause = f'unknown function_call value: "{shown(value)}"'
        raise Mismatch("json_parse_error", cause, trail)
    if not isinstance(value, Members):
        raise Mismatch("json_parse_error", "function_call must be a string or object", trail)
    name = dict(value).get("name")
    if not isinstance(name, str):
        cause = 'function_call object must have a "name" string field'
        raise Mismatch("json_parse_error", cause, trail)
    return FunctionChoice(name)


FunctionCall = Annotated[
    Literal["none", "auto"] | FunctionChoice | None, ReadBy(_read_function_call)
]


TOOL_CHOICE_WITHOUT_TOOLS: Final = Broken(
    "tool_choice_requires_tools",
    "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
)


def function_not_found(name: str) -> Broken:
    """Return the complaint about a chosen function that no tool offers."""
    text = f"Invalid value for 'tool_choice': function '{name}' not found in 'tools'."
    return Broken("tool_choice_function_not_found", text)


def broken_allowed_tools(
    mode: str, references: list[ToolReference], offered: set[str], *, functions_only: bool
) -> Broken | None:
    """Check the allowed_tools form of tool_choice against the names of the offered functions."""
    if mode not in ("auto", "required"):
        text = f"Invalid value for 'tool_choice.mode': must be 'auto' or 'required', got '{mode}'."
        return Broken("tool_choice_invalid_mode", text)
    for reference in references:
        if isinstance(reference, FunctionReference):
            if reference.name not in offered:
                return Broken(
                    "tool_choice_tool_not_found",
                    "Invalid value for 'tool_choice.tools': "
                    f"tool '{reference.name}' not found in 'tools'.",
                )
        elif functions_only:
            return Broken(
                "tool_choice_invalid_tool_type",
                "Invalid value for 'tool_choice.tools': Chat Completion API only supports "
                f"function tools, got '{reference.label}'.",
            )
    return None


def broken_choice(choice: Choice, offered: set[str] | None) -> Broken | None:
    """Check a choice against the names of the offered functions, None when there is no tool."""
    if choice is None or choice in ("none", "auto"):
        return None
    if offered is None:
        return TOOL_CHOICE_WITHOUT_TOOLS
    if isinstance(choice, ToolChoice):
        if choice.function is None:
            return broken_allowed_tools(
                choice.mode or "", choice.tools or [], offered, functions_only=True
            )
        choice = choice.function
    if isinstance(choice, FunctionChoice) and choice.name not in offered:
        return function_not_found(choice.name)
    return None
