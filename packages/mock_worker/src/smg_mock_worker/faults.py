"""Faults on order: rules that say which requests go wrong, and how."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

__all__ = (
    "AddLatency",
    "AnswerGarbage",
    "AnswerStatus",
    "CloseMidStream",
    "DrawnFault",
    "Fault",
    "FaultRule",
    "Faults",
    "FlapHealth",
    "Hang",
    "LengthFault",
    "OverstateLength",
    "ResetConnection",
    "ResetMidStream",
    "StallMidStream",
    "StreamFault",
    "UnderstateLength",
)

HEALTH_PATHS = ("/health", "/health_generate")


class FaultRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """What all kinds of fault share: which requests they hit.

    `path`: only paths that begin so; None = every POST request, which spares health checks and load
    polls. `probability`: 0..1, drawn from the worker's seeded generator. `count`: so many times,
    None = for good. Raises `ValueError` for numbers out of range.
    """

    path: str | None = None
    probability: float = 1.0
    count: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must be between 0 and 1")
        if self.count is not None and self.count < 1:
            raise ValueError("count must be at least 1")

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule is about such a request."""
        return method == "POST" if self.path is None else path.startswith(self.path)


class AnswerStatus(FaultRule, frozen=True, tag="status"):
    """Answer `code` at once; `body` None = an error body in the engine's own shape."""

    code: int = 500
    body: str | None = None
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 200 <= self.code <= 599:
            raise ValueError("code must be between 200 and 599")


class AddLatency(FaultRule, frozen=True, tag="latency"):
    """Wait `seconds` before the request is looked at; later rules still apply."""

    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.seconds < 0:
            raise ValueError("seconds must not be negative")


class Hang(FaultRule, frozen=True, tag="hang"):
    """Read the request and never answer."""


class ResetConnection(FaultRule, frozen=True, tag="reset"):
    """Reset the connection (TCP RST) before any byte of the answer."""


class StreamFault(FaultRule, frozen=True):
    """An answer that breaks off after `after_chunks` chunks.

    A whole answer breaks off in the middle of its body instead.
    """

    after_chunks: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.after_chunks < 0:
            raise ValueError("after_chunks must not be negative")


class ResetMidStream(StreamFault, frozen=True, tag="reset_mid_stream"):
    """Break off with a reset (TCP RST)."""


class CloseMidStream(StreamFault, frozen=True, tag="close_mid_stream"):
    """Break off with a clean close (TCP FIN) and no end mark."""


class StallMidStream(StreamFault, frozen=True, tag="stall_mid_stream"):
    """Fall silent and keep the connection open."""


class LengthFault(FaultRule, frozen=True):
    """A `Content-Length` that is off by `by_bytes`; a streamed answer is sent as a whole for it."""

    by_bytes: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by_bytes < 1:
            raise ValueError("by_bytes must be at least 1")


class OverstateLength(LengthFault, frozen=True, tag="content_length_over"):
    """Announce more than is sent, then close."""


class UnderstateLength(LengthFault, frozen=True, tag="content_length_under"):
    """Announce less than is sent; the connection stays open."""


class AnswerGarbage(FaultRule, frozen=True, tag="garbage"):
    """Write `text` where HTTP is due, then close."""

    text: str = "\x16\x03garbage, not HTTP\r\n\r\n"


class FlapHealth(FaultRule, frozen=True, tag="flap_health"):
    """Answer health checks by `pattern`, over and over: true = healthy, false = 503."""

    pattern: Sequence[bool] = (True, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pattern:
            raise ValueError("pattern must not be empty")

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule is about such a request."""
        return path.startswith(self.path) if self.path is not None else path in HEALTH_PATHS


Fault = (
    AnswerStatus
    | AddLatency
    | Hang
    | ResetConnection
    | ResetMidStream
    | CloseMidStream
    | StallMidStream
    | OverstateLength
    | UnderstateLength
    | AnswerGarbage
    | FlapHealth
)
"""Any kind of fault; as JSON an object whose `kind` is the tag of the class."""


@dataclass(frozen=True, slots=True)
class DrawnFault:
    """What is in store for one request: a wait in seconds, then a fault or None."""

    delay_s: float
    fault: Fault | None


class _Entry:
    """A rule and how often it has hit."""

    __slots__ = ("hits", "rule")

    def __init__(self, rule: Fault) -> None:
        self.rule = rule
        self.hits = 0

    @property
    def is_spent(self) -> bool:
        return self.rule.count is not None and self.hits >= self.rule.count


class Faults:
    """The rules in force, in the order they were added; iterate to see them.

    A request meets the first rule that hits it, and every `AddLatency` before that one.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._entries: list[_Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Fault]:
        return iter([entry.rule for entry in self._entries])

    def add(self, *faults: Fault) -> None:
        """Put rules in force."""
        self._entries += map(_Entry, faults)

    def clear(self) -> None:
        """Lift all rules."""
        self._entries.clear()

    def draw(self, method: str, path: str) -> DrawnFault:
        """Decide what a request meets; uses up counts and random numbers."""
        delay_s = 0.0
        drawn: Fault | None = None
        for entry in self._entries:
            rule = entry.rule
            if not rule.matches(method, path):
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            entry.hits += 1
            match rule:
                case AddLatency():
                    delay_s += rule.seconds
                case FlapHealth():
                    if not rule.pattern[(entry.hits - 1) % len(rule.pattern)]:
                        drawn = AnswerStatus(code=503, body="")
                case _:
                    drawn = rule
            if drawn is not None:
                break
        self._entries = [entry for entry in self._entries if not entry.is_spent]
        return DrawnFault(delay_s, drawn)
