"""Tokenizers described by a tokenizer.json, on the tokenizers library or, where a conversion proves
exact, on tiktoken's engine."""

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ..decoding import DecodeStream
from ..detokenizing import decoding_table
from ..errors import TokenIdInvalid, TokenizerInvalid
from ..fast_encode import ConversionDeclined, RankEncoder, TextDeclined, atomic_segmenter, convert
from ..interface import EncodePath, Encoding
from ..model_files import (
    model_eos_ids,
    parse_object,
    read_bytes,
    tokenizer_config,
    vocabulary_special_tokens,
)
from ..probe import corpus
from ..segments import AddedToken, Segmenter
from .base import BaseTokenizer, without_surrogates

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

_LOG: Final = logging.getLogger(__name__)

MAX_TOKEN_ID: Final = 2**32 - 1


class HuggingFaceTokenizer(BaseTokenizer):
    """A vocabulary of the tokenizers library. Thread-safe once loaded."""

    def __init__(
        self,
        library: "Library",
        layout: Mapping[str, object],
        *,
        config: Mapping[str, object],
        eos_token_ids: tuple[int, ...] = (),
        fast: bool = True,
    ) -> None:
        """`layout` is the tokenizer.json that `library` was made from."""
        self._library = library
        added = _added_tokens(library)
        self._vocab: dict[str, int] = library.get_vocab(with_added_tokens=True)
        special = [token for token in added if token.special]
        super().__init__(
            special_tokens=vocabulary_special_tokens(
                config, self._vocab.get, (token.text for token in special)
            ),
            eos_token_ids=eos_token_ids,
            segmenter=atomic_segmenter(layout, added, _plain(library)),
        )
        self._vocab_size: int = library.get_vocab_size(with_added_tokens=False)
        self._skipped = frozenset(token.id for token in special)
        self._added = frozenset(token.id for token in added)
        self._tokens = {token_id: token for token, token_id in self._vocab.items()}
        self._tokens.update((token.id, token.text) for token in added)
        self._table = decoding_table(
            layout.get("decoder"), self._tokens, self._skipped, self._library_decode
        )
        self._prefix, self._suffix = _surroundings(library)
        self._plain_added = Segmenter({
            token.text: token.id for token in added if not token.special
        })
        self._plain_library: Library | None = None
        self._fallbacks: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._fast = self._convert(layout, added) if fast else None

    def _convert(
        self, layout: Mapping[str, object], added: Sequence[AddedToken]
    ) -> RankEncoder | None:
        try:
            if layout.get("truncation") or layout.get("padding"):
                raise ConversionDeclined("the tokenizer truncates or pads")
            return convert(layout, self._library, added, self.segmenter, corpus())
        except ConversionDeclined as reason:
            _LOG.info("fast encoding is off: %s", reason)
            return None

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def encode_path(self) -> EncodePath:
        return "tokenizers" if self._fast is None else "tiktoken"

    @property
    def fallbacks(self) -> Mapping[str, int]:
        return MappingProxyType(self._fallbacks)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        try:
            return self._encode(text, add_special_tokens)
        except UnicodeEncodeError:
            return self._encode(without_surrogates(text), add_special_tokens)

    def _encode(self, text: str, add_special_tokens: bool) -> Encoding:
        if self._fast is not None:
            try:
                ids = self._fast.encode(text)
            except TextDeclined as declined:
                with self._counting:
                    self._fallbacks[declined.reason] += 1
            else:
                if add_special_tokens:
                    return Encoding((*self._prefix, *ids, *self._suffix))
                return Encoding(tuple(ids))
        # A batch of one: unlike `encode`, this lets other threads run.
        (encoding,) = self._library.encode_batch_fast([text], add_special_tokens=add_special_tokens)
        return Encoding(tuple(encoding.ids))

    def encode_ordinary(self, text: str) -> Encoding:
        try:
            return self._encode_ordinary(text)
        except UnicodeEncodeError:
            return self._encode_ordinary(without_surrogates(text))

    def _encode_ordinary(self, text: str) -> Encoding:
        if self._fast is not None:
            try:
                return Encoding(tuple(self._fast.encode_between(text, self._plain_added)))
            except TextDeclined as declined:
                with self._counting:
                    self._fallbacks[declined.reason] += 1
        (encoding,) = self._reader_of_plain_text().encode_batch_fast(
            [text], add_special_tokens=False
        )
        return Encoding(tuple(encoding.ids))

    def _reader_of_plain_text(self) -> "Library":
        """The library's object once more, told not to look for special tokens."""
        with self._counting:
            if self._plain_library is None:
                self._plain_library = type(self._library).from_str(self._library.to_str())
                self._plain_library.encode_special_tokens = True
            return self._plain_library

    def token_to_id(self, token: str) -> int | None:
        return self._vocab.get(token)

    def id_to_token(self, token_id: int) -> str | None:
        return self._tokens.get(token_id)

    def _skipped_ids(self) -> frozenset[int]:
        return self._skipped

    def _added_ids(self) -> frozenset[int]:
        return self._added

    def _decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        return self._table.decode(ids, skip_special_tokens)

    def _library_decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        try:
            return self._library.decode(ids, skip_special_tokens=skip_special_tokens)
        except OverflowError as error:
            if any(token_id < 0 for token_id in ids):
                raise TokenIdInvalid("Invalid token id: negative") from error
            known = [token_id for token_id in ids if token_id <= MAX_TOKEN_ID]
            return self._library.decode(known, skip_special_tokens=skip_special_tokens)

    def _stream(self, skip_special_tokens: bool) -> DecodeStream:
        return self._table.stream(skip_special_tokens)


