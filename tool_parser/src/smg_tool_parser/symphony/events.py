"""What a Symphony parser reports beside text and calls, and a whole output."""

from __future__ import annotations

from ..events import Call, Event, TextDelta

__all__ = ("ReasoningDelta", "SymphonyEvent", "SymphonyParsed")

_set = object.__setattr__


class ReasoningDelta:
    """A piece of the reasoning. Never empty."""

    __slots__ = ("text",)
    __match_args__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        _set(self, "text", text)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("ReasoningDelta is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReasoningDelta) and other.text == self.text

    def __hash__(self) -> int:
        return hash((ReasoningDelta, self.text))

    def __repr__(self) -> str:
        return f"ReasoningDelta(text={self.text!r})"


SymphonyEvent = Event | ReasoningDelta
"""Everything a Symphony parser can report."""


class Thought(TextDelta):
    """How reasoning travels through a tape, which knows text only. Never leaves the parser."""

    __slots__ = ()


class SymphonyParsed:
    """A whole output: its reasoning, its visible text, and its calls in order."""

    __slots__ = ("calls", "normal_text", "reasoning")
    __match_args__ = ("reasoning", "normal_text", "calls")
    reasoning: str
    normal_text: str
    calls: tuple[Call, ...]

    def __init__(self, reasoning: str, normal_text: str, calls: tuple[Call, ...]) -> None:
        _set(self, "reasoning", reasoning)
        _set(self, "normal_text", normal_text)
        _set(self, "calls", calls)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("SymphonyParsed is immutable")

    def _fields(self) -> tuple[object, ...]:
        return (self.reasoning, self.normal_text, self.calls)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymphonyParsed) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return (
            f"SymphonyParsed(reasoning={self.reasoning!r}, normal_text={self.normal_text!r}, "
            f"calls={self.calls!r})"
        )
