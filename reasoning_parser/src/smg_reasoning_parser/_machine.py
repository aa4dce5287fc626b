"""The one mechanism: a small state machine over markers, with each family as data for it."""

import re
from collections.abc import Mapping, Sequence

from ._markers import Marker, compile_markers
from .errors import ParserFinished
from .events import Event, ReasoningDelta, TextDelta
from .parser import ReasoningParser

Channel = type[ReasoningDelta] | type[TextDelta] | None
"""Where a state's text goes; None drops it."""

_BLANKS = re.compile(r"\s*")


class Rule:
    """In some state, any of `markers` leads to the state `goto`.

    The marker itself vanishes, or with `keep` it is the first text of the new state. `tag` cuts a
    label out of the marker: `binds` remembers it, `bound` makes the rule apply only while no
    label or the same one is remembered; the marker is ordinary text otherwise.
    """

    __slots__ = ("binds", "bound", "goto", "keep", "markers", "tag")

    def __init__(
        self,
        markers: Sequence[Marker],
        goto: str,
        *,
        keep: bool = False,
        tag: slice | None = None,
        binds: bool = False,
        bound: bool = False,
    ) -> None:
        self.markers = tuple(markers)
        self.goto = goto
        self.keep = keep
        self.tag = tag
        self.binds = binds
        self.bound = bound


class State:
    """Text between markers goes to `channel`; a marker of one of the `rules` changes the state.

    With `settle` the rules count only where the state begins (after blanks too, if `blanks`);
    whatever else comes is read in the state `settle`.
    """

    __slots__ = ("blanks", "channel", "firsts", "pattern", "rules", "settle")

    def __init__(
        self,
        channel: Channel,
        *rules: Rule,
        settle: str | None = None,
        blanks: bool = False,
    ) -> None:
        self.channel = channel
        self.rules = rules
        self.settle = settle
        self.blanks = blanks
        self.pattern = compile_markers([rule.markers for rule in rules])
        begin = {marker.first for rule in rules for marker in rule.markers}
        self.firsts = tuple(sorted(begin))


class Machine(ReasoningParser):
    """Reads one output through a table of states, starting in `start`.

    `debris` names marker beginnings that are worth nothing to a reader: an output that ends in the
    middle of a marker gives its held text back, unless that begins with one of these.
    """

    def __init__(
        self, states: Mapping[str, State], start: str, *, debris: Sequence[str] = ()
    ) -> None:
        self._states = states
        self._state = states[start]
        self._debris = tuple(debris)
        self._held = ""
        self._tag: str | None = None
        self._finished = False

    @property
    def in_reasoning(self) -> bool:
        """Whether the text fed so far ends inside reasoning."""
        return self._state.channel is ReasoningDelta

    def feed(self, delta: str) -> list[Event]:
        """Read the next piece of text; what may still become a marker is held back."""
        if self._finished:
            raise ParserFinished
        state = self._state
        if not self._held and state.settle is None and delta:
            # Most text has no marker, and characters are found many times faster than words.
            for first in state.firsts:
                if first in delta:
                    break
            else:
                return [state.channel(delta)] if state.channel is not None else []
        runs = _Runs()
        self._read(self._held + delta if self._held else delta, runs)
        return runs.events()

    def finish(self) -> list[Event]:
        """The output has ended: give back what is held. A second call gives nothing."""
        held, self._held, self._finished = self._held, "", True
        if not held or held.startswith(self._debris):
            return []
        runs = _Runs()
        state = self._state
        settled = self._states[state.settle] if state.settle is not None else state
        runs.add(settled.channel, held)
        return runs.events()

    def _read(self, text: str, runs: "_Runs") -> None:
        position = 0
        self._held = ""
        while position < len(text):
            state = self._state
            if state.settle is not None:
                if state.blanks and (blanks := _BLANKS.match(text, position)):
                    runs.add(state.channel, text[position : blanks.end()])
                    position = blanks.end()
                found = state.pattern.match(text, position)
                if found is None:
                    if position < len(text):
                        self._state = self._states[state.settle]
                    continue
            else:
                found = state.pattern.search(text, position)
                if found is None:
                    runs.add(state.channel, text[position:] if position else text)
                    return
                runs.add(state.channel, text[position : found.start()])
            position = found.end()
            choice = found.lastindex or 0
            if choice > len(state.rules):
                self._held = found.group()
                return
            self._apply(state.rules[choice - 1], found.group(), runs)

    def _apply(self, rule: Rule, marker: str, runs: "_Runs") -> None:
        if rule.tag is not None:
            tag = marker[rule.tag]
            if rule.bound and self._tag is not None and tag != self._tag:
                runs.add(self._state.channel, marker)
                return
            if rule.binds:
                self._tag = tag
        self._state = self._states[rule.goto]
        if rule.keep:
            runs.add(self._state.channel, marker)


class _Runs:
    """Pieces of text, those of one channel that follow each other joined."""

    __slots__ = ("_channel", "_events", "_pieces")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._pieces: list[str] = []
        self._channel: Channel = None

    def add(self, channel: Channel, text: str) -> None:
        if not text or channel is None:
            return
        if channel is not self._channel:
            self._close()
            self._channel = channel
        self._pieces.append(text)

    def events(self) -> list[Event]:
        self._close()
        return self._events

    def _close(self) -> None:
        if self._pieces and self._channel is not None:
            self._events.append(self._channel("".join(self._pieces)))
            self._pieces.clear()
