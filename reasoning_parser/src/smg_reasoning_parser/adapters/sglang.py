"""SGLang reasoning detectors over this package's parsers.

SGLang finds `register` by itself: it is an entry point of the group `sglang.srt.plugins`. Then
`--reasoning-parser smg_qwen3` and so on name the parsers of this package.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from ..errors import ParserUnknown
from ..events import Event, ReasoningDelta
from ..parser import ReasoningParser
from ..parsing import PARSER_NAMES, create_parser, parse
from .markers import markers_of, reasoning_open

__all__ = ("PREFIX", "DetectedReasoning", "detector_class", "register")

PREFIX = "smg_"
"""What precedes a parser's name among SGLang's."""


class DetectedReasoning:
    """The methods that SGLang calls on a reasoning detector; mixed into its base class.

    One object reads one output. `force_reasoning` says that the prompt ended inside reasoning;
    without it the family's habit decides, and what a continued message contains. With
    `force_nonempty_content` an output that is reasoning alone is told as text, at its end.
    """

    parser_name = "passthrough"
    stream_reasoning: bool
    _in_reasoning: bool
    _force_nonempty_content: bool

    def __init__(
        self,
        stream_reasoning: bool = True,
        force_reasoning: bool = False,
        continue_final_message: bool = False,
        previous_content: str = "",
        force_nonempty_content: bool = False,
    ) -> None:
        start, end = markers_of(self.parser_name)
        super().__init__(  # type: ignore[call-arg]
            start,
            end,
            force_reasoning=force_reasoning,
            stream_reasoning=stream_reasoning,
            continue_final_message=continue_final_message,
            # The base class looks for markers in it, and an empty one is everywhere.
            previous_content="",
            force_nonempty_content=force_nonempty_content,
        )
        before = previous_content if continue_final_message else ""
        self._started = True if force_reasoning else self._started_in(before)
        self._reading: ReasoningParser = create_parser(
            self.parser_name, reasoning_started=self._started
        )
        self._in_reasoning = self._reading.in_reasoning
        self._pieces: list[str] = []
        self._spoke = False

    def _started_in(self, before: str) -> bool | None:
        opened = reasoning_open(self.parser_name, before)
        ended = markers_of(self.parser_name)[1]
        return False if opened is None and ended and ended in before else opened

    def detect_and_parse(self, text: str) -> Any:
        """Splits a whole output."""
        parsed = parse(self.parser_name, text, reasoning_started=self._started, hold_lead=True)
        reasoning, normal = parsed.reasoning, parsed.normal_text
        if self._force_nonempty_content and not normal:
            reasoning, normal = normal, reasoning
        return _types().StreamingParseResult(normal_text=normal, reasoning_text=reasoning)

    def parse_streaming_increment(self, new_text: str) -> Any:
        """Reads the next piece of an output."""
        return self._told(self._reading.feed(new_text))

    def finish(self) -> Any:
        """Tells what was held back, and reasoning that was not to be streamed."""
        return self._told(self._reading.finish(), ended=True)

    def _told(self, events: Sequence[Event], *, ended: bool = False) -> Any:
        reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
        text = "".join(event.text for event in events if not isinstance(event, ReasoningDelta))
        self._in_reasoning = self._reading.in_reasoning
        self._spoke = self._spoke or bool(text)
        if self._force_nonempty_content and not self._spoke:
            # All of it is kept: at the end it may have to be told as text.
            self._pieces.append(reasoning)
            if ended:
                text = "".join(self._pieces)
            return _types().StreamingParseResult(
                normal_text=text,
                reasoning_text=reasoning if self.stream_reasoning and not ended else "",
            )
        if not self.stream_reasoning:
            self._pieces.append(reasoning)
            reasoning = ""
            if ended or text or not self._in_reasoning:
                reasoning = "".join(self._pieces)
                self._pieces.clear()
        return _types().StreamingParseResult(normal_text=text, reasoning_text=reasoning)


@cache
def _types() -> Any:
    return import_module("sglang.srt.parser.reasoning_parser")


@cache
def detector_class(name: str) -> type[Any]:
    """The subclass of SGLang's BaseReasoningFormatDetector for the parser `name`.

    Raises `ParserUnknown`, and ImportError without SGLang.
    """
    if name not in PARSER_NAMES:
        raise ParserUnknown(name)
    base = _types().BaseReasoningFormatDetector
    body = {
        "__doc__": f"Splits outputs as the parser {name} of smg-reasoning-parser.",
        "__module__": __name__,
        "parser_name": name,
    }
    return type(f"Smg_{name}", (DetectedReasoning, base), body)


def register() -> None:
    """Adds all parsers to SGLang's, each with `PREFIX` before its name.

    Raises ImportError without SGLang.
    """
    for name in PARSER_NAMES:
        _types().ReasoningParser.DetectorMap[PREFIX + name] = detector_class(name)