def load_tokenizer_json(path: Path, *, fast: bool = True) -> HuggingFaceTokenizer:
    """The tokenizer in a tokenizer.json and the configuration beside it.

    Raises TokenizerNotLoaded, TokenizerInvalid.
    """
    raw = read_bytes(path)
    return build(library_from_json(raw, path.name), parse_object(raw, path.name), path.parent, fast)


def build(
    library: "Library", layout: Mapping[str, object], directory: Path, fast: bool = True
) -> HuggingFaceTokenizer:
    """A tokenizer of the library's, completed by the configuration in `directory`."""
    config = tokenizer_config(directory)
    _add_bos_and_eos(library, config)
    return HuggingFaceTokenizer(
        library, layout, config=config, eos_token_ids=model_eos_ids(directory), fast=fast
    )


def library_from_json(raw: bytes, name: str) -> "Library":
    """The tokenizers library's own object. Raises TokenizerInvalid."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_buffer(raw)
    # The library knows no narrower class for a file that it cannot read.
    except Exception as error:
        raise TokenizerInvalid(f"{name} is no tokenizer: {error}") from error


def _add_bos_and_eos(library: "Library", config: Mapping[str, object]) -> None:
    """Make `add_special_tokens` add BOS and EOS where the configuration asks for it."""
    from tokenizers.processors import TemplateProcessing

    wants_eos = config.get("add_eos_token") is True
    wants_bos = config.get("add_bos_token") is True
    if config.get("add_bos_token") is None and wants_eos:
        wants_bos = bool(library.encode("", add_special_tokens=True).ids)
    named = vocabulary_special_tokens(config, library.token_to_id, ())
    wanted = [named.bos_token] * wants_bos + [named.eos_token] * wants_eos
    ids = {text: library.token_to_id(text) for text in wanted if text is not None}
    if not wanted or None in wanted or None in ids.values():
        return
    before = [named.bos_token] if wants_bos else []
    after = [named.eos_token] if wants_eos else []
    template = [*before, "$A", *after]
    library.post_processor = TemplateProcessing(
        single=template, pair=[*template, "$B:1"], special_tokens=list(ids.items())
    )


def _added_tokens(library: "Library") -> list[AddedToken]:
    decoder = library.get_added_tokens_decoder()
    return [
        AddedToken(token.content, token_id, token.normalized, token.special)
        for token_id, token in sorted(decoder.items())
    ]


def _plain(library: "Library") -> bool:
    """Whether no added token takes neighbouring white space or minds word borders."""
    tokens: Iterable[object] = library.get_added_tokens_decoder().values()
    flags = ("lstrip", "rstrip", "single_word")
    return not any(getattr(token, flag) for token in tokens for flag in flags)


def _surroundings(library: "Library") -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the post-processor puts before and after a text."""
    body = library.encode("a", add_special_tokens=False).ids
    whole = library.encode("a", add_special_tokens=True).ids
    extra = len(whole) - len(body)
    for begin in range(extra + 1):
        if whole[begin : begin + len(body)] == body:
            return tuple(whole[:begin]), tuple(whole[begin + len(body) :])
    return (), ()
