"""Token ids to text while they come: every decoder gives, piece by piece, what decoding all of
the ids at once would give.

The law: for any way of feeding the ids, the texts joined, with `finish()` at the end, are
`decode(ids)`. Text is given out as soon as no later token can change it.
"""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from .errors import TokenIdInvalid

REPLACEMENT: Final = "\ufffd"

# A run of byte tokens is valid or invalid as a whole, so it is held until it ends; past this
# length its complete characters are given out, lest a long text in a rare script stalls.
BYTE_RUN_LIMIT_BYTES: Final = 64


Unknown = Callable[[int], str]
"""Answers for an id without a token: its text, or TokenIdInvalid."""


class DecodeStream(ABC):
    """Incremental decoder of one token sequence. Not for use by two threads at once."""

    __slots__ = ()

    @abstractmethod
    def push(self, token_id: int) -> str:
        """The text that became certain with this token, often the token's own; "" if none did.

        Raises TokenIdInvalid as `Tokenizer.decode` does.
        """

    def feed(self, ids: Iterable[int]) -> str:
        """`push` for several ids, joined."""
        return "".join(map(self.push, ids))

    @abstractmethod
    def finish(self, *, drop_incomplete: bool = False) -> str:
        """The rest of the text at the end of the sequence; the stream is as new afterwards.

        A character whose bytes never all came is U+FFFD, as in `Tokenizer.decode`, or nothing
        with `drop_incomplete`.
        """


class ByteStream(DecodeStream):
    """For vocabularies of bytes, whose tokens may end inside a character."""

    __slots__ = ("_decoder", "_pending", "_raw", "_texts", "_unknown")

    def __init__(
        self,
        texts: Mapping[int, str],
        raw: Mapping[int, bytes],
        unknown: Unknown,
    ) -> None:
        """`texts` holds the tokens that are whole characters, `raw` the other ones; `unknown`
        answers for ids in neither."""
        self._texts = texts
        self._raw = raw
        self._unknown = unknown
        self._decoder = _utf8_decoder()
        self._pending = False

    def push(self, token_id: int) -> str:
        text = self._texts.get(token_id)
        if text is not None:
            if not self._pending or not text:
                return text
            piece = text.encode()
        else:
            raw = self._raw.get(token_id)
            if raw is None:
                return self._unknown(token_id)
            piece = raw
        decoded = self._decoder.decode(piece)
        self._pending = bool(self._decoder.getstate()[0])
        return decoded

    def finish(self, *, drop_incomplete: bool = False) -> str:
        rest = self._decoder.decode(b"", final=True) if self._pending else ""
        self._decoder.reset()
        self._pending = False
        return "" if drop_incomplete else rest


class RunStream(DecodeStream):
    """For SentencePiece-style vocabularies: text tokens, and byte tokens that come in runs."""

    __slots__ = (
        "_bytes",
        "_lead",
        "_lead_char",
        "_lead_now",
        "_limit_bytes",
        "_run",
        "_texts",
        "_unknown",
    )

    def __init__(
        self,
        texts: Mapping[int, str],
        byte_tokens: Mapping[int, int],
        unknown: Unknown,
        lead_char: str,
        lead: int,
        limit_bytes: int | None = BYTE_RUN_LIMIT_BYTES,
    ) -> None:
        """`lead` is how many `lead_char` are taken off the start of the whole text. Runs longer
        than `limit_bytes` are not held as a whole; None for no limit."""
        self._texts = texts
        self._bytes = byte_tokens
        self._unknown = unknown
        self._lead_char = lead_char
        self._lead = self._lead_now = lead
        self._limit_bytes = limit_bytes
        self._run = bytearray()

    def push(self, token_id: int) -> str:
        text = self._texts.get(token_id)
        if text is None:
            byte = self._bytes.get(token_id)
            if byte is None:
                return self._unknown(token_id)
            self._run.append(byte)
            if self._limit_bytes is None or len(self._run) <= self._limit_bytes:
                return ""
            text = self._release()
        elif self._run and text:
            text = self._end_run() + text
        if self._lead_now and text:
            return self._without_lead(text)
        return text

    def finish(self, *, drop_incomplete: bool = False) -> str:
        text = self._release() if drop_incomplete else self._end_run()
        if self._lead_now and text:
            text = self._without_lead(text)
        self._run.clear()
        self._lead_now = self._lead
        return text

    def _end_run(self) -> str:
        run = bytes(self._run)
        self._run.clear()
        try:
            return run.decode()
        except UnicodeDecodeError:
            return REPLACEMENT * len(run)

    def _release(self) -> str:
        """The complete characters of the run; what may still become one stays."""
        decoder = _utf8_decoder()
        text = decoder.decode(bytes(self._run))
        self._run = bytearray(decoder.getstate()[0])
        return text

    def _without_lead(self, text: str) -> str:
        cut = 0
        while cut < self._lead_now and text[cut : cut + 1] == self._lead_char:
            cut += 1
        self._lead_now = 0 if cut < len(text) else self._lead_now - cut
        return text[cut:]


