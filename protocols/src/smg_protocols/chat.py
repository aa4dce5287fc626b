"""Chat completions: what routing and validation read of a request."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final

import msgspec

from smg_protocols.chat_tools import (
    Function,
    FunctionCall,
    Tool,
    ToolChoice,
    ToolChoiceParam,
    broken_choice,
)
from smg_protocols.document import Members
from smg_protocols.faults import Broken, Mismatch, Trail
from smg_protocols.shapes import Text, wrong_type
from smg_protocols.wire import (
    F32,
    I64,
    U32,
    U64,
    AnyObject,
    Named,
    ReadBy,
    Ruled,
    Stop,
    StringMap,
    TopK,
    TopP,
    f32,
    u32,
)

__all__ = (
    "SEVERAL_CONSTRAINTS",
    "STREAM_OPTIONS_WITHOUT_STREAM",
    "ChatCompletionRequest",
    "StreamOptions",
    "broken_combination",
    "choices_of",
    "needs_second_look",
    "routing_text",
)

_NULL: Final = msgspec.Raw(b"null")


def _read_part(value: object, trail: Trail) -> object:
    """Read a content part; parts of unknown type or without their payload are the worker's."""
    if not isinstance(value, Members):
        raise wrong_type(value, "internally tagged enum ContentPart", trail)
    members = dict(value)
    kind = Text().read(members.get("type"), trail.into("type"))
    text = members.get("text")
    return ContentPart(type=str(kind), text=text if isinstance(text, str) else None)


class ContentPart(msgspec.Struct, frozen=True):
    """One part of a message's content; only text parts are looked into."""

    type: str
    text: str | None = None


_Part = Annotated[ContentPart, ReadBy(_read_part)]
_Content = Annotated[str | list[_Part], Named("MessageContent")]


class FunctionCallResponse(msgspec.Struct, frozen=True):
    """The function a past tool call named, with its arguments as JSON text."""

    name: str
    arguments: str | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call of a past assistant turn."""

    id: str
    type: str
    function: FunctionCallResponse


class SystemMessage(msgspec.Struct, frozen=True, tag_field="role", tag="system"):
    """Instructions."""

    content: _Content
    name: str | None = None


class UserMessage(msgspec.Struct, frozen=True, tag_field="role", tag="user"):
    """What the user says."""

    content: _Content
    name: str | None = None


class AssistantMessage(msgspec.Struct, frozen=True, tag_field="role", tag="assistant"):
    """What the model said before."""

    content: _Content | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None


class ToolMessage(msgspec.Struct, frozen=True, tag_field="role", tag="tool"):
    """The answer of a tool."""

    content: _Content
    tool_call_id: str


class FunctionMessage(msgspec.Struct, frozen=True, tag_field="role", tag="function"):
    """The answer of a function, in the older form."""

    content: str
    name: str


class DeveloperMessage(msgspec.Struct, frozen=True, tag_field="role", tag="developer"):
    """Instructions in the newer form, which may bring tools."""

    content: _Content
    tools: list[Tool] | None = None
    name: str | None = None


class RootMessage(msgspec.Struct, frozen=True, tag_field="role", tag="root"):
    """Instructions above the system's."""

    content: _Content
    name: str | None = None


ChatMessage = Annotated[
    SystemMessage
    | UserMessage
    | AssistantMessage
    | ToolMessage
    | FunctionMessage
    | DeveloperMessage
    | RootMessage,
    Named("ChatMessage"),
]


class TextFormat(msgspec.Struct, frozen=True, tag="text"):
    """Free text."""


class JsonObjectFormat(msgspec.Struct, frozen=True, tag="json_object"):
    """Any JSON object."""


class JsonSchemaFormat(msgspec.Struct, frozen=True):
    """A named JSON schema."""

    name: str
    schema: msgspec.Raw
    strict: bool | None = None


class SchemaFormat(msgspec.Struct, frozen=True, tag="json_schema"):
    """JSON that fits a schema."""

    json_schema: JsonSchemaFormat


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | SchemaFormat, Named("ResponseFormat")]


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream carries beside the text."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: bool | None = None


def _read_effort(value: object, trail: Trail) -> object:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    cause = "reasoning_effort must be a string, number, or null"
    raise Mismatch("json_parse_error", cause, trail)


_Effort = Annotated[str | int | float | None, ReadBy(_read_effort)]


def _messages_rule(field: str, value: list[object]) -> Broken | None:
    if value:
        return None
    text = (
        f"Invalid '{field}': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead."
    )
    return Broken("empty_array", text, field)


def _verbosity_rule(field: str, value: str) -> Broken | None:
    if value in ("low", "medium", "high"):
        return None
    text = f"Unsupported value: '{value}'. Supported values are 'low', 'medium' and 'high'."
    return Broken("unsupported_value", text, field)


_Messages = Annotated[list[ChatMessage], msgspec.Meta(min_length=1), Ruled(_messages_rule)]


class ChatCompletionRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/chat/completions; members not named here pass unread."""

    keeps_unknown: ClassVar[bool] = True
    messages: _Messages
    model: str
    frequency_penalty: Annotated[float, f32(-2.0, 2.0)] | None = None
    function_call: FunctionCall = None
    functions: list[Function] | None = None
    logit_bias: dict[str, F32] | None = None
    logprobs: bool | None = None
    max_tokens: Annotated[int, u32(1)] | None = None
    max_completion_tokens: Annotated[int, u32(1)] | None = None
    metadata: StringMap | None = None
    modalities: list[str] | None = None
    return_audio: bool | None = None
    n: Annotated[int, u32(1, 10)] | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: Annotated[float, f32(-2.0, 2.0)] | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: _Effort = None
    response_format: ResponseFormat | None = None
    safety_identifier: str | None = None
    seed: I64 | None = None
    service_tier: str | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, f32(0.0, 2.0)] | None = None
    tool_choice: ToolChoiceParam = None
    tools: list[Tool] | None = None
    top_logprobs: Annotated[int, u32(0, 20)] | None = None
    top_p: TopP | None = None
    verbosity: Annotated[str, Ruled(_verbosity_rule)] | None = None
    top_k: TopK | None = None
    min_p: Annotated[float, f32(0.0, 1.0)] | None = None
    min_tokens: U32 | None = None
    repetition_penalty: Annotated[float, f32(0.0, 2.0)] | None = None
    regex: str | None = None
    ebnf: str | None = None
    stop_token_ids: list[U32] | None = None
    no_stop_trim: bool | None = None
    ignore_eos: bool | None = None
    continue_final_message: bool | None = None
    skip_special_tokens: bool | None = None
    lora_path: str | None = None
    session_params: AnyObject | None = None
    separate_reasoning: bool | None = None
    stream_reasoning: bool | None = None
    chat_template_kwargs: AnyObject | None = None
    return_hidden_states: bool | None = None
    sampling_seed: U64 | None = None
    rid: str | None = None
    cache_salt: msgspec.Raw = _NULL
    extra_key: msgspec.Raw = _NULL


def needs_second_look(request: ChatCompletionRequest) -> bool:
    """Whether the request breaks, or may break, a rule that decoding does not check."""
    return (
        request.top_k == 0
        or (request.verbosity is not None and _verbosity_rule("", request.verbosity) is not None)
        or (isinstance(request.tool_choice, ToolChoice) and request.tool_choice.undecided)
        or broken_combination(request) is not None
    )


def broken_combination(request: ChatCompletionRequest) -> Broken | None:
    """Return the first rule across fields that the request breaks."""
    if request.top_logprobs is not None and not request.logprobs:
        return Broken(
            "top_logprobs_requires_logprobs",
            "top_logprobs is only allowed when logprobs is enabled",
        )
    if request.stream_options is not None and not request.stream:
        return STREAM_OPTIONS_WITHOUT_STREAM
    if request.min_tokens is not None and _limit(request) < request.min_tokens:
        return Broken(
            "min_tokens_exceeds_max",
            "min_tokens cannot exceed max_tokens/max_completion_tokens",
        )
    if request.logit_bias and not all(map(_is_token_id, request.logit_bias)):
        return Broken("logit_bias_invalid_key", "logit_bias keys must be non-negative integers")
    return _broken_constraint(request) or _broken_choice(request)


STREAM_OPTIONS_WITHOUT_STREAM: Final = Broken(
    "stream_options_requires_stream",
    "The 'stream_options' parameter is only allowed when 'stream' is enabled",
)
SEVERAL_CONSTRAINTS: Final = Broken(
    "multiple_constraints",
    "only one structured output constraint (regex, ebnf, or json_schema) can be active at a time",
)


def _limit(request: ChatCompletionRequest) -> float:
    if request.max_completion_tokens is not None:
        return request.max_completion_tokens
    return float("inf") if request.max_tokens is None else request.max_tokens


def _is_token_id(key: str) -> bool:
    return key.isascii() and key.isdigit()


def _broken_constraint(request: ChatCompletionRequest) -> Broken | None:
    response_format = request.response_format
    if response_format is None or isinstance(response_format, TextFormat):
        return SEVERAL_CONSTRAINTS if request.regex is not None is not request.ebnf else None
    if request.regex is not None:
        text = "cannot use regex constraint with JSON response format"
        return Broken("regex_conflicts_with_json", text)
    if request.ebnf is not None:
        text = "cannot use EBNF constraint with JSON response format"
        return Broken("ebnf_conflicts_with_json", text)
    if isinstance(response_format, SchemaFormat):
        return broken_schema(response_format.json_schema.name, response_format.json_schema.schema)
    return None


def broken_schema(name: str, schema: msgspec.Raw) -> Broken | None:
    """Check the name and the outermost type of a response schema."""
    if not name:
        return Broken("json_schema_name_empty", "JSON schema name cannot be empty")
    if bytes(schema)[:1] != b"{":
        return Broken("json_schema_schema_not_object", "JSON schema must be an object")
    return None


def _broken_choice(request: ChatCompletionRequest) -> Broken | None:
    if request.tool_choice is not None:
        return broken_choice(request.tool_choice, _offered(request))
    return broken_choice(request.function_call, _offered(request))


def _offered(request: ChatCompletionRequest) -> set[str] | None:
    """Return the names of the offered functions, None when no tool is offered at all."""
    if request.tools:
        return {tool.function.name for tool in request.tools if tool.type == "function"}
    if request.tools is None and request.functions:
        return {function.name for function in request.functions}
    return None


def routing_text(request: ChatCompletionRequest) -> str:
    """Return the text of all messages, pieces joined by one space."""
    return " ".join(_pieces(request))


def _pieces(request: ChatCompletionRequest) -> Iterator[str]:
    for message in request.messages:
        content = message.content
        if isinstance(content, str):
            if content:
                yield content
        elif content is not None:
            for part in content:
                if part.type == "text" and part.text:
                    yield part.text
        if isinstance(message, AssistantMessage) and message.reasoning_content:
            yield message.reasoning_content


def choices_of(request: ChatCompletionRequest) -> int:
    """Return how many answers are asked for."""
    return request.n or 1
