"""SGLang function-call detectors over this package's parsers.

SGLang finds `register` by itself: it is an entry point of the group `sglang.srt.plugins`. Then
`--tool-call-parser smg_qwen` and so on name the parsers of this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from ..events import ArgumentsDelta, CallOpened, Event, TextDelta
from ..parser import ToolParser, create_parser, parse, parse_answer
from ..registry import PASSTHROUGH, check_name, parser_names

__all__ = ("PREFIX", "DetectedCalls", "detector_class", "register")

PREFIX = "smg_"
"""What precedes a parser's name among SGLang's."""

# Formats in which a call counts only if it is declared, by what a call is announced with.
_ANNOUNCED: Mapping[str, str] = {"inkling": "<|content_invoke_tool_json|>"}


class DetectedCalls:
    """The methods that SGLang calls on a detector; mixed into its abstract class.

    One object reads one output. Undeclared functions are told like others.
    """

    parser_name = PASSTHROUGH
    _reading: ToolParser | None = None

    def has_tool_call(self, text: str) -> bool:
        """Whether a whole output has a call, complete or not."""
        announced = _ANNOUNCED.get(self.parser_name)
        return announced in text if announced else bool(parse(self.parser_name, text).calls)

    def detect_and_parse(self, text: str, tools: Sequence[Any]) -> Any:
        """Reads a whole output: complete calls, and the visible text."""
        parsed = parse_answer(self.parser_name, text, _plain(tools))
        types = _types()
        positions = {tool.function.name: at for at, tool in enumerate(tools)}
        calls = [
            types.ToolCallItem(
                tool_index=positions.get(call.name, -1), name=call.name, parameters=call.arguments
            )
            for call in parsed.calls
        ]
        return types.StreamingParseResult(normal_text=parsed.normal_text, calls=calls)

    def parse_streaming_increment(self, new_text: str, tools: Sequence[Any]) -> Any:
        """Reads the next piece of an output."""
        if self._reading is None:
            self._reading = create_parser(self.parser_name, _plain(tools))
        return _result(self._reading.feed(new_text))

    def finish(self, tools: Sequence[Any]) -> Any:
        """Tells what was held back, and closes a call that the output cut off."""
        return _result([] if self._reading is None else self._reading.finish())

    def supports_structural_tag(self) -> bool:
        """False: forced calls are then written, and read, as a JSON array of SGLang's own."""
        return False

    def structure_info(self) -> Any:
        """Raises NotImplementedError, see `supports_structural_tag`."""
        raise NotImplementedError("smg-tool-parser gives no structural tag to SGLang")


def _plain(tools: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Tools as mappings; SGLang has them as pydantic models."""
    return [tool if isinstance(tool, Mapping) else tool.model_dump() for tool in tools]


@cache
def _types() -> Any:
    return import_module("sglang.srt.function_call.core_types")


def _result(events: Sequence[Event]) -> Any:
    types = _types()
    text: list[str] = []
    calls: list[Any] = []
    for event in events:
        match event:
            case TextDelta():
                text.append(event.text)
            case CallOpened():
                calls.append(
                    types.ToolCallItem(tool_index=event.index, name=event.name, parameters="")
                )
            case ArgumentsDelta():
                calls.append(types.ToolCallItem(tool_index=event.index, parameters=event.json))
            case _:
                pass
    return types.StreamingParseResult(normal_text="".join(text), calls=calls)


@cache
def detector_class(name: str) -> type[Any]:
    """The subclass of SGLang's BaseFormatDetector for the parser `name`.

    Raises ParserUnknown, and ImportError without SGLang.
    """
    abstract = import_module("sglang.srt.function_call.base_format_detector").BaseFormatDetector
    body = {
        "__doc__": f"Reads tool calls as the parser {name} of smg-tool-parser.",
        "__module__": __name__,
        "parser_name": check_name(name),
    }
    return type(f"Smg_{name}", (DetectedCalls, abstract), body)


def register() -> None:
    """Adds all parsers to SGLang's, each with `PREFIX` before its name.

    Raises ImportError without SGLang.
    """
    parser = import_module("sglang.srt.function_call.function_call_parser").FunctionCallParser
    for name in parser_names():
        parser.ToolCallParserEnum[PREFIX + name] = detector_class(name)
