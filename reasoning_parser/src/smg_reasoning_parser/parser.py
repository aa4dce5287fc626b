"""What every parser is: text in, events out.

An abstract class instead of a protocol, because importing `typing` would cost as much as the rest
of this package together.
"""

from abc import ABC, abstractmethod

from .events import Event


class ReasoningParser(ABC):
    """Reads one output, piece by piece; a value without I/O, for one use."""

    @property
    @abstractmethod
    def in_reasoning(self) -> bool:
        """Whether the text fed so far is known to end inside reasoning."""

    @abstractmethod
    def feed(self, delta: str) -> list[Event]:
        """Read the next piece of the output, of any length, and tell what it settled.

        Joined over any chunking of an output, the events say the same. Raises `ParserFinished`
        after `finish`.
        """

    @abstractmethod
    def finish(self) -> list[Event]:
        """The output has ended: tell what was held back. A second call tells nothing."""
