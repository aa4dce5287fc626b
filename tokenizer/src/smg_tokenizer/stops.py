"""Stop sequences: where an answer ends, found while its tokens come.

Text that may be the start of a stop string is held back (the jail), never more than the longest
stop string and one token's text, and every character is looked at a bounded number of times.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .decoding import DecodeStream
from .interface import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSequences:
    """What ends an answer. Hidden stops are not part of its text, visible ones are.

    `min_tokens`: the first so many tokens are not looked at: stop tokens among them do not stop,
    and a stop string counts only if it ends in the text of a later one.
    """

    hidden_ids: frozenset[int] = frozenset()
    visible_ids: frozenset[int] = frozenset()
    hidden_texts: tuple[str, ...] = ()
    visible_texts: tuple[str, ...] = ()
    min_tokens: int = 0


class StopSequenceDecoder:
    """Decodes one answer's tokens up to the first stop.

    `push` and `feed` give text that is certain, or None while there is none. Once `stopped` is
    true nothing more comes; `matched_stop` then is the stop string, or None for a stop token.
    """

    __slots__ = (
        "_hidden_ids",
        "_jail",
        "_last_chars",
        "_longest_bytes",
        "_min_tokens",
        "_push",
        "_skip_special_tokens",
        "_stop_ids",
        "_stops",
        "_stream",
        "_token_count",
        "_tokenizer",
        "matched_stop",
        "matched_token",
        "stopped",
    )

    def __init__(
        self, tokenizer: Tokenizer, stops: StopSequences, *, skip_special_tokens: bool = True
    ) -> None:
        """Empty stop strings are ignored."""
        self._stream: DecodeStream = tokenizer.decode_stream(
            skip_special_tokens=skip_special_tokens
        )
        self._push = self._stream.push
        self._tokenizer = tokenizer
        self._skip_special_tokens = skip_special_tokens
        self._hidden_ids = stops.hidden_ids
        self._stop_ids = stops.hidden_ids | stops.visible_ids
        marked = [(text, False) for text in stops.hidden_texts]
        marked += [(text, True) for text in stops.visible_texts]
        self._stops = tuple((text, len(text), visible) for text, visible in marked if text)
        self._last_chars = frozenset(text[-1] for text, _, _ in self._stops)
        # The jail: as many bytes as the longest stop string has stay back.
        self._longest_bytes = max((len(text.encode()) for text, _, _ in self._stops), default=0)
        self._min_tokens = stops.min_tokens
        self._token_count = 0
        self._jail = ""
        self.stopped = False
        self.matched_stop: str | None = None
        """The stop string that ended the answer."""
        self.matched_token: int | None = None
        """The stop token that ended the answer."""

    @property
    def token_count(self) -> int:
        """Tokens looked at so far, the one that stopped included."""
        return self._token_count

    def push(self, token_id: int) -> str | None:
        """The text that became certain with this token, None if none did.

        A visible stop token that has no text stops with "".
        """
        if self.stopped:
            return None
        self._token_count += 1
        checked = self._token_count > self._min_tokens
        if checked and token_id in self._stop_ids:
            return self._stop_at_token(token_id)
        text = self._push(token_id)
        if not text:
            return None
        if not self._stops:
            return text
        before = len(self._jail)
        jail = self._jail + text
        # A stop that ends in this text has its last character there.
        if checked and not self._last_chars.isdisjoint(text):
            match = self._first_match(jail, before)
            if match is not None:
                return self._stop_at_text(jail, *match)
        cut = len(jail) - self._longest_bytes
        if not jail.isascii():
            cut = _chars_before(jail, self._longest_bytes)
        if cut <= 0:
            self._jail = jail
            return None
        self._jail = jail[cut:]
        return jail[:cut]

    def feed(self, ids: Iterable[int]) -> str | None:
        """`push` for several ids, joined, up to a stop; None if no text became certain."""
        texts = []
        for token_id in ids:
            text = self.push(token_id)
            if text is not None:
                texts.append(text)
            if self.stopped:
                break
        return "".join(texts) if texts else None

    def flush(self) -> str | None:
        """What is still held back, at the end of the tokens. An incomplete character is dropped."""
        if self.stopped:
            return None
        tail = self._stream.finish(drop_incomplete=True)
        before, jail = len(self._jail), self._jail + tail
        if tail and self._stops and self._token_count > self._min_tokens:
            match = self._first_match(jail, before)
            if match is not None:
                return self._stop_at_text(jail, *match)
        self._jail = ""
        return jail or None

    def reset(self) -> None:
        """Make the decoder ready for another answer with the same stops."""
        self._stream.finish()
        self._jail = ""
        self._token_count = 0
        self.stopped = False
        self.matched_stop = self.matched_token = None

    def _stop_at_token(self, token_id: int) -> str | None:
        self.stopped, self.matched_token = True, token_id
        held, self._jail = self._jail + self._stream.finish(drop_incomplete=True), ""
        if token_id in self._hidden_ids:
            return held or None
        skip = self._skip_special_tokens
        return held + self._tokenizer.decode((token_id,), skip_special_tokens=skip)

    def _stop_at_text(self, jail: str, begin: int, end: int, visible: bool) -> str | None:
        self.stopped, self.matched_stop = True, jail[begin:end]
        self._jail = ""
        return jail[:end] if visible else (jail[:begin] or None)

    def _first_match(self, jail: str, before: int) -> tuple[int, int, bool] | None:
        """The stop string that ends first in the text after `before`; ties go to the longer one."""
        best: tuple[int, int, bool] | None = None
        for text, length, visible in self._stops:
            begin = jail.find(text, max(0, before + 1 - length))
            if begin < 0:
                continue
            end = begin + length
            if best is None or end < best[1] or (end == best[1] and begin < best[0]):
                best = (begin, end, visible)
        return best


def _chars_before(text: str, tail_bytes: int) -> int:
    """How many characters stand before the shortest tail of at least `tail_bytes` bytes."""
    raw = text.encode()
    cut = max(0, len(raw) - tail_bytes)
    return len(raw[:cut].decode(errors="ignore"))
