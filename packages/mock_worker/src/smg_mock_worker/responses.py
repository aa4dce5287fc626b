"""OpenAI responses, without storage."""

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
from smg_mock_worker.tool_calls import ToolCall, plan_tool_call, tool_answer

__all__ = ("ResponseExchange", "parse_response")


class ResponsesRequest(msgspec.Struct):
    """The fields of a responses request that the simulator looks at or repeats."""

    input: str | list[dict[str, Any]]
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: float | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    top_p: float | None = None
    request_id: str | None = None


def _item_turn(item: dict[str, Any]) -> tuple[str, str]:
    """An input item as a turn of the conversation."""
    content = item.get("content")
    if isinstance(content, str | list):
        return str(item.get("role", "user")), text_of(content)
    return str(item.get("type", "item")), encode_json(item).decode()


def parse_response(call: Call, served: ServedModel) -> "ResponseExchange":
    """Read a request; raises `RequestRefused`."""
    request = decode_body(call.body, ResponsesRequest)
    model = served.resolve(request.model)
    if not request.input:
        raise RequestRefused(400, "input must not be empty.", param="input")
    limit = request.max_output_tokens
    if limit is not None and limit < 1:
        raise RequestRefused(
            400, "max_output_tokens must be at least 1.", param="max_output_tokens"
        )
    turns = [("system", request.instructions)] if request.instructions else []
    if isinstance(request.input, str):
        turns.append(("user", request.input))
    else:
        turns += map(_item_turn, request.input)
    text = render_messages(turns, request.tools)
    choice = plan_choices(served, text, Wishes(token_limit=limit))[0]
    tool_call = _wished_call(request, choice)
    if tool_call is not None:
        choice = Choice(choice.prompt, tool_answer(tool_call))
    return ResponseExchange(request, choice, model, call.created, tool_call)


def _wished_call(request: ResponsesRequest, choice: Choice) -> ToolCall | None:
    wish = request.tool_choice
    functions = [tool for tool in request.tools or () if tool.get("type") == "function"]
    if isinstance(wish, dict):
        if wish.get("type") != "function":
            return None
        functions = [tool for tool in functions if tool.get("name") == wish.get("name")]
    elif wish != "required":
        return None
    if not functions:
        raise RequestRefused(400, "tool_choice names no function of tools.", param="tool_choice")
    parameters = functions[0].get("parameters")
    schema = parameters if isinstance(parameters, dict) else None
    return plan_tool_call(str(functions[0].get("name")), schema, choice.prompt)


class ResponseExchange(Exchange):
    """A response under way: one output item, a message or a function call."""

    def __init__(
        self,
        request: ResponsesRequest,
        choice: Choice,
        model: str,
        created: int,
        tool_call: ToolCall | None,
    ) -> None:
        self.choices: Sequence[Choice] = (choice,)
        self.stream = bool(request.stream)
        self.rid = request.request_id
        self._request = request
        self._answer = choice.answer
        self._model = model
        self._created = created
        self._call = tool_call
        self._id = request.request_id or make_id("resp_")
        self._item_id = make_id("msg_" if tool_call is None else "fc_")
        self._sequence = 0
        self._is_cut = self._answer.finish_reason == "length"
        kind = "response.output_text.delta"
        place = b'"output_index":0,"content_index":0,"logprobs":[]'
        if tool_call is not None:
            kind, place = "response.function_call_arguments.delta", b'"output_index":0'
        self._delta_head = b'event: %b\ndata: {"type":"%b","item_id":%b,%b,"delta":' % (
            kind.encode(),
            kind.encode(),
            encode_json(self._item_id),
            place,
        )

    def begin(self, usage: Usage) -> bytes:
        """The response without output, twice, as the API has it."""
        response = self._response("in_progress", [], None)
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def open_choice(self, choice: int, cached_tokens: int) -> bytes:
        """The output item, and the content part of a message."""
        item = self._item("in_progress", "")
        if self._call is not None:
            return self._event("response.output_item.added", output_index=0, item=item)
        item["content"] = []
        added = self._event("response.output_item.added", output_index=0, item=item)
        part = _text_part("")
        return added + self._event("response.content_part.added", **self._place(), part=part)

    def token(self, choice: int, index: int) -> bytes:
        """A delta of the text or of the arguments."""
        token = self._answer.tokens[index]
        piece = encode_json(token if index or self._call else token.removeprefix(" "))
        self._sequence += 1
        return b'%b%b,"sequence_number":%d}\n\n' % (self._delta_head, piece, self._sequence - 1)

    def close_choice(self, choice: int) -> bytes:
        """The text or the arguments as a whole, then the finished item."""
        text = self._text()
        if self._call is not None:
            done = self._event(
                "response.function_call_arguments.done",
                item_id=self._item_id,
                output_index=0,
                name=self._call.name,
                arguments=text,
            )
        else:
            place = self._place()
            done = self._event("response.output_text.done", **place, text=text, logprobs=[])
            done += self._event("response.content_part.done", **place, part=_text_part(text))
        item = self._item("incomplete" if self._is_cut else "completed", text)
        return done + self._event("response.output_item.done", output_index=0, item=item)

    def end(self, usage: Usage) -> bytes:
        """The finished response; this API has no end mark of its own."""
        status = "incomplete" if self._is_cut else "completed"
        return self._event(f"response.{status}", response=self._finished(usage))

    def whole(self, usage: Usage) -> bytes:
        """The `response` object."""
        return encode_json(self._finished(usage))

    def _finished(self, usage: Usage) -> dict[str, Any]:
        status = "incomplete" if self._is_cut else "completed"
        return self._response(status, [self._item(status, self._text())], _usage(usage))

    def _response(
        self, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None
    ) -> dict[str, Any]:
        request = self._request
        incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": incomplete,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": request.metadata or {},
            "model": self._model,
            "output": output,
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": request.previous_response_id,
            "store": request.store is not False,
            "temperature": 1.0 if request.temperature is None else request.temperature,
            "text": {"format": {"type": "text"}},
            "tool_choice": request.tool_choice or "auto",
            "tools": request.tools or [],
            "top_p": 1.0 if request.top_p is None else request.top_p,
            "truncation": "disabled",
            "usage": usage,
        }

    def _item(self, status: str, text: str) -> dict[str, Any]:
        if self._call is not None:
            return {
                "id": self._item_id,
                "type": "function_call",
                "call_id": self._call.id,
                "name": self._call.name,
                "arguments": text,
                "status": status,
            }
        return {
            "id": self._item_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [_text_part(text)],
        }

    def _text(self) -> str:
        return "".join(self._answer.tokens) if self._call is not None else self._answer.text

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": 0, "content_index": 0}

    def _event(self, kind: str, **fields: object) -> bytes:
        self._sequence += 1
        event = {"type": kind, **fields, "sequence_number": self._sequence - 1}
        return sse_frame(encode_json(event), kind)


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
