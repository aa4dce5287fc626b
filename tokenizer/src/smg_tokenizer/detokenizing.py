"""Decoding tables: from a vocabulary and its decoder to the stream that decodes it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, cast

from .byte_alphabet import token_bytes
from .decoding import (
    BYTE_RUN_LIMIT_BYTES,
    ByteStream,
    DecodeStream,
    PlacedStream,
    RunStream,
    Unknown,
    WindowStream,
    refuse_negative,
)

_META: Final = "\u2581"


class DecodingTable(Protocol):
    """Decodes ids of one vocabulary."""

    def stream(self, skip_special_tokens: bool) -> DecodeStream:
        """A new stream, with or without the special tokens."""
        ...

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text of all of `ids`."""
        ...


class ByteTable:
    """A vocabulary of bytes."""

    def __init__(
        self, pieces: Mapping[int, bytes], skipped: frozenset[int], unknown: Unknown
    ) -> None:
        self._raw: dict[int, bytes] = {}
        self._texts: dict[int, str] = {}
        for token_id, piece in pieces.items():
            try:
                self._texts[token_id] = piece.decode()
            except UnicodeDecodeError:
                self._raw[token_id] = piece
        self._plain_texts = self._texts | dict.fromkeys(skipped, "")
        self._unknown = unknown

    def stream(self, skip_special_tokens: bool) -> DecodeStream:
        texts = self._plain_texts if skip_special_tokens else self._texts
        return ByteStream(texts, self._raw, self._unknown)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text of all of `ids`."""
        texts = self._plain_texts if skip_special_tokens else self._texts
        try:
            return "".join([texts[token_id] for token_id in ids])
        except KeyError:
            stream = self.stream(skip_special_tokens)
            return stream.feed(ids) + stream.finish()


class RunTable:
    """A SentencePiece-style vocabulary with byte tokens."""

    def __init__(
        self, texts: dict[int, str], skipped: frozenset[int], lead_char: str, lead: int
    ) -> None:
        self._bytes = {
            token_id: int(text[3:5], 16) for token_id, text in texts.items() if _is_byte_token(text)
        }
        self._texts = {i: text for i, text in texts.items() if i not in self._bytes}
        self._plain_texts = self._texts | dict.fromkeys(skipped, "")
        self._lead_char = lead_char
        self._lead = lead

    def stream(self, skip_special_tokens: bool) -> DecodeStream:
        return self._new(skip_special_tokens, BYTE_RUN_LIMIT_BYTES)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text of all of `ids`."""
        stream = self._new(skip_special_tokens, None)
        return stream.feed(ids) + stream.finish()

    def _new(self, skip_special_tokens: bool, limit_bytes: int | None) -> RunStream:
        texts = self._plain_texts if skip_special_tokens else self._texts
        lead_char, lead = self._lead_char, self._lead
        return RunStream(texts, self._bytes, refuse_negative, lead_char, lead, limit_bytes)


class PlacedTable:
    """A vocabulary whose tokens' texts depend on whether they come first."""

    def __init__(
        self, first: dict[int, str], later: dict[int, str], skipped: frozenset[int]
    ) -> None:
        self._first = first
        self._later = later
        self._skipped = skipped

    def stream(self, skip_special_tokens: bool) -> DecodeStream:
        skipped = self._skipped if skip_special_tokens else frozenset[int]()
        return PlacedStream(self._first, self._later, skipped, refuse_negative)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text of all of `ids`."""
        return self.stream(skip_special_tokens).feed(ids)


class WindowTable:
    """Any vocabulary, decoded by its own library."""

    def __init__(self, decode: Callable[[Sequence[int], bool], str]) -> None:
        self._decode = decode

    def stream(self, skip_special_tokens: bool) -> DecodeStream:
        return WindowStream(lambda ids: self._decode(ids, skip_special_tokens))

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text of all of `ids`."""
        return self._decode(ids, skip_special_tokens)


def decoding_table(
    decoder: object,
    tokens: Mapping[int, str],
    skipped: frozenset[int],
    decode: Callable[[Sequence[int], bool], str],
) -> DecodingTable:
    """The table for the decoder of a tokenizer.json; `decode` serves decoders not known here."""
    steps = _steps(decoder)
    kinds = tuple(str(step.get("type")) for step in steps)
    if kinds == ("ByteLevel",):
        pieces = {i: _byte_level(token) for i, token in tokens.items()}
        return ByteTable(pieces, skipped, refuse_negative)
    if kinds[:3] == ("Replace", "ByteFallback", "Fuse"):
        strip = _leading_strip(steps[3:])
        replace = _replacement(steps[0])
        if strip is not None and replace is not None:
            old, new = replace
            texts = {i: token.replace(old, new) for i, token in tokens.items()}
            return RunTable(texts, skipped, *strip)
    if kinds == ("Metaspace",):
        mark = str(steps[0].get("replacement", _META))
        later = {i: token.replace(mark, " ") for i, token in tokens.items()}
        keeps = steps[0].get("prepend_scheme", "always") == "never"
        first = later if keeps else {i: t.replace(mark, "") for i, t in tokens.items()}
        return PlacedTable(first, later, skipped)
    if kinds == ("WordPiece",) and steps[0].get("cleanup") is False:
        prefix = str(steps[0].get("prefix", "##"))
        later = {
            i: token[len(prefix) :] if token.startswith(prefix) else f" {token}"
            for i, token in tokens.items()
        }
        return PlacedTable(dict(tokens), later, skipped)
    if not kinds:
        return PlacedTable(dict(tokens), {i: f" {t}" for i, t in tokens.items()}, skipped)
    return WindowTable(decode)


def _byte_level(token: str) -> bytes:
    raw = token_bytes(token)
    return token.encode() if raw is None else raw


def _is_byte_token(text: str) -> bool:
    if len(text) != 6 or not (text.startswith("<0x") and text.endswith(">")):
        return False
    return all(char in "0123456789abcdefABCDEF" for char in text[3:5])


def _steps(decoder: object) -> Sequence[Mapping[str, object]]:
    if not isinstance(decoder, dict):
        return ()
    if decoder.get("type") == "Sequence":
        return cast(Sequence[Mapping[str, object]], decoder.get("decoders") or ())
    return (decoder,)


def _replacement(step: Mapping[str, object]) -> tuple[str, str] | None:
    pattern, content = step.get("pattern"), step.get("content")
    old = pattern.get("String") if isinstance(pattern, dict) else None
    if isinstance(old, str) and old and isinstance(content, str):
        return old, content
    return None


def _leading_strip(steps: Sequence[Mapping[str, object]]) -> tuple[str, int] | None:
    """What is taken off the whole text's start: (character, how many); None if something else is."""
    if not steps:
        return " ", 0
    step = steps[0]
    content, start = step.get("content"), step.get("start")
    if len(steps) > 1 or step.get("type") != "Strip" or step.get("stop"):
        return None
    return (content, start) if isinstance(content, str) and isinstance(start, int) else None
