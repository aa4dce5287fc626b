"""Reading what gpt-oss writes: channels and calls out of Harmony messages, piece by piece.

The parser does no I/O. Any cutting of the output gives the same events once neighbours are joined,
and nothing that is malformed raises: it becomes text of the final channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Literal, Protocol

__all__ = (
    "HARMONY_CONTROL_IDS",
    "ChannelDelta",
    "HarmonyCall",
    "HarmonyCallArguments",
    "HarmonyCallClosed",
    "HarmonyCallOpened",
    "HarmonyEvent",
    "HarmonyOutput",
    "HarmonyParser",
    "TokenDecoder",
    "gather_harmony",
)

HARMONY_CONTROL_IDS: Mapping[int, str] = MappingProxyType({
    199999: "<|endoftext|>",
    200002: "<|return|>",
    200003: "<|constrain|>",
    200005: "<|channel|>",
    200006: "<|start|>",
    200007: "<|end|>",
    200008: "<|message|>",
    200012: "<|call|>",
})
ENDS = frozenset({"<|end|>", "<|return|>", "<|call|>", "<|endoftext|>"})
CONTROLS = frozenset(HARMONY_CONTROL_IDS.values())
LONGEST_CONTROL = max(map(len, CONTROLS))
# A header is a role, a channel, a recipient and a type. What is longer is prose without a header.
MAX_HEADER_CHARS = 512
FUNCTIONS = "functions."
BUILT_IN_TOOLS = ("python", "browser", "container")

_CONTROL = re.compile("|".join(map(re.escape, sorted(CONTROLS))))
_RECIPIENT = re.compile(r"(?:^|\s)to=([^\s<]+)")
_CHANNEL = re.compile(r"<\|channel\|>\s*([A-Za-z_]+)")

Channel = Literal["analysis", "commentary", "final"]


@dataclass(frozen=True, slots=True)
class ChannelDelta:
    """More text of a channel. `message` counts the messages, so that two can be told apart."""

    channel: Channel
    text: str
    message: int


@dataclass(frozen=True, slots=True)
class HarmonyCallOpened:
    """A call to a function begins; calls are counted from 0."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class HarmonyCallArguments:
    """More of the arguments of a call."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class HarmonyCallClosed:
    """A call ends; `complete` is false if the output ended inside it."""

    index: int
    complete: bool


HarmonyEvent = ChannelDelta | HarmonyCallOpened | HarmonyCallArguments | HarmonyCallClosed


class TokenDecoder(Protocol):
    """Turns ids of ordinary tokens into text, a step at a time."""

    def step(self, token_id: int) -> str | None:
        """The text that this id completes, None if it is still open."""
        ...

    def flush(self) -> str | None:
        """The text that is still held back."""
        ...


class _State(Enum):
    HEADER = "header"
    CONTENT = "content"
    BETWEEN = "between"


class HarmonyParser:
    """Reads one completion, which starts where the prompt left off: behind `<|start|>assistant`.

    Feed it either text in which control tokens are written out, or token ids; the latter need a
    `decoder` for ordinary tokens. A message to `functions.NAME` is a call whatever its channel, one
    to a built-in tool is analysis, and messages in another role than the assistant's are dropped.
    """

    def __init__(
        self,
        *,
        decoder: TokenDecoder | None = None,
        control_ids: Mapping[int, str] = HARMONY_CONTROL_IDS,
    ) -> None:
        self._decoder = decoder
        self._control_ids = control_ids
        self._held = ""
        self._state = _State.HEADER
        self._header = ""
        self._channel: Channel | None = "final"
        self._call: int | None = None
        self._calls = 0
        self._message = 0
        self._events: list[HarmonyEvent] = []

    def feed(self, text: str) -> list[HarmonyEvent]:
        """Read more output as text. Control tokens may be cut anywhere."""
        text = self._held + text
        start = 0
        for match in _CONTROL.finditer(text):
            self._ordinary(text[start : match.start()])
            self._control(match.group())
            start = match.end()
        rest = text[start:]
        held = _open_control(rest)
        self._ordinary(rest[: len(rest) - held])
        self._held = rest[len(rest) - held :]
        return self._taken()

    def feed_ids(self, token_ids: Iterable[int]) -> list[HarmonyEvent]:
        """Read more output as token ids. Raises ValueError without a decoder."""
        if self._decoder is None:
            raise ValueError("reading token ids takes a decoder")
        for token_id in token_ids:
            control = self._control_ids.get(token_id)
            if control is None:
                self._ordinary(self._decoder.step(token_id) or "")
            else:
                self._ordinary(self._decoder.flush() or "")
                self._control(control)
        return self._taken()

    def finish(self) -> list[HarmonyEvent]:
        """The output is over: whatever is open is closed, and nothing is kept."""
        if self._decoder is not None:
            self._ordinary(self._decoder.flush() or "")
        held, self._held = self._held, ""
        self._ordinary(held)
        if self._state is _State.HEADER:
            self._give_up_header()
        elif self._state is _State.CONTENT:
            self._close(complete=False)
        self._state = _State.BETWEEN
        return self._taken()

    def _taken(self) -> list[HarmonyEvent]:
        events, self._events = self._events, []
        return events

    def _ordinary(self, text: str) -> None:
        if not text:
            return
        if self._state is _State.HEADER:
            self._header += text
            if len(self._header) > MAX_HEADER_CHARS:
                self._give_up_header()
        elif self._state is _State.CONTENT:
            self._emit(text)
        elif text := text.lstrip():
            # Behind a message only the next one may stand.
            self._open_prose()
            self._emit(text)

    def _control(self, token: str) -> None:
        match self._state:
            case _State.CONTENT if token in ENDS:
                self._close(complete=True)
                self._state = _State.BETWEEN
            case _State.CONTENT:
                self._emit(token)
            case _State.HEADER:
                self._control_in_header(token)
            case _State.BETWEEN:
                self._control_between(token)

    def _control_in_header(self, token: str) -> None:
        if token == "<|message|>":
            self._open(self._header)
        elif token == "<|start|>":
            self._give_up_header()
            self._begin_header("")
        elif token in ENDS:
            self._give_up_header()
            if self._state is _State.CONTENT:
                self._close(complete=True)
            self._state = _State.BETWEEN
        else:
            self._header += token
            if len(self._header) > MAX_HEADER_CHARS:
                self._give_up_header()

    def _control_between(self, token: str) -> None:
        if token == "<|message|>":
            self._open("")
        elif token == "<|start|>":
            self._begin_header("")
        elif token not in ENDS:
            # The start was forgotten.
            self._begin_header("assistant" + token)

    def _begin_header(self, text: str) -> None:
        self._state = _State.HEADER
        self._header = text

    def _open(self, header: str) -> None:
        self._state = _State.CONTENT
        self._message += 1
        self._header = ""
        role = re.split(r"[\s<:]", header.strip(), maxsplit=1)[0]
        if role.startswith("to=") or not role:
            role = "assistant"
        recipient = _RECIPIENT.search(header)
        channel = _CHANNEL.search(header)
        self._channel = _channel_of(channel.group(1) if channel else "")
        if role != "assistant":
            self._channel = None
        elif recipient is not None:
            self._address(recipient.group(1))

    def _address(self, recipient: str) -> None:
        if recipient.startswith(FUNCTIONS):
            self._call = self._calls
            self._calls += 1
            self._events.append(HarmonyCallOpened(self._call, recipient.removeprefix(FUNCTIONS)))
        elif recipient.startswith(BUILT_IN_TOOLS):
            self._channel = "analysis"

    def _open_prose(self) -> None:
        self._state = _State.CONTENT
        self._message += 1
        self._channel = "final"

    def _give_up_header(self) -> None:
        header, self._header = self._header, ""
        if not header.strip() or header.strip() == "assistant":
            return
        self._open_prose()
        self._emit(header)

    def _emit(self, text: str) -> None:
        if self._call is not None:
            self._events.append(HarmonyCallArguments(self._call, text))
        elif self._channel is not None:
            self._events.append(ChannelDelta(self._channel, text, self._message))

    def _close(self, *, complete: bool) -> None:
        if self._call is not None:
            self._events.append(HarmonyCallClosed(self._call, complete))
            self._call = None


def _channel_of(name: str) -> Channel:
    match name:
        case "analysis" | "commentary":
            return name
    return "final"


def _open_control(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of a control token."""
    start = text.rfind("<", max(0, len(text) - LONGEST_CONTROL))
    if start < 0:
        return 0
    tail = text[start:]
    return len(tail) if any(control.startswith(tail) for control in CONTROLS) else 0


