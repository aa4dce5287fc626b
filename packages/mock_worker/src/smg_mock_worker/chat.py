"""OpenAI chat completions."""

from collections.abc import Sequence
from typing import Any

import msgspec

from smg_mock_worker.errors import Flavour, RequestRefused
from smg_mock_worker.exchange import (
    DONE_FRAME,
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
    stop_strings,
)
from smg_mock_worker.logprobs import chat_logprobs
from smg_mock_worker.tool_calls import ToolCall, plan_tool_call, tool_answer

__all__ = ("ChatExchange", "parse_chat", "render_messages", "text_of")


class StreamOptions(msgspec.Struct):
    """Whether a stream reports usage at its end."""

    include_usage: bool | None = None


class ChatMessage(msgspec.Struct):
    """A message of the conversation; content parts stay loose."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ToolFunction(msgspec.Struct):
    """A function the model may call."""

    name: str
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct):
    """A tool of any type; only functions are called."""

    type: str
    function: ToolFunction | None = None


class ChatRequest(msgspec.Struct):
    """The fields of a chat request that the simulator looks at."""

    messages: list[ChatMessage]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    no_stop_trim: bool | None = None
    include_stop_str_in_output: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    rid: str | list[str] | None = None


def text_of(content: str | Sequence[dict[str, Any]] | None) -> str:
    """A message's content as text; an image or a sound is named by its own source."""
    if content is None or isinstance(content, str):
        return content or ""
    pieces: list[str] = []
    for part in content:
        text = part.get("text")
        if isinstance(text, str):
            pieces.append(text)
        else:
            kind = str(part.get("type"))
            pieces.append(f"<|{kind}|> {encode_json(part.get(kind)).decode()}")
    return " ".join(pieces)


def render_messages(messages: Sequence[tuple[str, str]], tools: object = None) -> str:
    """The chat template: tools first, then `(role, text)` turns, then the answer's turn."""
    head = f"<|tools|> {encode_json(tools).decode()}\n" if tools else ""
    turns = "".join(f"<|{role}|> {text}\n" for role, text in messages)
    return f"{head}{turns}<|assistant|>"


def parse_chat(call: Call, served: ServedModel) -> "ChatExchange":
    """Read a request; raises `RequestRefused`."""
    request = decode_body(call.body, ChatRequest)
    model = served.resolve(request.model)
    if not request.messages:
        raise RequestRefused(400, "messages must not be empty.", param="messages")
    limit = request.max_completion_tokens
    limit = request.max_tokens if limit is None else limit
    if limit is not None and limit < 1:
        raise RequestRefused(
            400, f"max_tokens must be at least 1, got {limit}.", param="max_tokens"
        )
    turns = [
        (
            message.role,
            text_of(message.content)
            + (encode_json(message.tool_calls).decode() if message.tool_calls else ""),
        )
        for message in request.messages
    ]
    wishes = Wishes(
        token_limit=limit,
        stops=stop_strings(request.stop),
        keep_stop=bool(request.no_stop_trim or request.include_stop_str_in_output),
        choice_count=1 if request.n is None else request.n,
    )
    choices = plan_choices(served, render_messages(turns, request.tools), wishes)
    tool_call = _wished_call(request, choices[0])
    if tool_call is not None:
        answer = tool_answer(tool_call)
        choices = [Choice(choice.prompt, answer, choice.counts_prompt) for choice in choices]
    return ChatExchange(request, choices, model, served.flavour, call.created, tool_call)


def _wished_call(request: ChatRequest, choice: Choice) -> ToolCall | None:
    """The tool call that `tool_choice` demands; the simulated model never volunteers one."""
    functions = [tool.function for tool in request.tools or () if tool.function]
    wish = request.tool_choice
    if isinstance(wish, dict):
        named = wish.get("function")
        name = named.get("name") if isinstance(named, dict) else None
        functions = [function for function in functions if function.name == name]
        if not functions:
            raise RequestRefused(400, f"The tool {name!r} is not in tools.", param="tool_choice")
    elif wish != "required":
        return None
    if not functions:
        raise RequestRefused(400, "tool_choice needs tools.", param="tool_choice")
    return plan_tool_call(functions[0].name, functions[0].parameters, choice.prompt)


