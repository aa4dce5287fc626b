"""A small fixed vocabulary, for tests of whatever needs a tokenizer."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from ..decoding import DecodeStream, PlacedStream, refuse_negative
from ..interface import EncodePath, Encoding, SpecialTokens
from .base import BaseTokenizer

_WORDS: Final = (
    "Hello",
    "world",
    "test",
    "token",
    " ",
    ".",
    "system",
    "user",
    "assistant",
)
_SPECIAL: Final = MappingProxyType({
    "<eos>": 999,
    "<bos>": 1000,
    "<|im_start|>": 1001,
    "<|im_end|>": 1002,
    "<|eot_id|>": 1003,
})
_SKIPPED: Final = frozenset({999, 1000})


_SPECIAL_IDS: Final = frozenset(_SPECIAL.values())


class MockTokenizer(BaseTokenizer):
    """Words at white space, those of a vocabulary of 14; other words are dropped."""

    def __init__(self) -> None:
        special = SpecialTokens(
            bos_token="<bos>",
            eos_token="<eos>",
            additional=("<|im_start|>", "<|im_end|>", "<|eot_id|>"),
        )
        super().__init__(special_tokens=special, eos_token_ids=(999,))
        self._ids = {word: place for place, word in enumerate(_WORDS, 1)} | dict(_SPECIAL)
        self._words = {token_id: word for word, token_id in self._ids.items()}
        self._later = {token_id: f" {word}" for token_id, word in self._words.items()}

    @property
    def vocab_size(self) -> int:
        return len(self._ids)

    @property
    def encode_path(self) -> EncodePath:
        return "mock"

    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        return Encoding(tuple(self._ids[word] for word in text.split() if word in self._ids))

    def encode_ordinary(self, text: str) -> Encoding:
        special = _SPECIAL_IDS
        return Encoding(tuple(each for each in self.encode(text).ids if each not in special))

    def token_to_id(self, token: str) -> int | None:
        return self._ids.get(token)

    def id_to_token(self, token_id: int) -> str | None:
        return self._words.get(token_id)

    def _skipped_ids(self) -> frozenset[int]:
        return _SKIPPED

    def _added_ids(self) -> frozenset[int]:
        return _SPECIAL_IDS

    def _decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        return self._stream(skip_special_tokens).feed(ids)

    def _stream(self, skip_special_tokens: bool) -> DecodeStream:
        skipped = _SKIPPED if skip_special_tokens else frozenset[int]()
        return PlacedStream(self._words, self._later, skipped, refuse_negative)
