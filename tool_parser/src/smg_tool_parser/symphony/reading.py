"""How an output is read as a whole: reasoning, text and calls in turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..scanning import Markers, rest, until
from ..tape import Grammar
from .desk import CutOff, Desk, Tags
from .objects import JsonCalls

__all__ = ("CallGrammar", "Reader", "Reasoning", "Turns", "read_output")

# What chat templates write in front of the assistant's turn.
_ASSISTANT_HEADERS = (
    "<|im_start|>assistant",
    "<|assistant|>",
    "<｜Assistant｜>",
    "<|start_header_id|>assistant<|end_header_id|>",
    "<|turn>model",
    "<start_of_turn>model",
    "<seed:bos>assistant",
    "]~b]ai",
    "[/INST]",
)


class CallGrammar(Protocol):
    """Reads what one of `openers` begins; that marker stands unread at its start."""

    openers: tuple[str, ...]

    def __call__(self, desk: Desk, word: str) -> Grammar: ...


class Reader(Protocol):
    """Reads whole outputs of one format; without `with_calls`, calls are text."""

    def __call__(self, desk: Desk, prompt: str, with_calls: bool) -> Grammar: ...


def read_output(desk: Desk, reader: Reader, prompt: str, with_calls: bool) -> Grammar:
    """Reads an output to its end, wherever that is."""
    try:
        yield from reader(desk, prompt, with_calls)
    except CutOff:
        desk.cut_off()


class Reasoning:
    """How a format marks reasoning.

    `ended_by`: markers that end it too, and are then read as what they are. With `once` only the
    first block is reasoning: an end marker before it vanishes and ends the search for it.
    """

    def __init__(
        self, start: str, end: str, *, ended_by: Sequence[str] = (), once: bool = False
    ) -> None:
        self.start = start
        self.end = end
        self.once = once
        self.ends = Tags(end, *ended_by)

    def opened_by(self, prompt: str) -> bool | None:
        """Whether the prompt ends inside reasoning; None if its last turn says nothing of it."""
        begin = max((_end_of_last(prompt, header) for header in _ASSISTANT_HEADERS), default=0)
        started = prompt.rfind(self.start, begin)
        ended = prompt.rfind(self.end, begin)
        return None if started < 0 and ended < 0 else started > ended


def _end_of_last(prompt: str, header: str) -> int:
    at = prompt.rfind(header)
    return at + len(header) if at >= 0 else 0


class Turns:
    """The common kind of format: reasoning and calls between marks, text everywhere else.

    `first` are calls that need no mark, at the very beginning of an output.
    """

    def __init__(
        self,
        reasoning: Reasoning | None,
        calls: CallGrammar | None,
        *,
        first: JsonCalls | None = None,
    ) -> None:
        self._reasoning = reasoning
        self._calls = calls
        self._first = first

    def __call__(self, desk: Desk, prompt: str, with_calls: bool) -> Grammar:
        reasoning = self._reasoning
        inside = reasoning.opened_by(prompt) if reasoning else None
        over = reasoning is None or (reasoning.once and inside is False)
        if self._first is not None and with_calls:
            yield from self._first.at_the_beginning(desk)
        while True:
            if reasoning and inside:
                found = yield from until(desk, reasoning.ends, desk.reason)
                inside, over = False, reasoning.once
            else:
                tags = self._text_tags(over, with_calls)
                if tags is None:
                    yield from rest(desk, desk.text)
                    return
                found = yield from until(desk, tags, desk.text)
            if not found:
                return
            if reasoning and found == reasoning.start:
                desk.read(len(found))
                inside = True
            elif reasoning and found == reasoning.end:
                desk.read(len(found))
                over = reasoning.once
            elif self._calls and with_calls:
                yield from self._calls(desk, found)
            else:
                desk.text(len(found))

    def _text_tags(self, over: bool, with_calls: bool) -> Markers | None:
        words = self._calls.openers if self._calls and with_calls else ()
        reasoning = self._reasoning
        if reasoning and not over:
            words += (reasoning.start, reasoning.end) if reasoning.once else (reasoning.start,)
        return Markers(*words) if words else None
