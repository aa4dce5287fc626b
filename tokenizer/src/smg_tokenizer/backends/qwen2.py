"""Qwen2's older layout: vocab.json and merges.txt, put together as its own tokenizer class does."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ..errors import TokenizerInvalid
from ..model_files import parse_object, read_bytes, token_text, tokenizer_config
from ..split_patterns import QWEN2
from .huggingface import HuggingFaceTokenizer, build, library_from_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

QWEN2_CLASSES: Final = frozenset({"Qwen2Tokenizer", "Qwen2TokenizerFast"})


def load_vocab_and_merges(directory: Path, *, fast: bool = True) -> HuggingFaceTokenizer:
    """The tokenizer in a folder with vocab.json and merges.txt.

    Raises TokenizerInvalid for another tokenizer class than Qwen2's, and for added tokens that do
    not follow the vocabulary without gaps; TokenizerNotLoaded.
    """
    config = tokenizer_config(directory)
    name = config.get("tokenizer_class")
    if name not in QWEN2_CLASSES:
        what = f"tokenizer class '{name}'" if name else "a missing tokenizer_class"
        raise TokenizerInvalid(f"vocab.json and merges.txt are not supported for {what}")
    vocab = parse_object(read_bytes(directory / "vocab.json"), "vocab.json")
    layout = _layout(vocab, _merges(directory / "merges.txt"), config)
    library = library_from_json(msgspec.json.encode(layout), "vocab.json with merges.txt")
    _add_tokens(library, config)
    return build(library, layout, directory, fast)


def _merges(path: Path) -> list[str]:
    try:
        lines = read_bytes(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise TokenizerInvalid(f"{path.name} is no UTF-8 text") from error
    return [line for line in lines if line and not line.startswith("#version")]


def _layout(
    vocab: Mapping[str, object], merges: list[str], config: Mapping[str, object]
) -> dict[str, object]:
    byte_level = {"type": "ByteLevel", "trim_offsets": False, "use_regex": False}
    prefix_space = config.get("add_prefix_space") is True
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": QWEN2},
                    "behavior": "Isolated",
                    "invert": False,
                },
                byte_level | {"add_prefix_space": prefix_space},
            ],
        },
        "post_processor": byte_level | {"add_prefix_space": False},
        "decoder": byte_level | {"add_prefix_space": False},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    }


def _add_tokens(library: "Library", config: Mapping[str, object]) -> None:
    from tokenizers import AddedToken

    declared = config.get("added_tokens_decoder")
    if not isinstance(declared, dict):
        return
    try:
        entries = sorted((int(token_id), entry) for token_id, entry in declared.items())
    except ValueError as error:
        raise TokenizerInvalid("added_tokens_decoder has a key that is no token id") from error
    except TypeError as error:
        raise TokenizerInvalid("added_tokens_decoder names a token id twice") from error
    for token_id, entry in entries:
        text = token_text(entry)
        if not isinstance(entry, dict) or text is None:
            raise TokenizerInvalid(f"added token {token_id} has no content")
        special = entry.get("special") is True
        token = AddedToken(
            text,
            single_word=entry.get("single_word") is True,
            lstrip=entry.get("lstrip") is True,
            rstrip=entry.get("rstrip") is True,
            normalized=bool(entry.get("normalized", not special)),
            special=special,
        )
        (library.add_special_tokens if special else library.add_tokens)([token])
        if library.token_to_id(text) != token_id:
            raise TokenizerInvalid(
                f"non-contiguous explicit added-token IDs are unsupported: {text!r} is declared "
                f"as {token_id} and got {library.token_to_id(text)}"
            )