@dataclass(frozen=True, slots=True)
class HarmonyCall:
    """One call of an output."""

    name: str
    arguments: str
    complete: bool


@dataclass(frozen=True, slots=True)
class HarmonyOutput:
    """A whole output; texts of several messages in one channel stand on lines of their own."""

    analysis: str
    commentary: str
    final: str
    calls: tuple[HarmonyCall, ...]


def gather_harmony(events: Iterable[HarmonyEvent]) -> HarmonyOutput:
    """What all events of an output say together."""
    texts: dict[Channel, dict[int, list[str]]] = {"analysis": {}, "commentary": {}, "final": {}}
    names: list[str] = []
    arguments: list[list[str]] = []
    complete: list[bool] = []
    for event in events:
        match event:
            case ChannelDelta(channel, text, message):
                texts[channel].setdefault(message, []).append(text)
            case HarmonyCallOpened(_, name):
                names.append(name)
                arguments.append([])
                complete.append(False)
            case HarmonyCallArguments(index, text):
                arguments[index].append(text)
            case HarmonyCallClosed(index, is_complete):
                complete[index] = is_complete
    calls = zip(names, map("".join, arguments), complete, strict=True)
    return HarmonyOutput(
        _lines(texts["analysis"]),
        _lines(texts["commentary"]),
        "".join(map("".join, texts["final"].values())),
        tuple(HarmonyCall(*call) for call in calls),
    )


def _lines(messages: Mapping[int, list[str]]) -> str:
    return "\n".join("".join(parts) for parts in messages.values())
