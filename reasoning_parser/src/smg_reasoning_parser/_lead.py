"""Output that precedes the first start marker, kept until it is known what it was."""

from collections.abc import Callable, Sequence

from ._machine import Machine
from ._markers import Marker, compile_markers
from .errors import ParserFinished
from .events import Event
from .parser import ReasoningParser


class LeadRule:
    """How a family reads what precedes its start marker when it may wait for the end.

    A marker of `starts` makes the reading begin in `on_start`, with the lead if `keeps_lead` and
    without it otherwise. An output without one begins in `verdict(text, reasoning_started)`.
    Reasoning that has started needs no start marker, and no holding, but `although_started`.
    """

    __slots__ = ("although_started", "keeps_lead", "on_start", "starts", "verdict")

    def __init__(
        self,
        starts: Sequence[Marker],
        on_start: str,
        verdict: Callable[[str, bool], str],
        *,
        keeps_lead: bool,
        although_started: bool = False,
    ) -> None:
        self.starts = tuple(starts)
        self.on_start = on_start
        self.verdict = verdict
        self.keeps_lead = keeps_lead
        self.although_started = although_started


class LeadHolder(ReasoningParser):
    """Holds all text until a start marker or the end decides, then hands it to a machine."""

    def __init__(
        self, rule: LeadRule, machine_at: Callable[[str], Machine], reasoning_started: bool
    ) -> None:
        self._rule = rule
        self._machine_at = machine_at
        self._reasoning_started = reasoning_started
        self._pattern = compile_markers([rule.starts])
        self._machine: Machine | None = None
        self._pieces: list[str] = []
        self._held_length = 0
        self._tail = ""
        self._finished = False

    @property
    def in_reasoning(self) -> bool:
        """Whether the text fed so far is known to end inside reasoning."""
        return self._machine is not None and self._machine.in_reasoning

    def feed(self, delta: str) -> list[Event]:
        """Read the next piece of text; nothing is told before the first start marker."""
        if self._finished:
            raise ParserFinished
        if self._machine is not None:
            return self._machine.feed(delta)
        window = self._tail + delta
        found = self._pattern.search(window)
        begin = self._held_length - len(self._tail)
        self._pieces.append(delta)
        self._held_length += len(delta)
        if found is None:
            self._tail = ""
            return []
        if found.lastindex != 1:
            self._tail = found.group()
            return []
        text = self._take()
        self._machine = self._machine_at(self._rule.on_start)
        return self._machine.feed(text if self._rule.keeps_lead else text[begin + found.end() :])

    def finish(self) -> list[Event]:
        """The output has ended: decide about what is held. A second call gives nothing."""
        if self._finished:
            return []
        self._finished = True
        if self._machine is not None:
            return self._machine.finish()
        text = self._take()
        machine = self._machine_at(self._rule.verdict(text, self._reasoning_started))
        return machine.feed(text) + machine.finish()

    def _take(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        return text
