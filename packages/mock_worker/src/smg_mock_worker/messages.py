"""Anthropic messages."""

from collections.abc import Sequence
from typing import Any

import msgspec

from smg_mock_worker.chat import render_messages, text_of
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import (
    Call,
    Choice,
    Exchange,
    ServedModel,
    Usage,
    Wishes,
    decode_body,
    encode_json,
    make_id,
    plan_choices,
    sse_frame,
)
from smg_mock_worker.tokens import split_tokens
from smg_mock_worker.tool_calls import ToolCall, plan_tool_call, tool_answer

__all__ = ("MessageExchange", "count_message_tokens", "parse_message")


class MessageTurn(msgspec.Struct):
    """A turn of the conversation; content blocks stay loose."""

    role: str
    content: str | list[dict[str, Any]]


class MessageTool(msgspec.Struct):
    """A tool that the client runs."""

    name: str
    input_schema: dict[str, Any] | None = None


class MessageToolChoice(msgspec.Struct):
    """Which tool to call: `auto`, `any`, `none`, or `tool` with a name."""

    type: str
    name: str | None = None


class CountRequest(msgspec.Struct):
    """What prompts of both routes consist of."""

    model: str
    messages: list[MessageTurn]
    system: str | list[dict[str, Any]] | None = None
    tools: list[MessageTool] | None = None


class MessageRequest(CountRequest, kw_only=True):
    """The fields of a message request that the simulator looks at."""

    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    tool_choice: MessageToolChoice | None = None


def _block_text(block: dict[str, Any]) -> str:
    match block.get("type"):
        case "tool_result":
            content = block.get("content")
            return text_of(content) if isinstance(content, str | list) else ""
        case _:
            return text_of([block])


def _render(request: CountRequest) -> str:
    if not request.messages:
        raise RequestRefused(400, "messages: at least one message is required", param="messages")
    turns = [("system", text_of(request.system))] if request.system else []
    for turn in request.messages:
        blocks = turn.content
        text = blocks if isinstance(blocks, str) else " ".join(map(_block_text, blocks))
        turns.append((turn.role, text))
    return render_messages(turns, request.tools)


def count_message_tokens(call: Call, served: ServedModel) -> bytes:
    """The body of an answer to `/v1/messages/count_tokens`; raises `RequestRefused`."""
    request = decode_body(call.body, CountRequest)
    served.resolve(request.model)
    return b'{"input_tokens":%d}' % len(split_tokens(_render(request)))


def parse_message(call: Call, served: ServedModel) -> "MessageExchange":
    """Read a request; raises `RequestRefused`.

    `max_tokens` is compulsory here, so it only bounds the answer's natural length.
    """
    request = decode_body(call.body, MessageRequest)
    model = served.resolve(request.model)
    if request.max_tokens < 1:
        raise RequestRefused(400, "max_tokens: must be at least 1", param="max_tokens")
    text = _render(request)
    room = served.max_model_len - len(split_tokens(text))
    wishes = Wishes(
        # Clients of this API ask for the model's maximum; the engine takes what fits.
        token_limit=min(request.max_tokens, max(1, room)),
        natural_end=True,
        stops=request.stop_sequences or (),
    )
    choice = plan_choices(served, text, wishes)[0]
    tool_call = _wished_call(request, choice)
    if tool_call is not None:
        choice = Choice(choice.prompt, tool_answer(tool_call))
    return MessageExchange(choice, model, tool_call, stream=bool(request.stream))


def _wished_call(request: MessageRequest, choice: Choice) -> ToolCall | None:
    wish = request.tool_choice
    if wish is None or wish.type not in {"any", "tool"}:
        return None
    tools = request.tools or []
    if wish.type == "tool":
        tools = [tool for tool in tools if tool.name == wish.name]
    if not tools:
        raise RequestRefused(400, "tool_choice: there is no such tool", param="tool_choice")
    return plan_tool_call(tools[0].name, tools[0].input_schema, choice.prompt)


class MessageExchange(Exchange):
    """A message under way: one content block, text or a tool call."""

    def __init__(
        self, choice: Choice, model: str, tool_call: ToolCall | None, *, stream: bool
    ) -> None:
        self.choices: Sequence[Choice] = (choice,)
        self.stream = stream
        self._answer = choice.answer
        self._model = model
        self._call = tool_call
        self._id = make_id("msg_")
        self._stop_reason = "end_turn"
        if tool_call is not None:
            self._stop_reason = "tool_use"
        elif self._answer.matched_stop is not None:
            self._stop_reason = "stop_sequence"
        elif self._answer.finish_reason == "length":
            self._stop_reason = "max_tokens"
        kind, field = ("text_delta", "text") if tool_call is None else _JSON_DELTA
        self._delta_head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
            b'"delta":{"type":"%b","%b":' % (kind.encode(), field.encode())
        )

    def begin(self, usage: Usage) -> bytes:
        """The message without content."""
        message = {**self._message([], None), "usage": _usage(usage)}
        return _event("message_start", message=message)

    def open_choice(self, choice: int, cached_tokens: int) -> bytes:
        """The start of the content block, and a ping."""
        block: dict[str, Any] = {"type": "text", "text": ""}
        if self._call is not None:
            block = {**_tool_use(self._call), "input": {}}
        return _event("content_block_start", index=0, content_block=block) + _event("ping")

    def token(self, choice: int, index: int) -> bytes:
        """A delta of the content block."""
        token = self._answer.tokens[index]
        piece = encode_json(token if index or self._call else token.removeprefix(" "))
        return self._delta_head + piece + b"}}\n\n"

    def close_choice(self, choice: int) -> bytes:
        """The end of the content block."""
        return _event("content_block_stop", index=0)

    def end(self, usage: Usage) -> bytes:
        """The stop reason, the usage and the end of the message."""
        delta = {"stop_reason": self._stop_reason, "stop_sequence": self._answer.matched_stop}
        return _event("message_delta", delta=delta, usage=_usage(usage)) + _event("message_stop")

    def whole(self, usage: Usage) -> bytes:
        """The `message` object."""
        content: dict[str, Any] = {"type": "text", "text": self._answer.text}
        if self._call is not None:
            content = _tool_use(self._call)
        return encode_json({**self._message([content], self._stop_reason), "usage": _usage(usage)})

    def _message(self, content: list[dict[str, Any]], stop_reason: str | None) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": self._answer.matched_stop if stop_reason else None,
        }


_JSON_DELTA = ("input_json_delta", "partial_json")


def _event(kind: str, **fields: object) -> bytes:
    return sse_frame(encode_json({"type": kind, **fields}), kind)


def _tool_use(call: ToolCall) -> dict[str, Any]:
    identifier = call.id.replace("call_", "toolu_", 1)
    return {"type": "tool_use", "id": identifier, "name": call.name, "input": call.arguments}


def _usage(usage: Usage) -> dict[str, int]:
    """Anthropic counts what was read from the cache apart from the input."""
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }
