"""vLLM reasoning parsers over this package's parsers.

A plugin is a file with two lines, given to `--reasoning-parser-plugin`:

    from smg_reasoning_parser.adapters.vllm import register
    register()

or, without a file, the module `smg_reasoning_parser.adapters.vllm_plugin`. Then
`--reasoning-parser smg_qwen3` and so on name the parsers of this package.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from ..errors import ParserUnknown
from ..events import Event, ReasoningDelta
from ..parser import ReasoningParser
from ..parsing import PARSER_NAMES, create_parser, parse
from .markers import markers_of, reasoning_open

__all__ = ("PREFIX", "StreamedReasoning", "reasoning_parser_class", "register")

PREFIX = "smg_"
"""What precedes a parser's name among vLLM's."""

# How much of a prompt's end is decoded to see whether it ends inside reasoning.
_PROMPT_TAIL_TOKENS = 64


class StreamedReasoning:
    """The methods that vLLM calls on a reasoning parser; mixed into its abstract class.

    One object reads one output. In a stream vLLM stops asking it once the reasoning has ended (or
    the answer has begun without any): what comes later is the answer and its tool calls.
    """

    parser_name = "passthrough"
    engine_based_streaming = True
    model_tokenizer: Any
    _reading: ReasoningParser | None = None
    _prompt_in_reasoning: bool | None = None
    _reasoned = False
    _answering = False

    @property
    def reasoning_start_str(self) -> str | None:
        return markers_of(self.parser_name)[0] or None

    @property
    def reasoning_end_str(self) -> str | None:
        return markers_of(self.parser_name)[1] or None

    def adjust_request(self, request: Any) -> Any:
        """Keeps special tokens in the text: in many formats the markers are such."""
        request.skip_special_tokens = False
        return request

    def set_prompt_token_ids(self, prompt_token_ids: Sequence[int]) -> None:
        """Looks at the end of the prompt: the output may begin inside reasoning."""
        self._prompt_in_reasoning = self._open_in(prompt_token_ids)

    def adjust_initial_state_from_prompt(self, prompt_token_ids: Sequence[int]) -> None:
        """The same as `set_prompt_token_ids`."""
        self.set_prompt_token_ids(prompt_token_ids)

    def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
        """Whether a prompt closes reasoning at its end, so that the output is the answer."""
        return self._open_in(input_ids) is False

    def is_reasoning_end_streaming(
        self, input_ids: Sequence[int], delta_ids: Iterable[int]
    ) -> bool:
        """Whether the end marker lies in the output, ending within `delta_ids`."""
        end = self._end_ids()
        reach = len(list(delta_ids)) + len(end) - 1
        return bool(end) and _find(input_ids[-reach:], end) >= 0

    def extract_content_ids(self, input_ids: list[int]) -> list[int]:
        """The tokens behind the first end marker; none without one."""
        end = self._end_ids()
        at = _find(input_ids, end) if end else -1
        return [] if at < 0 else input_ids[at + len(end) :]

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """The tokens of an output up to its first end marker, without the start marker."""
        start, end = self._start_ids(), self._end_ids()
        if not end:
            return 0
        begin = _find(token_ids, start)
        first = begin + len(start) if begin >= 0 else 0
        last = _find(token_ids, end)
        if last < 0:
            inside = begin >= 0 or self._new().in_reasoning
            return len(token_ids) - first if inside else 0
        return max(last - first, 0)

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:
        """Splits a whole output: reasoning and the rest, each None if empty."""
        parsed = parse(
            self.parser_name,
            model_output,
            reasoning_started=self._prompt_in_reasoning,
            hold_lead=True,
        )
        return parsed.reasoning or None, parsed.normal_text or None

    def extract_reasoning_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
    ) -> Any:
        """Reads the next piece, `delta_text`; None while there is nothing to tell."""
        if self._reading is None:
            self._reading = self._new()
        reading = self._reading
        events = reading.feed(delta_text)
        self._note(events, reading.in_reasoning)
        return _message(events)

    def has_engine_confirmed_reasoning_end(self) -> bool:
        """Whether what comes next is no reasoning."""
        return self._answering

    def finish_streaming(self) -> Any:
        """Tells what was held back as the possible beginning of a marker."""
        return None if self._reading is None else _message(self._reading.finish())

    def _note(self, events: Sequence[Event], in_reasoning: bool) -> None:
        told = any(isinstance(event, ReasoningDelta) for event in events)
        self._reasoned = self._reasoned or told or in_reasoning
        spoke = any(
            not isinstance(event, ReasoningDelta) and event.text.strip() for event in events
        )
        self._answering = not in_reasoning and (self._reasoned or spoke)

    def _new(self) -> ReasoningParser:
        return create_parser(self.parser_name, reasoning_started=self._prompt_in_reasoning)

    def _open_in(self, prompt_token_ids: Sequence[int]) -> bool | None:
        tail = self.model_tokenizer.decode(list(prompt_token_ids[-_PROMPT_TAIL_TOKENS:]))
        return reasoning_open(self.parser_name, tail)

    def _start_ids(self) -> list[int]:
        return self._encoded(markers_of(self.parser_name)[0])

    def _end_ids(self) -> list[int]:
        return self._encoded(markers_of(self.parser_name)[1])

    def _encoded(self, marker: str) -> list[int]:
        return list(self.model_tokenizer.encode(marker, add_special_tokens=False)) if marker else []


def _find(ids: Sequence[int], part: Sequence[int]) -> int:
    """Where `part` begins in `ids` first; -1 where it does not occur."""
    wanted = list(part)
    if not wanted:
        return -1
    ends = len(ids) - len(wanted) + 1
    return next((at for at in range(ends) if list(ids[at : at + len(wanted)]) == wanted), -1)


def _message(events: Sequence[Event]) -> Any:
    if not events:
        return None
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    text = "".join(event.text for event in events if not isinstance(event, ReasoningDelta))
    # vLLM leaves out of its answers what was not set.
    fields = {name: said for name, said in (("reasoning", reasoning), ("content", text)) if said}
    return _protocol().DeltaMessage(**fields)


@cache
def _protocol() -> Any:
    return import_module("vllm.entrypoints.generate.base.protocol")


@cache
def reasoning_parser_class(name: str) -> type[Any]:
    """The subclass of vLLM's ReasoningParser for the parser `name`.

    Raises `ParserUnknown`, and ImportError without vLLM.
    """
    if name not in PARSER_NAMES:
        raise ParserUnknown(name)
    abstract = import_module("vllm.reasoning.abs_reasoning_parsers").ReasoningParser
    body = {
        "__doc__": f"Splits outputs as the parser {name} of smg-reasoning-parser.",
        "__module__": __name__,
        "parser_name": name,
    }
    return type(f"Smg_{name}", (StreamedReasoning, abstract), body)


def register(names: Sequence[str] | None = None) -> None:
    """Registers parsers with vLLM, by default all, each with `PREFIX` before its name.

    Raises `ParserUnknown`, and ImportError without vLLM.
    """
    manager = import_module("vllm.reasoning.abs_reasoning_parsers").ReasoningParserManager
    for name in PARSER_NAMES if names is None else names:
        manager.register_module(PREFIX + name, force=True, module=reasoning_parser_class(name))
