"""Formats that put everything into channels or frames, text too: kimi_k3 and inkling."""

from __future__ import annotations

from collections.abc import Generator

from ..scanning import until
from ..tape import Grammar
from .desk import Desk, Tags, capture
from .objects import JsonCalls
from .reading import Reasoning
from .tagged import Tagged

__all__ = ("Channels", "Frames")


class _Loose:
    """Takes text outside of any channel: white space at its ends is layout, not text."""

    __slots__ = ("_begun", "_blank", "_desk")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._begun = False
        self._blank: list[str] = []

    def __call__(self, count: int) -> None:
        desk = self._desk
        piece = desk.buf[desk.pos : desk.pos + count]
        shown = piece.rstrip()
        if not shown:
            desk.read(count)
            if self._begun:
                self._blank.append(piece)
            return
        if self._begun:
            desk.say("".join(self._blank))
        else:
            desk.read(len(piece) - len(piece.lstrip()))
            shown = shown.lstrip()
        self._begun = True
        self._blank = [piece[len(piece.rstrip()) :]]
        desk.text(len(shown))
        desk.read(len(self._blank[0]))


class Channels:
    """kimi_k3: a think channel, a response channel, a tools channel."""

    def __init__(self, calls: Tagged) -> None:
        self._calls = calls
        self._answer = "<|open|>response<|sep|>"
        self._answered = "<|close|>response<|sep|>"
        (self._tools,) = calls.openers
        self._reasoning = Reasoning(
            "<|open|>think<|sep|>",
            "<|close|>think<|sep|>",
            ended_by=(self._answer, self._tools),
        )
        self._wrappers = (
            self._answered,
            "<|open|>message<|sep|>",
            "<|close|>message<|sep|>",
        )

    def __call__(self, desk: Desk, prompt: str, with_calls: bool) -> Grammar:
        reasoning = self._reasoning
        tools = (self._tools,) if with_calls else ()
        outside = Tags(reasoning.start, self._answer, *self._wrappers, *tools)
        in_answer = Tags(*self._wrappers, *tools)
        found = reasoning.start if reasoning.opened_by(prompt) else ""
        while True:
            if found == reasoning.start:
                found = yield from until(desk, reasoning.ends, desk.reason)
            elif found == self._answer:
                found = yield from until(desk, in_answer, desk.text)
            else:
                found = yield from until(desk, outside, _Loose(desk))
            if not found:
                return
            if found == self._tools and with_calls:
                yield from self._calls(desk, found)
            elif found == self._tools:
                desk.text(len(found))
            else:
                desk.read(len(found))


_HEADER = "<|message_model|>"
_THINKING, _TEXT = "<|content_thinking|>", "<|content_text|>"
_TEXT_CALL = "<|content_invoke_tool_text|>"
_ENDS = ("<|end_message|>", "<|content_model_end_sampling|>")
_OTHERS = (
    "<|endoftext|>",
    "<|message_user|>",
    "<|message_system|>",
    "<|message_tool|>",
    "<|content_image|>",
    "<|content_audio_input|>",
    "<|content_tool_error|>",
    "<|content_xml|>",
    "<|audio_end|>",
)
# A header names an author. What is longer is an answer by a model that writes no frames.
_MAX_HEADER_CHARS = 128


class Frames:
    """inkling: typed frames, each with a header, in any order."""

    def __init__(self, calls: JsonCalls) -> None:
        self._calls = calls
        (self._call,) = calls.openers
        self._tags = Tags(_HEADER, _THINKING, _TEXT, self._call, _TEXT_CALL, *_ENDS, *_OTHERS)
        self._ends = Tags(*_ENDS)

    def __call__(self, desk: Desk, prompt: str, with_calls: bool) -> Grammar:
        known = [(prompt.rfind(tag), tag) for tag in (_HEADER, _THINKING, _TEXT, *_ENDS)]
        at, state = max(known)
        if at < 0:
            state = _HEADER
        while True:
            found = yield from self._frame(desk, state)
            if not found:
                return
            if found == self._call and with_calls:
                yield from self._calls(desk, found)
                state = _ENDS[0]
                continue
            if found == self._call:
                desk.text(len(found))
                found = _TEXT
            else:
                desk.read(len(found))
            if found not in _OTHERS:
                state = found

    def _frame(self, desk: Desk, state: str) -> Generator[None, None, str]:
        """Reads on to the next tag, which stays unread; "" at the end of the output."""
        if state == _HEADER:
            desk.hold()
            found = yield from capture(desk, self._tags, _MAX_HEADER_CHARS)
            if found and found not in _ENDS:
                desk.held_is_markup()
                return found
            desk.held_is_text()
            return found or (yield from until(desk, self._tags, desk.text))
        if state == _THINKING:
            return (yield from until(desk, self._tags, desk.reason))
        if state == _TEXT_CALL:
            return (yield from until(desk, self._ends, desk.read))
        take = desk.text if state == _TEXT else _Loose(desk)
        return (yield from until(desk, self._tags, take))
