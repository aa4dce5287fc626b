"""Symphony parsers by table: `create_symphony` for a stream, `parse_symphony` for a whole output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..events import Event, gather
from .desk import Desk
from .events import ReasoningDelta, SymphonyEvent, SymphonyParsed, Thought
from .reading import Reader, read_output
from .tables import TABLES
from .values import Schemas

__all__ = (
    "TABLE_NAMES",
    "SymphonyParser",
    "TableUnknown",
    "TemplateMissing",
    "create_symphony",
    "gather_symphony",
    "parse_symphony",
)

TABLE_NAMES: tuple[str, ...] = tuple(sorted([*TABLES, "hf"]))
"""The names of all tables."""


class TableUnknown(ValueError):
    """No table has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown Symphony table: {name}")
        self.name = name


class TemplateMissing(ValueError):
    """The table `hf` reads by a template of the tokenizer, and there is none that can be used."""

    def __init__(self) -> None:
        super().__init__("the tokenizer config has no response_template")


class SymphonyParser:
    """One output's parser: feed it the text in any pieces, then finish it."""

    __slots__ = ("_desk", "_finished", "_grammar", "_running")

    def __init__(self, reader: Reader, desk: Desk, prompt: str, with_calls: bool) -> None:
        self._desk = desk
        self._grammar = read_output(desk, reader, prompt, with_calls)
        self._running = True
        self._finished = False
        self._step()

    def feed(self, delta: str) -> list[SymphonyEvent]:
        """Takes a piece of text in and returns what is certain now.

        Raises ValueError after `finish`.
        """
        if self._finished:
            raise ValueError("the parser has been finished")
        self._desk.push(delta)
        self._step()
        return _published(self._desk.drain())

    def finish(self) -> list[SymphonyEvent]:
        """Ends the output and returns what was held back. A second call returns nothing."""
        if not self._finished:
            self._finished = True
            self._desk.ended = True
            self._step()
            self._desk.end()
        return _published(self._desk.drain())

    @property
    def waiting_chars(self) -> int:
        """Characters taken in whose meaning is still open."""
        return self._desk.waiting_chars

    def _step(self) -> None:
        if self._running:
            try:
                next(self._grammar)
            except StopIteration:
                self._running = False


def _published(events: Iterable[Event]) -> list[SymphonyEvent]:
    told: list[SymphonyEvent] = []
    for event in events:
        if not isinstance(event, Thought):
            told.append(event)
        elif told and isinstance(told[-1], ReasoningDelta):
            told[-1] = ReasoningDelta(told[-1].text + event.text)
        else:
            told.append(ReasoningDelta(event.text))
    return told


@lru_cache(maxsize=len(TABLES))
def _reader(build: Callable[[], Reader]) -> Reader:
    return build()


def create_symphony(
    table: str,
    tools: Sequence[Mapping[str, Any]] = (),
    prompt: str = "",
    *,
    as_written: bool = False,
) -> SymphonyParser:
    """A fresh parser for one output.

    Without `tools`, calls are text. `prompt` is the rendered prompt, or its end: it tells whether
    the output begins inside reasoning. With `as_written`, the arguments of a call that the output
    cuts off end where the model stopped, and a call without arguments may have none; otherwise
    arguments are always one valid JSON value.

    Raises `TableUnknown`, and `TemplateMissing` for the table `hf`.
    """
    if table == "hf":
        raise TemplateMissing
    build = TABLES.get(table)
    if build is None:
        raise TableUnknown(table)
    desk = Desk(Schemas(tools), as_written=as_written)
    return SymphonyParser(_reader(build), desk, prompt, bool(tools))


def parse_symphony(
    table: str,
    text: str,
    tools: Sequence[Mapping[str, Any]] = (),
    prompt: str = "",
    *,
    as_written: bool = False,
) -> SymphonyParsed:
    """Parses a whole output: `feed` and `finish`, gathered."""
    parser = create_symphony(table, tools, prompt, as_written=as_written)
    return gather_symphony(parser.feed(text) + parser.finish())


def gather_symphony(events: Iterable[SymphonyEvent]) -> SymphonyParsed:
    """Joins the events of one output, in order."""
    reasoning: list[str] = []
    others: list[Event] = []
    for event in events:
        if isinstance(event, ReasoningDelta):
            reasoning.append(event.text)
        else:
            others.append(event)
    parsed = gather(others)
    return SymphonyParsed("".join(reasoning), parsed.normal_text, parsed.calls)
