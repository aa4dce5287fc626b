"""A trace of the traffic for replay in the simulator: lengths and keyed hashes, never text."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from .logs import get_logger

BLOCK_TOKENS = 64
BLOCK_CHARACTERS = 256
"""Four characters count as a token, so that both kinds of block cover about the same of a prompt."""

MAX_BLOCKS = 65_536
INLINE_BYTES = 128 * 1024
"""A prompt of up to this size is hashed at once; a larger one by the thread that writes."""

MAX_WAITING_LINES = 10_000
FLUSH_EVERY_S = 1.0

_TOKEN_BYTES = 8
_CHARACTER_BYTES = 4
_DIGEST_BYTES = 8
_KEPT_TAIL_BYTES = 2048
_USAGE = re.compile(rb'"(?:completion_tokens|output_tokens)"\s*:\s*(\d{1,9})')


class TraceLine(msgspec.Struct, omit_defaults=True):
    """One request of a recording.

    `t` is Unix time in seconds. Either `input_tokens` or `chars` tells the prompt's length, and
    `block_size` is in the same unit. `blocks` are chained: two prompts share a block's hash where
    they are the same from the start to its end. `output_tokens` is unknown (None) when neither the
    worker's usage report nor the number of stream events tells it.
    """

    t: float
    model: str | None
    block_size: int
    blocks: list[str]
    output_tokens: int | None
    input_tokens: int | None = None
    chars: int | None = None
    key: str | None = None


class Recording:
    """One request while it is being answered: watches the answer go by to learn its length."""

    __slots__ = ("_events", "_tail", "line", "unhashed")

    def __init__(self, line: TraceLine, prompt: bytes) -> None:
        self.line = line
        self.unhashed = prompt
        self._events = 0
        self._tail = b""

    def watch(self, sink: Callable[[bytes], object]) -> Callable[[bytes], None]:
        """A sink that passes everything on to `sink`, after a look at it."""

        def watching(raw: bytes) -> None:
            self.see(raw)
            sink(raw)

        return watching

    def see(self, raw: bytes) -> None:
        """Bytes of the answer."""
        self._events += raw.count(b"\n\n") + (self._tail[-1:] == raw[:1] == b"\n")
        self._tail = (self._tail + raw)[-_KEPT_TAIL_BYTES:]

    def finish(self) -> None:
        """Put what became known of the answer's length into the line."""
        reported = _USAGE.findall(self._tail)
        if reported:
            self.line.output_tokens = int(reported[-1])
        elif self._events:
            self.line.output_tokens = self._events


class TraceRecorder:
    """Appends one JSON line per answered request to a file, away from the event loop.

    Hashes are keyed with a secret that dies with the process: within a run equal prefixes have
    equal hashes, and nobody can test a guess of a prompt against the file. Lines wait in memory
    until the next flush; beyond `MAX_WAITING_LINES` they are dropped and counted.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file cannot be written."""
        self._path = path
        self._secret = secrets.token_bytes(32)
        self._waiting: list[Recording] = []
        self._log = get_logger("smg_gateway.recording")
        self.dropped = 0
        with path.open("ab"):
            pass

    def begin(
        self, model: str | None, text: str, tokens: Sequence[int] | None, key: str | None
    ) -> Recording:
        """Note a request that has come in."""
        line = TraceLine(round(time.time(), 6), model, BLOCK_CHARACTERS, [], None)
        # Fixed widths, so that a block is a number of tokens or characters and not of bytes.
        if tokens is not None:
            line.block_size = BLOCK_TOKENS
            line.input_tokens = len(tokens)
            prompt = b"".join(token.to_bytes(8, "little", signed=True) for token in tokens)
        else:
            line.chars = len(text)
            prompt = text.encode("utf-32-le", "surrogatepass")
        if key:
            line.key = self._digest("key", key.encode())
        recording = Recording(line, prompt)
        if len(prompt) <= INLINE_BYTES:
            self._hash(recording)
        return recording

    def end(self, recording: Recording) -> None:
        """A request has been answered."""
        if len(self._waiting) >= MAX_WAITING_LINES:
            self.dropped += 1
            return
        recording.finish()
        self._waiting.append(recording)

    async def run(self) -> None:
        """Write every second until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(FLUSH_EVERY_S)
                await asyncio.to_thread(self._write, self._taken())
        finally:
            self._write(self._taken())

    def _taken(self) -> list[Recording]:
        recordings, self._waiting = self._waiting, []
        return recordings

    def _write(self, recordings: Sequence[Recording]) -> None:
        if not recordings:
            return
        for recording in recordings:
            self._hash(recording)
        lines = [recording.line for recording in recordings]
        try:
            with self._path.open("ab") as file:
                file.write(msgspec.json.Encoder().encode_lines(lines))
        except OSError as error:
            self.dropped += len(lines)
            self._log.error("trace not written", lines=len(lines), reason=error.strerror)

    def _hash(self, recording: Recording) -> None:
        """Fill in the chained hashes of the prompt's whole blocks, once."""
        prompt, recording.unhashed = recording.unhashed, b""
        tokens = recording.line.input_tokens is not None
        size = BLOCK_TOKENS * _TOKEN_BYTES if tokens else BLOCK_CHARACTERS * _CHARACTER_BYTES
        parent = ""
        end = min(len(prompt) - size, (MAX_BLOCKS - 1) * size)
        for start in range(0, end + 1, size):
            parent = self._digest(parent, prompt[start : start + size])
            recording.line.blocks.append(parent)

    def _digest(self, before: str, data: bytes) -> str:
        message = before.encode() + b"\0" + data
        return blake2b(message, digest_size=_DIGEST_BYTES, key=self._secret).hexdigest()
