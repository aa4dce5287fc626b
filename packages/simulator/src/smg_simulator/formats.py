"""The three ways to write a trace down, and how to tell them apart."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from os import PathLike, fspath
from pathlib import PurePath
from types import MappingProxyType
from typing import Annotated

import msgspec

from smg_simulator.trace import DEFAULT_BLOCK_SIZE, Trace, TraceBuilder, TraceInvalid

__all__ = ("TraceFormat", "parse_trace", "read_trace")

CHARACTERS_PER_TOKEN = 4
"""How recordings that count characters are turned into tokens: English prose on large vocabularies
has about four, and nothing in such a recording would allow a better guess."""

UNKNOWN_OUTPUT_TOKENS = 128
"""The length of an answer that a recording does not know."""

_AZURE_HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"


class TraceFormat(enum.Enum):
    """How a trace file is written."""

    MOONCAKE = "mooncake"
    """JSON lines: `timestamp` (ms), `input_length`, `output_length`, `hash_ids` of 512 tokens."""

    AZURE = "azure"
    """CSV: TIMESTAMP, ContextTokens, GeneratedTokens. No two prompts share anything."""

    GATEWAY = "gateway"
    """JSON lines, a gateway's own recording: `t` (s), `model`, `input_tokens` or `chars`,
    `output_tokens`, `blocks`, `block_size`, and perhaps `key`, a hashed routing key."""


_CREDITS = MappingProxyType({
    TraceFormat.MOONCAKE: "Mooncake trace: R. Qin et al., “Mooncake: Trading More Storage for "
    "Less Computation”, USENIX FAST 2025.",
    TraceFormat.AZURE: "Azure LLM inference trace (CC-BY 4.0): P. Patel et al., “Splitwise: "
    "Efficient generative LLM inference using phase splitting”, ISCA 2024.",
    TraceFormat.GATEWAY: "",
})

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Size = Annotated[int, msgspec.Meta(ge=1)]


class _MooncakeLine(msgspec.Struct):
    timestamp: float
    input_length: _Count
    output_length: _Count
    hash_ids: list[int]


class _GatewayLine(msgspec.Struct):
    t: float
    block_size: _Size
    model: str | None = None
    input_tokens: _Count | None = None
    chars: _Count | None = None
    output_tokens: _Count | None = None
    blocks: list[int | str] = []
    key: str | None = None


class _AnyLine(msgspec.Struct):
    t: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    timestamp: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def read_trace(path: str | PathLike[str], form: TraceFormat | None = None) -> Trace:
    """The trace in a file, named after the file; the form is told from its first line if not given.

    Raises `OSError` when the file cannot be read and `TraceInvalid` when a line makes no sense.
    """
    with open(path, "rb") as lines:
        return parse_trace(lines, PurePath(fspath(path)).stem, form)


def parse_trace(
    lines: Iterable[bytes], name: str = "trace", form: TraceFormat | None = None
) -> Trace:
    """The trace that these lines make up, called `name`; empty lines count but say nothing.

    Raises `TraceInvalid` for the first line that makes no sense and for a trace without requests.
    """
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    filled = ((number, line) for number, line in numbered if line)
    first = next(filled, None)
    if first is None:
        raise TraceInvalid(name, None, "there is no request in it")
    form = form or _tell(name, *first)
    builder = _READERS[form](name, _chained(first, filled))
    if not len(builder):
        raise TraceInvalid(name, None, "there is no request in it")
    return builder.build()


def _chained(
    first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from rest


def _tell(name: str, number: int, line: bytes) -> TraceFormat:
    if line.decode("utf-8-sig", "replace") == _AZURE_HEADER:
        return TraceFormat.AZURE
    try:
        head = msgspec.json.decode(line, type=_AnyLine)
    except msgspec.DecodeError as error:
        problem = f"neither a JSON object nor the header {_AZURE_HEADER} ({error})"
        raise TraceInvalid(name, number, problem) from error
    if head.t is not msgspec.UNSET:
        return TraceFormat.GATEWAY
    if head.timestamp is not msgspec.UNSET:
        return TraceFormat.MOONCAKE
    raise TraceInvalid(name, number, "the object has neither `timestamp` nor `t`")


def _read_mooncake(name: str, lines: Iterable[tuple[int, bytes]]) -> TraceBuilder:
    builder = TraceBuilder(name, credit=_CREDITS[TraceFormat.MOONCAKE])
    decoder = msgspec.json.Decoder(_MooncakeLine)
    for number, line in lines:
        try:
            entry = decoder.decode(line)
            builder.add(
                entry.timestamp / 1000, entry.input_length, entry.output_length, entry.hash_ids
            )
        except ValueError as error:  # msgspec's own errors are ValueErrors
            raise TraceInvalid(name, number, str(error)) from error
    return builder


def _read_gateway(name: str, lines: Iterable[tuple[int, bytes]]) -> TraceBuilder:
    builder: TraceBuilder | None = None
    decoder = msgspec.json.Decoder(_GatewayLine)
    for number, line in lines:
        try:
            entry = decoder.decode(line)
            if entry.input_tokens is None and entry.chars is None:
                raise ValueError("the object has neither `input_tokens` nor `chars`")
            if builder is None:
                builder = TraceBuilder(name, block_size=_block_tokens(entry))
            if _block_tokens(entry) != builder.block_size:
                raise ValueError("all lines must count in blocks of the same size")
            _add_recorded(builder, entry)
        except ValueError as error:
            raise TraceInvalid(name, number, str(error)) from error
    return builder or TraceBuilder(name)


def _block_tokens(entry: _GatewayLine) -> int:
    if entry.input_tokens is not None:
        return entry.block_size
    return max(1, entry.block_size // CHARACTERS_PER_TOKEN)


def _add_recorded(builder: TraceBuilder, entry: _GatewayLine) -> None:
    tokens = entry.input_tokens
    hashes = entry.blocks
    if tokens is None:
        characters = entry.chars or 0
        if len(hashes) > -(-characters // entry.block_size):
            raise ValueError(f"{characters} characters do not have {len(hashes)} blocks")
        tokens = -(-characters // CHARACTERS_PER_TOKEN)
        # Block sizes that are no multiple of a token's length round to fewer blocks.
        hashes = hashes[: -(-tokens // builder.block_size)]
    output = UNKNOWN_OUTPUT_TOKENS if entry.output_tokens is None else entry.output_tokens
    builder.add(entry.t, tokens, output, hashes, model=entry.model, routing_key=entry.key)


def _read_azure(name: str, lines: Iterable[tuple[int, bytes]]) -> TraceBuilder:
    builder = TraceBuilder(name, block_size=DEFAULT_BLOCK_SIZE, credit=_CREDITS[TraceFormat.AZURE])
    start: datetime | None = None
    for position, (number, line) in enumerate(lines):
        if position == 0:
            continue
        try:
            stamp, prompt, output = line.decode().split(",")
            time = datetime.fromisoformat(stamp)
            start = start or time
            builder.add((time - start).total_seconds(), int(prompt), int(output))
        except (ValueError, TypeError) as error:  # TypeError: times with and without a zone
            raise TraceInvalid(name, number, str(error)) from error
    return builder


_READERS: Mapping[TraceFormat, Callable[[str, Iterable[tuple[int, bytes]]], TraceBuilder]] = (
    MappingProxyType({
        TraceFormat.MOONCAKE: _read_mooncake,
        TraceFormat.AZURE: _read_azure,
        TraceFormat.GATEWAY: _read_gateway,
    })
)
