"""What can be wrong with a body, as values: a syntax fault, a mismatch of types, a broken rule."""

from dataclasses import dataclass
from typing import Final

__all__ = ("ROOT", "Broken", "Mismatch", "SyntaxFault", "Trail", "shown")


# An error should not send back a body that is itself the problem.
SHOWN_CHARS: Final = 200


def shown(text: str) -> str:
    """Return a client's text as an error repeats it: not without end."""
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


@dataclass(frozen=True, slots=True)
class Trail:
    """Where the reader stands: the path of keys and indices from the top of the document.

    Inside a union the reader buffers the value first, so errors are reported at the union
    itself; a frozen trail keeps that position however deep the reader goes.
    """

    segments: tuple[str | int, ...] = ()
    frozen: bool = False

    def into(self, segment: str | int) -> "Trail":
        return self if self.frozen else Trail((*self.segments, segment))

    def freeze(self) -> "Trail":
        return self if self.frozen else Trail(self.segments, frozen=True)

    def __str__(self) -> str:
        text = ""
        for segment in self.segments:
            if isinstance(segment, int):
                text += f"[{segment}]"
            else:
                text += f".{shown(segment)}" if text else shown(segment)
        return text


ROOT: Final = Trail()


class Mismatch(Exception):
    """The document is JSON, but not of the type that the dialect declares.

    `member` names a missing member below `trail`.
    """

    def __init__(self, code: str, cause: str, trail: Trail, member: str | None = None) -> None:
        super().__init__(cause)
        self.code = code
        self.cause = cause
        self.trail = trail
        self.member = member

    @property
    def param(self) -> str | None:
        path = str(self.trail)
        if self.member is None:
            return path or None
        return f"{path}.{self.member}" if path else self.member


class SyntaxFault(Exception):
    """The bytes are no JSON document. `offset` counts the bytes read, None when unknown."""

    def __init__(self, cause: str, offset: int | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a well-typed request breaks; `field` is None for rules across fields."""

    code: str
    text: str
    field: str | None = None

    @property
    def message(self) -> str:
        return f"{self.field or '__all__'}: {self.text}"

    def within(self, prefix: str) -> "Broken":
        return Broken(self.code, self.text, f"{prefix}.{self.field}")
