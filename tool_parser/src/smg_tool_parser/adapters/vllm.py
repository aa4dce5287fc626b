"""vLLM tool parsers over this package's parsers.

A plugin is a file with two lines, given to `--tool-parser-plugin`:

    from smg_tool_parser.adapters.vllm import register
    register()

or, without a file, the module `smg_tool_parser.adapters.vllm_plugin`. Then `--tool-call-parser
smg_qwen` and so on name the parsers of this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from ..events import ArgumentsDelta, CallOpened, Event, TextDelta
from ..parser import ToolParser, create_parser, parse_answer
from ..registry import PASSTHROUGH, check_name, parser_names
from .history import call_ids_in

__all__ = ("PREFIX", "StreamedCalls", "register", "tool_parser_class")

PREFIX = "smg_"
"""What precedes a parser's name among vLLM's."""


class StreamedCalls:
    """The methods that vLLM calls on a tool parser; mixed into its abstract class.

    One object reads one output. As `engine_based_streaming` says, vLLM hands it each piece of text
    once and calls `finish_streaming` at the end.
    """

    parser_name = PASSTHROUGH
    engine_based_streaming = True
    tools: Sequence[Any]
    _reading: ToolParser | None = None

    def adjust_request(self, request: Any) -> Any:
        """Keeps special tokens in the text: most formats are written with them."""
        adjusted = super().adjust_request(request)  # type: ignore[misc]
        if request.tools and request.tool_choice != "none":
            adjusted.skip_special_tokens = False
        return adjusted

    def extract_tool_calls(self, model_output: str, request: Any) -> Any:
        """Reads a whole output: complete calls, and the visible text."""
        parsed = parse_answer(
            self.parser_name, model_output, _plain(self.tools), call_ids=self._call_ids(request)
        )
        protocol = _protocol()
        calls = [
            protocol.ToolCall(
                id=call.id,
                function=protocol.FunctionCall(
                    id=call.id, name=call.name, arguments=call.arguments
                ),
            )
            for call in parsed.calls
        ]
        return protocol.ExtractedToolCallInformation(
            tools_called=bool(calls), tool_calls=calls, content=parsed.normal_text or None
        )

    def extract_tool_calls_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
        request: Any,
    ) -> Any:
        """Reads the next piece, `delta_text`; None while there is nothing to tell."""
        if self._reading is None:
            self._reading = create_parser(
                self.parser_name, _plain(self.tools), call_ids=self._call_ids(request)
            )
        return _message(self._reading.feed(delta_text))

    def finish_streaming(self) -> Any:
        """Tells what was held back, and closes a call that the output cut off."""
        return None if self._reading is None else _message(self._reading.finish())

    def _call_ids(self, request: Any) -> Any:
        return call_ids_in(self.parser_name, getattr(request, "messages", ()))


def _plain(tools: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Tools as mappings; vLLM has them as pydantic models."""
    return [tool if isinstance(tool, Mapping) else tool.model_dump() for tool in tools]


@cache
def _protocol() -> Any:
    return import_module("vllm.entrypoints.generate.base.protocol")


def _message(events: Sequence[Event]) -> Any:
    if not events:
        return None
    protocol = _protocol()
    text: list[str] = []
    calls: dict[int, Any] = {}
    for event in events:
        match event:
            case TextDelta():
                text.append(event.text)
            case CallOpened():
                function = protocol.DeltaFunctionCall(name=event.name, arguments="")
                calls[event.index] = protocol.DeltaToolCall(
                    index=event.index, id=event.id, type="function", function=function
                )
            case ArgumentsDelta():
                call = calls.get(event.index)
                if call is None:
                    function = protocol.DeltaFunctionCall(arguments=event.json)
                    calls[event.index] = protocol.DeltaToolCall(
                        index=event.index, function=function
                    )
                else:
                    call.function.arguments += event.json
            case _:
                pass
    # vLLM leaves out of its answers what was not set.
    fields: dict[str, Any] = {}
    if text:
        fields["content"] = "".join(text)
    if calls:
        fields["tool_calls"] = list(calls.values())
    return protocol.DeltaMessage(**fields) if fields else None


@cache
def tool_parser_class(name: str) -> type[Any]:
    """The subclass of vLLM's ToolParser for the parser `name`.

    Raises ParserUnknown, and ImportError without vLLM.
    """
    abstract = import_module("vllm.tool_parsers.abstract_tool_parser").ToolParser
    body = {
        "__doc__": f"Reads tool calls as the parser {name} of smg-tool-parser.",
        "__module__": __name__,
        "parser_name": check_name(name),
    }
    return type(f"Smg_{name}", (StreamedCalls, abstract), body)


def register(names: Sequence[str] | None = None) -> None:
    """Registers parsers with vLLM, by default all, each with `PREFIX` before its name.

    Raises ParserUnknown, and ImportError without vLLM.
    """
    manager = import_module("vllm.tool_parsers.abstract_tool_parser").ToolParserManager
    for name in parser_names() if names is None else names:
        manager.register_module(PREFIX + name, force=True, module=tool_parser_class(name))
