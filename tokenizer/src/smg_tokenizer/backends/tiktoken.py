"""Vocabularies in tiktoken's format: files of models that ship them, and OpenAI's published ones."""

import base64
import binascii
import lzma
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from ..decoding import DecodeStream
from ..detokenizing import ByteTable
from ..errors import TokenIdInvalid, TokenizerError, TokenizerInvalid
from ..fast_encode import ALL_BYTES, RankEncoder, TextDeclined
from ..interface import EncodePath, Encoding, SpecialTokens
from ..model_files import (
    configured_special_tokens,
    lenient_object,
    model_eos_ids,
    read_bytes,
    token_text,
    tokenizer_config,
)
from ..segments import Segmenter
from ..split_patterns import CL100K, KIMI, O200K
from .base import BaseTokenizer

# What tiktoken itself uses for the older encodings: GPT-2's pattern, possessive.
R50K: Final = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

KIMI_MODEL_TYPES: Final = frozenset({"kimi_k2", "kimi_k25", "kimi_k3"})
KIMI_RESERVED_COUNT: Final = 256


_NO_TOKENS: Final = Segmenter({})


class PublishedEncoding(NamedTuple):
    """One of OpenAI's encodings: its packed ranks, its pattern and its special tokens."""

    ranks: str
    pattern: str
    special: Mapping[str, int]


_END: Final = "<|endoftext|>"
_FIM: Final = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
_HARMONY: Final = {
    "<|startoftext|>": 199998,
    _END: 199999,
    "<|return|>": 200002,
    "<|constrain|>": 200003,
    "<|channel|>": 200005,
    "<|start|>": 200006,
    "<|end|>": 200007,
    "<|message|>": 200008,
    "<|call|>": 200012,
}
_HARMONY_RESERVED: Final = (200000, 200001, 200004, 200009, 200010, 200011, *range(200013, 201088))

PUBLISHED: Final[Mapping[str, PublishedEncoding]] = {
    "o200k_base": PublishedEncoding("o200k_base", O200K, {_END: 199999, "<|endofprompt|>": 200018}),
    "o200k_harmony": PublishedEncoding(
        "o200k_base", O200K, _HARMONY | {f"<|reserved_{i}|>": i for i in _HARMONY_RESERVED}
    ),
    "cl100k_base": PublishedEncoding(
        "cl100k_base",
        CL100K,
        {
            _END: 100257,
            **dict(zip(_FIM, range(100258, 100261), strict=True)),
            "<|endofprompt|>": 100276,
        },
    ),
    "p50k_base": PublishedEncoding("p50k_base", R50K, {_END: 50256}),
    "p50k_edit": PublishedEncoding(
        "p50k_base", R50K, {_END: 50256, **dict(zip(_FIM, range(50281, 50284), strict=True))}
    ),
    "r50k_base": PublishedEncoding("r50k_base", R50K, {_END: 50256}),
}


class TiktokenTokenizer(BaseTokenizer):
    """Ranks of byte strings on tiktoken's engine. Thread-safe.

    `add_special_tokens` adds nothing; special tokens' text is always recognised.
    """

    def __init__(
        self,
        ranks: dict[bytes, int],
        pattern: str,
        added: Mapping[str, int],
        special_tokens: SpecialTokens,
        *,
        eos_token_ids: tuple[int, ...] = (),
        vocab_size: int | None = None,
    ) -> None:
        """`vocab_size` is the greatest id plus one unless given.

        Raises TokenizerInvalid for a vocabulary the engine does not take.
        """
        if not ALL_BYTES <= ranks.keys():
            raise TokenizerInvalid("the vocabulary lacks some bytes")
        try:
            self._encoder = RankEncoder(ranks, pattern, Segmenter(added))
        except ValueError as error:
            raise TokenizerInvalid(f"the vocabulary is not usable: {error}") from error
        super().__init__(
            special_tokens=special_tokens,
            eos_token_ids=eos_token_ids,
            segmenter=self._encoder.segmenter,
        )
        pieces = {rank: token for token, rank in ranks.items()}
        pieces |= {token_id: text.encode() for text, token_id in added.items()}
        self._pieces = pieces
        self._skipped = frozenset(added.values())
        self._table = ByteTable(pieces, self._skipped, _refuse)
        self._vocab_size = vocab_size or max(pieces, default=-1) + 1
        self._added = dict(added)
        self._ranks = ranks

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def encode_path(self) -> EncodePath:
        return "tiktoken"

    def encode(self, text: str, *, add_special_tokens: bool = False) -> Encoding:
        try:
            return Encoding(tuple(self._encoder.encode(text)))
        except TextDeclined as declined:
            raise TokenizerError("the text has too long a run of white space") from declined

    def encode_ordinary(self, text: str) -> Encoding:
        try:
            return Encoding(tuple(self._encoder.encode_between(text, _NO_TOKENS)))
        except TextDeclined as declined:
            raise TokenizerError("the text has too long a run of white space") from declined

    def token_to_id(self, token: str) -> int | None:
        found = self._added.get(token)
        return self._ranks.get(token.encode(errors="replace")) if found is None else found

    def id_to_token(self, token_id: int) -> str | None:
        piece = self._pieces.get(token_id)
        try:
            return None if piece is None else piece.decode()
        except UnicodeDecodeError:
            return None

    def _skipped_ids(self) -> frozenset[int]:
        return self._skipped

    def _added_ids(self) -> frozenset[int]:
        return self._skipped

    def _decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        return self._table.decode(ids, skip_special_tokens)

    def _stream(self, skip_special_tokens: bool) -> DecodeStream:
        return self._table.stream(skip_special_tokens)


