"""Byte-level BPE vocabularies on tiktoken's engine: the same ids, several times faster.

A tokenizer.json is converted when it loads. The conversion is taken only if it is proved:

* merges are listed in the order of the ids they make, so that both engines prefer the same pair;
* every mergeable token, spelled alone, is made by the merges. The engine joins any two neighbours
  whose joint bytes are a token, whether or not the merges list that pair; the first time it did
  so against the list, the token would be one that the merges cannot make alone. (Or the merges
  list every pair of tokens that makes a token: then there is nothing to join against the list.)
* a probe corpus is encoded equally by both.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, cast

from .byte_alphabet import token_bytes
from .segments import AddedToken, Segmenter
from .split_patterns import engine_pattern

if TYPE_CHECKING:
    from tiktoken import Encoding as Engine
    from tokenizers import Tokenizer as HuggingFaceTokenizer

NormalForm = Literal["NFC", "NFKC"]
DeclineReason = Literal["not_nfc", "piece_declined"]

# The engine's regular expressions keep a state per character of white space, and stop the whole
# text at a million of them.
LONG_BLANK_CHARS: Final = 65_536
_LONG_BLANK: Final = re.compile(rf"(?<!\s)\s{{{LONG_BLANK_CHARS}}}")

ALL_BYTES: Final = frozenset(bytes((byte,)) for byte in range(256))


class ConversionDeclined(Exception):
    """Why a vocabulary cannot run on the fast engine; never leaves this package."""


class TextDeclined(Exception):
    """A text that the fast engine leaves to another one; never leaves this package."""

    def __init__(self, reason: DeclineReason) -> None:
        super().__init__(reason)
        self.reason = reason


class RankEncoder:
    """Encodes text with tiktoken's engine: added tokens first, words in between. Thread-safe; the
    interpreter lock is released while a piece is encoded."""

    __slots__ = ("_encode_ordinary", "normal_form", "segmenter")

    def __init__(
        self,
        ranks: dict[bytes, int],
        pattern: str,
        segmenter: Segmenter,
        normal_form: NormalForm | None = None,
    ) -> None:
        """Raises ValueError for a pattern the engine does not accept."""
        self._encode_ordinary = rank_engine(ranks, pattern).encode_ordinary
        self.segmenter = segmenter
        self.normal_form = normal_form

    def encode(self, text: str) -> list[int]:
        """The ids of `text`. A lone surrogate counts as U+FFFD.

        Raises TextDeclined if the text would have to be normalized, or is more than the engine's
        regular expressions can bear.
        """
        return self.encode_between(text, self.segmenter)

    def encode_between(self, text: str, segmenter: Segmenter) -> list[int]:
        """`encode` with other added tokens than the vocabulary's."""
        if self.normal_form is not None and not (
            text.isascii() or unicodedata.is_normalized(self.normal_form, text)
        ):
            raise TextDeclined("not_nfc")
        if len(text) >= LONG_BLANK_CHARS and _LONG_BLANK.search(text):
            raise TextDeclined("piece_declined")
        ids: list[int] = []
        try:
            for piece, token_id in segmenter.split(text):
                if token_id is None:
                    ids += self._encode_ordinary(piece)
                else:
                    ids.append(token_id)
        # A panic of the engine is no Exception, and its class cannot be imported.
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            raise TextDeclined("piece_declined") from error
        return ids


def rank_engine(ranks: dict[bytes, int], pattern: str) -> "Engine":
    """tiktoken's engine without special tokens. Raises ValueError for a bad pattern."""
    from tiktoken import Encoding as Engine

    return Engine("smg", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def convert(
    layout: Mapping[str, object],
    tokenizer: "HuggingFaceTokenizer",
    added: Sequence[AddedToken],
    segmenter: Segmenter | None,
    probe: Iterable[str],
) -> RankEncoder:
    """The fast engine for a tokenizer.json's content, proved equal to `tokenizer`.

    Raises ConversionDeclined with the reason.
    """
    model = layout.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise ConversionDeclined("the model is no BPE")
    if segmenter is None:
        raise ConversionDeclined("added tokens are not atomic")
    pattern = engine_pattern(layout.get("pre_tokenizer"))
    if pattern is None:
        raise ConversionDeclined("the pre-tokenizer is not supported")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(option):
            raise ConversionDeclined(f"the model sets {option}")
    normal_form = _normal_form(layout.get("normalizer"))
    ranks = _ranks(model, tokenizer)
    try:
        encoder = RankEncoder(ranks, pattern, segmenter, normal_form)
    except ValueError as error:
        raise ConversionDeclined(f"the split pattern is not supported: {error}") from error
    _compare(encoder, tokenizer, [*probe, *_added_token_probe(added)])
    return encoder


def normalizer_steps(normalizer: object) -> tuple[str, ...]:
    """The types of a tokenizer.json's normalizers, in order; empty if nothing is changed."""
    if not isinstance(normalizer, dict):
        return ()
    if normalizer.get("type") == "Sequence":
        steps = normalizer.get("normalizers") or ()
        return tuple(name for step in steps for name in normalizer_steps(step))
    return (str(normalizer.get("type")),)


def _normal_form(normalizer: object) -> NormalForm | None:
    steps = normalizer_steps(normalizer)
    if not steps:
        return None
    if len(steps) == 1 and steps[0] in {"NFC", "NFKC"}:
        return cast(NormalForm, steps[0])
    raise ConversionDeclined(f"the normalizer {'+'.join(steps)} is not supported")


def _ranks(model: Mapping[str, object], tokenizer: "HuggingFaceTokenizer") -> dict[bytes, int]:
    """Bytes to rank of every token that can come out of the merges, which is also its id."""
    vocab = cast(dict[str, int], model.get("vocab"))
    merges = [_halves(merge) for merge in cast(Sequence[object], model.get("merges") or ())]
    mergeable = _check_merge_order(vocab, merges)
    whole_words = bool(model.get("ignore_merges"))
    tokenize = None
    if not whole_words:
        tokenize = tokenizer.model.tokenize
    elif not _lists_every_split(vocab, merges):
        tokenize = _without_whole_words(vocab, merges)
    ranks: dict[bytes, int] = {}
    for token, token_id in vocab.items():
        raw = token_bytes(token)
        if raw is None:
            continue
        if len(raw) > 1 and tokenize is not None:
            if token_id not in mergeable and not whole_words:
                continue
            if len(tokenize(token)) != 1:
                raise ConversionDeclined(f"token {token_id} cannot be made by its merges")
        ranks[raw] = token_id
    if not ALL_BYTES <= ranks.keys():
        raise ConversionDeclined("the vocabulary lacks some bytes")
    return ranks


def _halves(merge: object) -> tuple[str, str]:
    """A merge, written as a pair or as one text with a space."""
    left, right = merge.split(" ", 1) if isinstance(merge, str) else cast(list[str], merge)
    return left, right


def _check_merge_order(vocab: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> set[int]:
    """The ids that merges make. Raises ConversionDeclined unless they are made in ascending order."""
    made: set[int] = set()
    last = -1
    for left, right in merges:
        token_id = vocab.get(left + right, -1)
        if token_id < last:
            raise ConversionDeclined("merge order differs from rank order")
        last = token_id
        made.add(token_id)
    return made


def _lists_every_split(vocab: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> bool:
    """Whether any two tokens whose joint text is a token are listed: then the engine can join no
    others. A loaded merge has tokens on both sides, so it is enough to count."""
    splits = sum(
        token[:end] in vocab and token[end:] in vocab
        for token in vocab
        for end in range(1, len(token))
    )
    return splits == len(set(merges))


def _without_whole_words(
    vocab: dict[str, int], merges: list[tuple[str, str]]
) -> Callable[[str], Sequence[object]]:
    """The merges alone, of a model that takes words it knows as a whole."""
    from tokenizers.models import BPE

    return BPE(vocab=vocab, merges=merges).tokenize


def _added_token_probe(added: Sequence[AddedToken]) -> list[str]:
    texts = [token.text for token in added[:200]]
    return [*(f"a {text} b{text}{text}\n{text[:-1]}" for text in texts), " ".join(texts)]


def _compare(encoder: RankEncoder, tokenizer: "HuggingFaceTokenizer", texts: Sequence[str]) -> None:
    expected = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    for text, encoding in zip(texts, expected, strict=True):
        try:
            ids = encoder.encode(text)
        except TextDeclined:
            continue
        if ids != encoding.ids:
            raise ConversionDeclined(f"ids differ on the probe {text[:40]!r}")


def atomic_segmenter(
    layout: Mapping[str, object], added: Sequence[AddedToken], plain: bool
) -> Segmenter | None:
    """Cuts at all added tokens, or None where cutting there could change ids.

    `plain`: no added token takes neighbouring white space or minds word borders. All known
    normalizers and pre-tokenizers treat every piece alike, but for a Metaspace that marks the
    first piece only.
    """
    if not plain:
        return None
    steps = normalizer_steps(layout.get("normalizer"))
    late = {token.text: token.id for token in added if token.normalized}
    early = {token.text: token.id for token in added if not token.normalized}
    if late and steps:
        if not set(steps) <= {"NFC", "NFKC"}:
            return None
        if not all(unicodedata.is_normalized("NFKC", text) for text in late):
            return None
    if "'prepend_scheme': 'first'" in str(layout.get("pre_tokenizer")):
        return None
    return Segmenter(early, late)