class ChatExchange(Exchange):
    """A chat completion under way."""

    def __init__(
        self,
        request: ChatRequest,
        choices: Sequence[Choice],
        model: str,
        flavour: Flavour,
        created: int,
        call: ToolCall | None,
    ) -> None:
        options = request.stream_options or StreamOptions()
        self.choices = choices
        self.stream = bool(request.stream)
        self._call = call
        self._sglang = flavour is Flavour.SGLANG
        self._logprobs = bool(request.logprobs)
        self._top_logprobs = request.top_logprobs or 0
        self._include_usage = bool(options.include_usage)
        self.rid = request.rid if isinstance(request.rid, str) else None
        self._id = self.rid or make_id("chatcmpl-")
        self._model = encode_json(model)
        self._created = created
        self._chunk_start = b'data: {"id":%s,"object":"chat.completion.chunk","created":%d,' % (
            encode_json(self._id),
            created,
        ) + (b'"model":%s,"choices":[' % self._model)
        self._heads = [
            self._chunk_start + b'{"index":%d,"delta":' % number for number in range(len(choices))
        ]
        self._tail = b',"logprobs":null,"finish_reason":null}]}\n\n'

    def open_choice(self, choice: int, cached_tokens: int) -> bytes:
        """The role, and the name of a tool that is called."""
        frame = self._heads[choice] + b'{"role":"assistant","content":""}' + self._tail
        if self._call is None:
            return frame
        call = {"index": 0, **_call_object(self._call, choice, "")}
        delta = b'{"tool_calls":[%s]}' % encode_json(call)
        return frame + self._heads[choice] + delta + self._tail

    def token(self, choice: int, index: int) -> bytes:
        """One word of text, or a piece of the call's arguments."""
        answer = self.choices[choice].answer
        token = answer.tokens[index]
        if self._call is not None:
            piece = encode_json(token)
            delta = b'{"tool_calls":[{"index":0,"function":{"arguments":%s}}]}' % piece
            return self._heads[choice] + delta + self._tail
        piece = encode_json(token if index else token.removeprefix(" "))
        if self._logprobs:
            content = encode_json(chat_logprobs((token,), self._top_logprobs))
            tail = b',"logprobs":{"content":%s},"finish_reason":null}]}\n\n' % content
        else:
            tail = self._tail
        return self._heads[choice] + b'{"content":' + piece + b"}" + tail

    def close_choice(self, choice: int) -> bytes:
        """The finish reason."""
        answer = self.choices[choice].answer
        reason = encode_json(self._finish_reason(choice))
        end = b'{},"logprobs":null,"finish_reason":' + reason
        if self._sglang:
            end += b',"matched_stop":' + encode_json(answer.matched_stop)
        return self._heads[choice] + end + b"}]}\n\n"

    def end(self, usage: Usage) -> bytes:
        """The usage, if it was asked for, and the end mark."""
        if not self._include_usage:
            return DONE_FRAME
        return self._chunk_start + b'],"usage":' + usage.openai() + b"}\n\n" + DONE_FRAME

    def whole(self, usage: Usage) -> bytes:
        """The `chat.completion` object."""
        choices = [self._whole_choice(number) for number in range(len(self.choices))]
        return b'{"id":%s,"object":"chat.completion","created":%d,"model":%s,%s,"usage":%s}' % (
            encode_json(self._id),
            self._created,
            self._model,
            b'"choices":' + encode_json(choices),
            usage.openai(),
        )

    def _whole_choice(self, number: int) -> dict[str, Any]:
        answer = self.choices[number].answer
        message: dict[str, Any] = {"role": "assistant", "content": answer.text}
        if self._call is not None:
            arguments = "".join(answer.tokens)
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [_call_object(self._call, number, arguments)],
            }
        choice: dict[str, Any] = {
            "index": number,
            "message": {**message, "reasoning_content": None},
            "logprobs": None,
            "finish_reason": self._finish_reason(number),
        }
        if self._logprobs and self._call is None:
            choice["logprobs"] = {"content": chat_logprobs(answer.tokens, self._top_logprobs)}
        if self._sglang:
            choice["matched_stop"] = answer.matched_stop
        return choice

    def _finish_reason(self, choice: int) -> str:
        return "tool_calls" if self._call else self.choices[choice].answer.finish_reason


def _call_object(call: ToolCall, choice: int, arguments: str) -> dict[str, Any]:
    return {
        "id": f"{call.id}{choice or ''}",
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