class PlacedStream(DecodeStream):
    """For decoders in which only a sequence's first token differs from the other ones."""

    __slots__ = ("_first", "_later", "_skipped", "_started", "_unknown")

    def __init__(
        self,
        first: Mapping[int, str],
        later: Mapping[int, str],
        skipped: frozenset[int],
        unknown: Unknown,
    ) -> None:
        """`first` and `later` are the tokens' texts at the start and after it."""
        self._first = first
        self._later = later
        self._skipped = skipped
        self._unknown = unknown
        self._started = False

    def push(self, token_id: int) -> str:
        if token_id in self._skipped:
            return ""
        text = (self._later if self._started else self._first).get(token_id)
        if text is None:
            return self._unknown(token_id)
        self._started = True
        return text

    def finish(self, *, drop_incomplete: bool = False) -> str:
        self._started = False
        return ""


class WindowStream(DecodeStream):
    """For any decoder: two windows of the latest ids are decoded, and what is new is given out.

    The law holds for decoders in which a token's text depends on its near past only.
    """

    __slots__ = ("_decode", "_ids", "_prefix", "_prefix_count")

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._prefix = ""
        self._prefix_count = 0

    def push(self, token_id: int) -> str:
        if not self._prefix and self._ids:
            prefix = self._decode(self._ids)
            if not prefix.endswith(REPLACEMENT):
                self._prefix, self._prefix_count = prefix, len(self._ids)
        self._ids.append(token_id)
        text = self._decode(self._ids)
        if len(text) <= len(self._prefix) or text.endswith(REPLACEMENT):
            return ""
        new = text[len(self._prefix) :]
        kept = len(self._ids) - self._prefix_count
        self._ids = self._ids[self._prefix_count :]
        self._prefix_count = kept
        self._prefix = self._decode(self._ids)
        return new

    def finish(self, *, drop_incomplete: bool = False) -> str:
        text = self._decode(self._ids)[len(self._prefix) :] if self._ids else ""
        if drop_incomplete:
            text = text.rstrip(REPLACEMENT)
        self._ids, self._prefix, self._prefix_count = [], "", 0
        return text


class SpacedStream(DecodeStream):
    """Puts a space between an added token and its neighbours, around any other stream."""

    __slots__ = ("_added", "_inner", "_joint", "_open", "_skipped")

    def __init__(self, inner: DecodeStream, added: frozenset[int], skipped: frozenset[int]) -> None:
        self._inner = inner
        self._added = added
        self._skipped = skipped
        self._joint = ""
        self._open = False

    def push(self, token_id: int) -> str:
        if token_id in self._skipped:
            return ""
        if token_id in self._added:
            before = self._inner.finish() if self._open else ""
            own = self._inner.push(token_id) + self._inner.finish()
            text = before + self._joint + own
            self._joint, self._open = " ", False
            return text
        joint = "" if self._open else self._joint
        self._open, self._joint = True, " "
        return joint + self._inner.push(token_id)

    def finish(self, *, drop_incomplete: bool = False) -> str:
        text = self._inner.finish(drop_incomplete=drop_incomplete)
        self._joint, self._open = "", False
        return text


def refuse_negative(token_id: int) -> str:
    """The text of an unknown id in vocabularies that leave such ids out: none.

    Raises TokenIdInvalid for a negative one, which is no id at all.
    """
    if token_id < 0:
        raise TokenIdInvalid(f"Invalid token id: {token_id}")
    return ""


def _utf8_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")