def load_tiktoken_file(path: Path) -> TiktokenTokenizer:
    """The tokenizer in a tiktoken file and the configuration beside it.

    Raises TokenizerNotLoaded, TokenizerInvalid.
    """
    ranks = parse_ranks(read_bytes(path), path.name)
    directory = path.parent
    config = tokenizer_config(directory)
    added = _added_tokens(config)
    kimi = _is_kimi(config, lenient_object(directory / "config.json"))
    if kimi:
        declared = set(added.values())
        added |= {
            f"<|reserved_token_{token_id}|>": token_id
            for token_id in range(len(ranks), len(ranks) + KIMI_RESERVED_COUNT)
            if token_id not in declared
        }
    return TiktokenTokenizer(
        ranks,
        KIMI if kimi else CL100K,
        added,
        configured_special_tokens(config),
        eos_token_ids=model_eos_ids(directory),
    )


def load_published(name: str) -> TiktokenTokenizer:
    """One of OpenAI's encodings, from this package's own data: no file or network is needed.

    Raises KeyError for an unknown name.
    """
    encoding = PUBLISHED[name]
    ranks = unpack_ranks(
        files("smg_tokenizer").joinpath(f"data/{encoding.ranks}.ranks.xz").read_bytes()
    )
    extra = tuple(text for text in encoding.special if text != _END)
    special = SpecialTokens(bos_token=_END, eos_token=_END, pad_token=_END, additional=extra)
    if name == "o200k_harmony":
        special = SpecialTokens(
            bos_token="<|startoftext|>", eos_token="<|return|>", pad_token=_END, additional=extra
        )
    # The sizes that upstream reports leave most special tokens of these two out.
    size = {"o200k_base": 200019, "cl100k_base": 100256, "p50k_base": 50281}.get(name)
    return TiktokenTokenizer(ranks, encoding.pattern, encoding.special, special, vocab_size=size)


def parse_ranks(raw: bytes, name: str) -> dict[bytes, int]:
    """The ranks in a tiktoken file: base64, a space, a number per line. Raises TokenizerInvalid."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise TokenizerInvalid(f"{name} line {number} is no token with its rank") from error
    if not ranks:
        raise TokenizerInvalid(f"{name} holds no tokens")
    if len(set(ranks.values())) != len(ranks):
        raise TokenizerInvalid(f"{name} gives a rank twice")
    return ranks


def unpack_ranks(packed: bytes) -> dict[bytes, int]:
    """The ranks in this package's form: xz over a length byte and the token's bytes per rank."""
    body = lzma.decompress(packed)
    ranks: dict[bytes, int] = {}
    position = rank = 0
    while position < len(body):
        end = position + 1 + body[position]
        if end > position + 1:
            ranks[body[position + 1 : end]] = rank
        position, rank = end, rank + 1
    return ranks


def _refuse(token_id: int) -> str:
    raise TokenIdInvalid(
        f"tiktoken decode failed for unknown token id: Invalid token for decoding: {token_id}"
    )


def _added_tokens(config: Mapping[str, object]) -> dict[str, int]:
    declared = config.get("added_tokens_decoder")
    if not isinstance(declared, dict):
        return {}
    added: dict[str, int] = {}
    for token_id, entry in declared.items():
        text = token_text(entry)
        if text and token_id.isdecimal():
            added[text] = int(token_id)
    return added


def _is_kimi(config: Mapping[str, object], model: Mapping[str, object]) -> bool:
    if model.get("model_type") in KIMI_MODEL_TYPES:
        return True
    return any("tokenization_kimi" in text.split(".") for text in _strings(config))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)
