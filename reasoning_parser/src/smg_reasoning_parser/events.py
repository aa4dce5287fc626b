"""What a parser tells: pieces of reasoning and pieces of answer, in the order of the text.

Written by hand instead of as data classes, because importing `dataclasses` would cost more than
the rest of this package together.
"""


class ReasoningDelta:
    """The next piece of reasoning; `text` is never empty."""

    __match_args__ = ("text",)
    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReasoningDelta) and other.text == self.text

    def __hash__(self) -> int:
        return hash((ReasoningDelta, self.text))

    def __repr__(self) -> str:
        return f"ReasoningDelta({self.text!r})"


class TextDelta:
    """The next piece of what is no reasoning: answer and tool calls; `text` is never empty."""

    __match_args__ = ("text",)
    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextDelta) and other.text == self.text

    def __hash__(self) -> int:
        return hash((TextDelta, self.text))

    def __repr__(self) -> str:
        return f"TextDelta({self.text!r})"


Event = ReasoningDelta | TextDelta
"""Everything a parser can tell."""


class Parsed:
    """A whole output: its `reasoning`, and its `normal_text` with tool markup as it was."""

    __match_args__ = ("reasoning", "normal_text")
    __slots__ = ("normal_text", "reasoning")

    def __init__(self, reasoning: str, normal_text: str) -> None:
        self.reasoning = reasoning
        self.normal_text = normal_text

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Parsed)
            and other.reasoning == self.reasoning
            and other.normal_text == self.normal_text
        )

    def __hash__(self) -> int:
        return hash((self.reasoning, self.normal_text))

    def __repr__(self) -> str:
        return f"Parsed(reasoning={self.reasoning!r}, normal_text={self.normal_text!r})"
