"""Messages and token counting: what routing and validation read of a request."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from smg_protocols.chat_tools import TOOL_CHOICE_WITHOUT_TOOLS
from smg_protocols.errors import RequestInvalid
from smg_protocols.faults import Broken
from smg_protocols.message_blocks import (
    InputBlock,
    MessageTool,
    SystemText,
    TextBlock,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
)
from smg_protocols.wire import F64, U32, Named, Ruled

__all__ = (
    "CountTokensRequest",
    "CreateMessageRequest",
    "broken_combination",
    "check_anthropic_version",
    "needs_second_look",
    "routing_text",
)

# Below this the API calls a thinking budget too small to be useful.
MIN_THINKING_BUDGET_TOKENS: Final = 1024
MAX_TOOL_NAME_CHARS: Final = 128
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_VERSION: Final = re.compile(rb"\d{4}-\d{2}-\d{2}")


class InputMessage(msgspec.Struct, frozen=True):
    role: Literal["user", "assistant", "system"]
    content: Annotated[str | list[InputBlock], Named("InputContent")]


class Metadata(msgspec.Struct, frozen=True):
    user_id: str | None = None


class ThinkingEnabled(msgspec.Struct, frozen=True, tag="enabled"):
    budget_tokens: U32
    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(msgspec.Struct, frozen=True, tag="disabled"):
    pass


class ThinkingAdaptive(msgspec.Struct, frozen=True, tag="adaptive"):
    display: Literal["summarized", "omitted"] | None = None


class ChooseAuto(msgspec.Struct, frozen=True, tag="auto"):
    disable_parallel_tool_use: bool | None = None


class ChooseAny(msgspec.Struct, frozen=True, tag="any"):
    disable_parallel_tool_use: bool | None = None


class ChooseTool(msgspec.Struct, frozen=True, tag="tool"):
    name: str
    disable_parallel_tool_use: bool | None = None


class ChooseNone(msgspec.Struct, frozen=True, tag="none"):
    pass


class ContainerConfig(msgspec.Struct, frozen=True):
    id: str | None = None


class McpToolConfiguration(msgspec.Struct, frozen=True):
    enabled: bool | None = None
    allowed_tools: list[str] | None = None


class McpServerConfig(msgspec.Struct, frozen=True):
    name: str
    url: str
    type: str = "url"
    authorization_token: str | None = None
    tool_configuration: McpToolConfiguration | None = None


_System = Annotated[str | list[SystemText], Named("SystemContent")]
_Thinking = Annotated[
    ThinkingEnabled | ThinkingDisabled | ThinkingAdaptive, Named("ThinkingConfig")
]
_ToolChoice = Annotated[ChooseAuto | ChooseAny | ChooseTool | ChooseNone, Named("ToolChoice")]


def _present_rule(what: str) -> Ruled:
    def rule(field: str, value: str | list[object]) -> Broken | None:
        if value:
            return None
        return Broken("invalid_value", f"{field} {what} is required and cannot be empty", field)

    return Ruled(rule)


_Model = Annotated[str, msgspec.Meta(min_length=1), _present_rule("field")]
_Messages = Annotated[list[InputMessage], msgspec.Meta(min_length=1), _present_rule("array")]


class CreateMessageRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/messages; members not named here pass unread."""

    keeps_unknown: ClassVar[bool] = True
    model: _Model
    messages: _Messages
    max_tokens: U32
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    system: _System | None = None
    temperature: F64 | None = None
    thinking: _Thinking | None = None
    tool_choice: _ToolChoice | None = None
    tools: list[MessageTool] | None = None
    top_k: U32 | None = None
    top_p: F64 | None = None
    container: ContainerConfig | None = None
    mcp_servers: list[McpServerConfig] | None = None
    rid: str | None = None
    cache_salt: msgspec.Raw = msgspec.Raw(b"null")
    extra_key: msgspec.Raw = msgspec.Raw(b"null")


class CountTokensRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/messages/count_tokens."""

    keeps_unknown: ClassVar[bool] = True
    model: _Model
    messages: _Messages
    system: _System | None = None
    thinking: _Thinking | None = None
    tool_choice: _ToolChoice | None = None
    tools: list[MessageTool] | None = None


def check_anthropic_version(value: bytes) -> None:
    """Check the value of an `anthropic-version` header, which must be a date.

    Raises RequestInvalid with code `invalid_anthropic_version`.
    """
    if _VERSION.fullmatch(value.strip()) is None:
        shown = value.decode("ascii", "backslashreplace")
        raise RequestInvalid(
            f'anthropic-version: "{shown}" is not a valid version',
            code="invalid_anthropic_version",
        )


def has_unknown_tool(request: CreateMessageRequest | CountTokensRequest) -> bool:
    """Whether a tool is of no known kind."""
    return request.tools is not None and any(tool.undecided for tool in request.tools)


def needs_second_look(request: CreateMessageRequest) -> bool:
    """Whether the request breaks, or may break, a rule that decoding does not check."""
    return has_unknown_tool(request) or broken_combination(request) is not None


def broken_combination(request: CreateMessageRequest) -> Broken | None:
    """Return the first rule across fields that the request breaks."""
    return (
        _broken_sampling(request)
        or _broken_thinking(request)
        or _broken_messages(request.messages)
        or _broken_tools(request)
        or _broken_tool_choice(request)
    )


def _broken_sampling(request: CreateMessageRequest) -> Broken | None:
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is not None and not 0.0 <= value <= 1.0:
            side = "below_min" if value < 0.0 else "above_max"
            return Broken(f"decimal_{side}_value", f"{name}: range: 0..1")
    if all(each.strip() for each in request.stop_sequences or ()):
        return None
    text = "stop_sequences: each stop sequence must contain non-whitespace"
    return Broken("invalid_stop_sequence", text)


def _broken_thinking(request: CreateMessageRequest) -> Broken | None:
    if not isinstance(request.thinking, ThinkingEnabled):
        return None
    budget = request.thinking.budget_tokens
    if budget < MIN_THINKING_BUDGET_TOKENS:
        return Broken(
            "thinking_budget_too_small",
            "thinking.enabled.budget_tokens: Input should be greater than or equal to "
            f"{MIN_THINKING_BUDGET_TOKENS}",
        )
    if budget >= request.max_tokens:
        text = "`max_tokens` must be greater than `thinking.budget_tokens`"
        return Broken("thinking_budget_exceeds_max_tokens", text)
    return None


def _broken_messages(messages: list[InputMessage]) -> Broken | None:
    called: set[str] = set()
    answered: set[str] = set()
    previous = ""
    for at, message in enumerate(messages):
        if not message.content and message.role == "user":
            text = f"messages.{at}: user messages must have non-empty content"
            return Broken("empty_content", text)
        blocks = message.content if isinstance(message.content, list) else []
        if message.role == "assistant":
            if previous != "assistant":
                called, answered = set(), set()
            called.update(block.id for block in blocks if isinstance(block, ToolUseBlock))
        elif blocks:
            broken = _broken_results(at, blocks, called, answered)
            if broken is not None:
                return broken
        previous = message.role
    return _broken_prefill(messages[-1]) if messages else None


def _broken_results(
    at: int, blocks: list[Any], called: set[str], answered: set[str]
) -> Broken | None:
    """Check that tool results answer the calls of the turn before, each once."""
    for index, block in enumerate(blocks):
        if not isinstance(block, ToolResultBlock):
            continue
        name = block.tool_use_id
        if name in answered:
            text = f"messages.{at}.content.{index}: more than one tool_result for id '{name}'"
            return Broken("duplicate_tool_result", text)
        if name not in called:
            text = (
                f"messages.{at}.content.{index}: unexpected tool_use_id '{name}': the previous "
                "turn has no tool_use block with this id"
            )
            return Broken("unexpected_tool_use_id", text)
        answered.add(name)
    return None


def _broken_prefill(last: InputMessage) -> Broken | None:
    if last.role != "assistant" or not last.content:
        return None
    text = last.content
    if not isinstance(text, str):
        block = text[-1]
        text = block.text if isinstance(block, TextBlock) else ""
    if text != text.rstrip():
        text = "messages: final assistant content cannot end with trailing whitespace"
        return Broken("prefill_trailing_whitespace", text)
    return None


def _broken_tools(request: CreateMessageRequest) -> Broken | None:
    tools = request.tools or []
    if not request.mcp_servers and any(tool.is_toolset for tool in tools):
        text = "mcp_servers is required when mcp_toolset tools are present"
        return Broken("mcp_servers_required", text)
    names: set[str] = set()
    for at, tool in enumerate(tools):
        if tool.is_toolset or tool.name is None:
            continue
        if tool.name in names:
            return Broken("duplicate_tool_name", "tools: tool names must be unique")
        names.add(tool.name)
        broken = _broken_custom_tool(at, tool) if tool.is_custom else None
        if broken is not None:
            return broken
    return None


def _broken_custom_tool(at: int, tool: ToolDefinition) -> Broken | None:
    path = f"tools.{at}.custom"
    name = tool.name or ""
    if len(name) > MAX_TOOL_NAME_CHARS:
        text = f"{path}.name: at most {MAX_TOOL_NAME_CHARS} characters are allowed"
        return Broken("tool_name_too_long", text)
    if _TOOL_NAME.fullmatch(name) is None:
        text = f"{path}.name: only letters, digits, '_' and '-' are allowed, at least one"
        return Broken("invalid_tool_name", text)
    if tool.input_schema is not None and tool.input_schema.type != "object":
        text = f"{path}.input_schema.type: must be 'object'"
        return Broken("invalid_input_schema_type", text)
    return None


def _broken_tool_choice(request: CreateMessageRequest) -> Broken | None:
    choice = request.tool_choice
    if choice is None or isinstance(choice, ChooseNone):
        return None
    if not request.tools:
        return TOOL_CHOICE_WITHOUT_TOOLS
    if not isinstance(choice, ChooseTool):
        return None
    if any(tool.answers_to(choice.name) for tool in request.tools):
        return None
    text = f"Invalid value for 'tool_choice': tool '{choice.name}' not found in 'tools'."
    return Broken("tool_choice_tool_not_found", text)


def routing_text(request: CreateMessageRequest | CountTokensRequest) -> str:
    """Return the text blocks of the system prompt and of all messages, space-joined."""
    return " ".join(_pieces(request))


def _pieces(request: CreateMessageRequest | CountTokensRequest) -> Iterator[str]:
    contents = [message.content for message in request.messages]
    for content in (request.system or "", *contents):
        if isinstance(content, str):
            if content:
                yield content
            continue
        for block in content:
            if isinstance(block, (TextBlock, SystemText)) and block.text:
                yield block.text
