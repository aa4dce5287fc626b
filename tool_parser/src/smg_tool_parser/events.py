"""What a parser reports: events as they happen, and the same gathered into one result.

The classes are written out by hand: `dataclasses` alone would take most of the import budget.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = (
    "ArgumentsDelta",
    "Call",
    "CallClosed",
    "CallOpened",
    "Event",
    "MarkupDelta",
    "Parsed",
    "TextDelta",
    "gather",
)

_set = object.__setattr__


class _Record:
    """An immutable value: equal to another of the same class with equal fields."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        return (
            type(self) is type(other)
            and isinstance(other, _Record)
            and self._fields() == other._fields()
        )

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._fields()))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({inner})"


class TextDelta(_Record):
    """A piece of the visible text. Never empty."""

    __slots__ = ("text",)
    __match_args__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        _set_text(self, text)


_set_text = TextDelta.__dict__["text"].__set__


class CallOpened(_Record):
    """A call begins. `index` counts the calls of this output from 0, `name` is as written."""

    __slots__ = ("id", "index", "name")
    __match_args__ = ("index", "id", "name")
    index: int
    id: str
    name: str

    def __init__(self, index: int, id: str, name: str) -> None:
        _set(self, "index", index)
        _set(self, "id", id)
        _set(self, "name", name)


class ArgumentsDelta(_Record):
    """A fragment of JSON text. All fragments of one call, joined, are exactly one JSON value."""

    __slots__ = ("index", "json")
    __match_args__ = ("index", "json")
    index: int
    json: str

    def __init__(self, index: int, json: str) -> None:
        _set_index(self, index)
        _set_json(self, json)


_set_index = ArgumentsDelta.__dict__["index"].__set__
_set_json = ArgumentsDelta.__dict__["json"].__set__


class CallClosed(_Record):
    """A call ends.

    `complete` is false when the markup broke off or could not be read to its end. The arguments
    are valid JSON then too, made of what could be read.
    """

    __slots__ = ("complete", "index")
    __match_args__ = ("index", "complete")
    index: int
    complete: bool

    def __init__(self, index: int, complete: bool) -> None:
        _set(self, "index", index)
        _set(self, "complete", complete)


class MarkupDelta(_Record):
    """Input that is neither text nor dropped text: markers, names, arguments as they were written.

    Only reported with `lossless`, where all `TextDelta` and `MarkupDelta` texts, joined in order,
    are the input. `index` is the call that the markup belongs to, or None between calls.
    """

    __slots__ = ("index", "text")
    __match_args__ = ("text", "index")
    text: str
    index: int | None

    def __init__(self, text: str, index: int | None) -> None:
        _set(self, "text", text)
        _set(self, "index", index)


Event = TextDelta | CallOpened | ArgumentsDelta | CallClosed | MarkupDelta


class Call(_Record):
    """One call, gathered. `arguments` is JSON text."""

    __slots__ = ("arguments", "complete", "id", "index", "name")
    __match_args__ = ("index", "id", "name", "arguments", "complete")
    index: int
    id: str
    name: str
    arguments: str
    complete: bool

    def __init__(self, index: int, id: str, name: str, arguments: str, complete: bool) -> None:
        _set(self, "index", index)
        _set(self, "id", id)
        _set(self, "name", name)
        _set(self, "arguments", arguments)
        _set(self, "complete", complete)


class Parsed(_Record):
    """A whole output: its visible text and its calls in order, the incomplete ones among them."""

    __slots__ = ("calls", "normal_text")
    __match_args__ = ("normal_text", "calls")
    normal_text: str
    calls: tuple[Call, ...]

    def __init__(self, normal_text: str, calls: tuple[Call, ...]) -> None:
        _set(self, "normal_text", normal_text)
        _set(self, "calls", calls)


def gather(events: Iterable[Event]) -> Parsed:
    """Joins the events of one output, in order.

    A call without `CallClosed` counts as incomplete.
    """
    text: list[str] = []
    opened: list[CallOpened] = []
    arguments: dict[int, list[str]] = {}
    complete: set[int] = set()
    for event in events:
        match event:
            case TextDelta():
                text.append(event.text)
            case CallOpened():
                opened.append(event)
                arguments[event.index] = []
            case ArgumentsDelta():
                arguments[event.index].append(event.json)
            case CallClosed():
                if event.complete:
                    complete.add(event.index)
            case MarkupDelta():
                pass
    calls = tuple(
        Call(call.index, call.id, call.name, "".join(arguments[call.index]), call.index in complete)
        for call in opened
    )
    return Parsed("".join(text), calls)
