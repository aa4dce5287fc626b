"""Responses: what routing and validation read of a request."""

import re
from typing import Annotated, Final, Literal

import msgspec

from smg_protocols.chat import StreamOptions
from smg_protocols.chat_tools import (
    TOOL_CHOICE_WITHOUT_TOOLS,
    broken_allowed_tools,
    function_not_found,
)
from smg_protocols.faults import Broken
from smg_protocols.response_input import (
    ResponseInput,
    broken_input,
    input_text,
    untold_items,
)
from smg_protocols.response_tools import (
    ResponseTool,
    ResponseToolChoice,
    ToolChoiceParam,
    broken_tools,
    function_names,
)
from smg_protocols.wire import (
    I32,
    U32,
    AnyObject,
    Named,
    Ruled,
    Stop,
    TopK,
    TopP,
    f32,
    u32,
)

__all__ = ("ResponsesRequest", "broken_combination", "needs_second_look", "routing_text")

_IncludeField = Literal[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
]


class ConversationParam(msgspec.Struct, frozen=True):
    id: str


def _conversation_rule(field: str, value: str | ConversationParam) -> Broken | None:
    name = value if isinstance(value, str) else value.id
    if not name.startswith("conv_"):
        expected = "an ID that begins with 'conv_'."
    elif _CONVERSATION.fullmatch(name):
        return None
    else:
        expected = (
            "an ID that contains letters, numbers, underscores, or dashes, "
            "but this value contained additional characters."
        )
    text = f"Invalid '{field}': '{name}'. Expected {expected}"
    return Broken("invalid_conversation_id", text, field)


_CONVERSATION: Final = re.compile(r"[\w-]*")
_Conversation = Annotated[
    str | ConversationParam, Named("ConversationRef"), Ruled(_conversation_rule)
]


class ReasoningParam(msgspec.Struct, frozen=True):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class TextOutput(msgspec.Struct, frozen=True, tag="text"):
    pass


class JsonObjectOutput(msgspec.Struct, frozen=True, tag="json_object"):
    pass


class JsonSchemaOutput(msgspec.Struct, frozen=True, tag="json_schema"):
    name: str
    schema: msgspec.Raw
    description: str | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct, frozen=True):
    format: Annotated[
        TextOutput | JsonObjectOutput | JsonSchemaOutput | None, Named("TextFormat")
    ] = None


def _text_rule(field: str, value: TextConfig) -> Broken | None:
    if isinstance(value.format, JsonSchemaOutput) and not value.format.name:
        return Broken("json_schema_name_empty", "JSON schema name cannot be empty", field)
    return None


class PromptText(msgspec.Struct, frozen=True, tag="input_text"):
    text: str


class PromptImage(msgspec.Struct, frozen=True, tag="input_image"):
    detail: Literal["low", "high", "auto", "original"] | None = None
    file_id: str | None = None
    image_url: str | None = None


class PromptFile(msgspec.Struct, frozen=True, tag="input_file"):
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


_PromptInput = Annotated[PromptText | PromptImage | PromptFile, Named("PromptVariableTyped")]


class ResponsePrompt(msgspec.Struct, frozen=True):
    """A stored prompt and the values of its variables."""

    id: str
    variables: dict[str, Annotated[str | _PromptInput, Named("PromptVariable")]] | None = None
    version: str | None = None


class ContextManagementEntry(msgspec.Struct, frozen=True):
    type: Literal["compaction"]
    compact_threshold: U32 | None = None


class ResponsesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/responses, the one dialect that refuses members it does not know."""

    input: Annotated[ResponseInput, Ruled(broken_input)]
    model: str
    include: list[_IncludeField] | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int, u32(1)] | None = None
    max_tool_calls: Annotated[int, u32(1)] | None = None
    metadata: AnyObject | None = None
    conversation: _Conversation | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    reasoning: Annotated[ReasoningParam, Named("ResponseReasoningParam")] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    temperature: Annotated[float, f32(0.0, 2.0)] | None = None
    tool_choice: ToolChoiceParam = None
    tools: Annotated[list[ResponseTool], Ruled(broken_tools)] | None = None
    top_logprobs: Annotated[int, u32(0, 20)] | None = None
    top_p: TopP | None = None
    truncation: Literal["auto", "disabled"] | None = None
    text: Annotated[TextConfig, Ruled(_text_rule)] | None = None
    user: str | None = None
    request_id: str | None = None
    priority: I32 = 0
    frequency_penalty: Annotated[float, f32(-2.0, 2.0)] | None = None
    presence_penalty: Annotated[float, f32(-2.0, 2.0)] | None = None
    stop: Stop | None = None
    prompt: ResponsePrompt | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in-memory", "24h"] | None = None
    safety_identifier: str | None = None
    stream_options: StreamOptions | None = None
    context_management: list[ContextManagementEntry] | None = None
    top_k: TopK = -1
    min_p: Annotated[float, f32(0.0, 1.0)] = 0.0
    repetition_penalty: Annotated[float, f32(0.0, 2.0)] = 1.0


def needs_second_look(request: ResponsesRequest) -> bool:
    """Whether the request breaks, or may break, a rule that decoding does not check."""
    return (
        request.top_k == 0
        or untold_items(request.input)
        or broken_input("", request.input) is not None
        or _has_broken_options(request)
        or broken_combination(request) is not None
    )


def _has_broken_options(request: ResponsesRequest) -> bool:
    if request.conversation is not None and _conversation_rule("", request.conversation):
        return True
    if request.tools is not None and broken_tools("", request.tools) is not None:
        return True
    if request.text is not None and _text_rule("", request.text) is not None:
        return True
    return isinstance(request.tool_choice, ResponseToolChoice) and request.tool_choice.undecided


def broken_combination(request: ResponsesRequest) -> Broken | None:
    """Return the first rule across fields that the request breaks."""
    broken = _broken_tool_choice(request)
    if broken is not None:
        return broken
    if request.conversation is not None and request.previous_response_id is not None:
        return Broken(
            "mutually_exclusive_parameters",
            "Mutually exclusive parameters. Ensure you are only providing one of: "
            "'previous_response_id' or 'conversation'.",
        )
    return None


def _broken_tool_choice(request: ResponsesRequest) -> Broken | None:
    choice = request.tool_choice
    if choice is None or choice == "none":
        return None
    if not request.tools:
        return TOOL_CHOICE_WITHOUT_TOOLS
    if not isinstance(choice, ResponseToolChoice):
        return None
    offered = function_names(request.tools)
    if choice.type == "allowed_tools":
        return broken_allowed_tools(
            choice.mode or "", choice.tools or [], offered, functions_only=False
        )
    if choice.type == "function":
        name = choice.name
        if name is None and choice.function is not None:
            name = choice.function.name
        if name is not None and name not in offered:
            return function_not_found(name)
    return None


def routing_text(request: ResponsesRequest) -> str:
    """Return the text of the input."""
    return input_text(request.input)
