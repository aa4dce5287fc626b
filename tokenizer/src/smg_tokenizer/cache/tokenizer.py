"""Any tokenizer, with its encodings kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..decoding import DecodeStream
from ..interface import EncodePath, Encoding, SpecialTokens, Tokenizer
from ..renderers.contract import ChatRenderer, ContentFormat, RenderOptions, ThinkingToggle
from ..segments import Segmenter
from .exact import ExactCache
from .pieces import PieceCache
from .statistics import CacheStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLimits:
    """Which layers there are, and how much they keep. Bytes are of memory, not of text."""

    exact: bool = True
    exact_max_entries: int = 10_000
    exact_max_bytes: int = 256 * 2**20
    pieces: bool = False
    pieces_max_bytes: int = 50 * 2**20


class CachedTokenizer:
    """A tokenizer whose encodings are kept (L0: whole texts, L1: pieces between special tokens).

    Results are those of the inner tokenizer for any text. L1 serves encodings without added
    special tokens, of tokenizers whose added tokens are atomic. Decoding is not cached.
    """

    def __init__(self, inner: Tokenizer, limits: CacheLimits | None = None) -> None:
        limits = limits or CacheLimits()
        self.inner = inner
        self._exact = (
            ExactCache(max_entries=limits.exact_max_entries, max_bytes=limits.exact_max_bytes)
            if limits.exact
            else None
        )
        self._pieces = PieceCache(max_bytes=limits.pieces_max_bytes) if limits.pieces else None

    def lookup(self, text: str, *, add_special_tokens: bool = False) -> Encoding | None:
        """The encoding of `text` if L0 has it; counted as a lookup. Never encodes."""
        return None if self._exact is None else self._exact.get(text, add_special_tokens)

    def encode_missed(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        """`encode` for a text that `lookup` did not find: L0 is not asked again, only filled."""
        encoding = None
        segmenter = self.inner.segmenter
        if self._pieces is not None and segmenter is not None and not add_special_tokens:
            ids = self._pieces.encode(text, segmenter, lambda piece: self.inner.encode(piece).ids)
            encoding = None if ids is None else Encoding(ids)
        if encoding is None:
            encoding = self.inner.encode(text, add_special_tokens=add_special_tokens)
        if self._exact is not None:
            self._exact.put(text, add_special_tokens, encoding)
        return encoding

    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        if self._exact is not None:
            encoding = self._exact.get(text, add_special_tokens)
            if encoding is not None:
                return encoding
        return self.encode_missed(text, add_special_tokens=add_special_tokens)

    def encode_ordinary(self, text: str) -> Encoding:
        return self.inner.encode_ordinary(text)

    def encode_batch(
        self, texts: Iterable[str], *, add_special_tokens: bool = False
    ) -> list[Encoding]:
        return [self.encode(text, add_special_tokens=add_special_tokens) for text in texts]

    def clear(self) -> None:
        """Empty both layers and reset their counters."""
        for layer in (self._exact, self._pieces):
            if layer is not None:
                layer.clear()

    def statistics(self) -> dict[str, CacheStatistics]:
        """Counters of the layers there are, under "l0" and "l1"."""
        layers = {"l0": self._exact, "l1": self._pieces}
        return {name: layer.statistics() for name, layer in layers.items() if layer is not None}

    @property
    def vocab_size(self) -> int:
        return self.inner.vocab_size

    @property
    def special_tokens(self) -> SpecialTokens:
        return self.inner.special_tokens

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self.inner.eos_token_ids

    @property
    def segmenter(self) -> Segmenter | None:
        return self.inner.segmenter

    @property
    def encode_path(self) -> EncodePath:
        return self.inner.encode_path

    @property
    def fallbacks(self) -> Mapping[str, int]:
        return self.inner.fallbacks

    def decode(
        self,
        ids: Iterable[int],
        *,
        skip_special_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
    ) -> str:
        return self.inner.decode(
            ids,
            skip_special_tokens=skip_special_tokens,
            spaces_between_special_tokens=spaces_between_special_tokens,
        )

    def decode_stream(
        self,
        *,
        skip_special_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        prompt_ids: Sequence[int] = (),
    ) -> DecodeStream:
        return self.inner.decode_stream(
            skip_special_tokens=skip_special_tokens,
            spaces_between_special_tokens=spaces_between_special_tokens,
            prompt_ids=prompt_ids,
        )

    def token_to_id(self, token: str) -> int | None:
        return self.inner.token_to_id(token)

    def id_to_token(self, token_id: int) -> str | None:
        return self.inner.id_to_token(token_id)

    @property
    def chat_renderer(self) -> ChatRenderer | None:
        return self.inner.chat_renderer

    @property
    def chat_template_content_format(self) -> ContentFormat:
        return self.inner.chat_template_content_format

    @property
    def thinking_toggle(self) -> ThinkingToggle:
        return self.inner.thinking_toggle

    @property
    def thinking_key(self) -> str | None:
        return self.inner.thinking_key

    @property
    def think_in_prefill(self) -> bool:
        return self.inner.think_in_prefill

    def set_chat_template(self, text: str) -> None:
        self.inner.set_chat_template(text)

    def apply_chat_template(
        self, messages: Sequence[Mapping[str, object]], options: RenderOptions | None = None
    ) -> str:
        return self.inner.apply_chat_template(messages, options)
