"""The JSON files beside a tokenizer, and the special tokens they name."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from .end_tokens import eos_token_ids
from .errors import TokenizerInvalid, TokenizerNotLoaded
from .interface import NAMED_TOKENS, SpecialTokens

_LOG: Final = logging.getLogger(__name__)

# Looked for in the vocabulary where tokenizer_config.json names no token.
_USUAL_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "bos_token": ("<s>", "<|startoftext|>", "<BOS>", "[CLS]"),
    "eos_token": ("</s>", "<|endoftext|>", "<EOS>", "[SEP]"),
    "unk_token": ("<unk>", "<UNK>", "[UNK]"),
    "sep_token": ("[SEP]", "<sep>", "<SEP>"),
    "pad_token": ("<pad>", "<PAD>", "[PAD]"),
    "cls_token": ("[CLS]", "<cls>", "<CLS>"),
    "mask_token": ("[MASK]", "<mask>", "<MASK>"),
}
_CONFIGURED: Final = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises TokenizerNotLoaded if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TokenizerNotLoaded(f"Cannot read '{path}': {error.strerror}") from error


def parse_object(raw: bytes, name: str) -> dict[str, object]:
    """A JSON object. Raises TokenizerInvalid, naming the file."""
    try:
        value: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TokenizerInvalid(f"{name} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise TokenizerInvalid(f"{name} is not a JSON object")
    return value


def tokenizer_config(directory: Path) -> dict[str, object]:
    """tokenizer_config.json, empty if there is none. Raises TokenizerInvalid if it is damaged."""
    path = directory / "tokenizer_config.json"
    return parse_object(read_bytes(path), path.name) if path.is_file() else {}


def lenient_object(path: Path) -> dict[str, object]:
    """A file that only adds to what is known: empty, with a log line, if it is damaged."""
    if not path.is_file():
        return {}
    try:
        return parse_object(read_bytes(path), path.name)
    except (TokenizerInvalid, TokenizerNotLoaded) as error:
        _LOG.warning("model file ignored: %s", error)
        return {}


def model_eos_ids(directory: Path) -> tuple[int, ...]:
    """The ids that end an answer, out of config.json and generation_config.json."""
    names = ("config.json", "generation_config.json")
    return eos_token_ids(*(lenient_object(directory / name) for name in names))


def token_text(value: object) -> str | None:
    """A special token as configurations write it: its text, or an object with `content`."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def vocabulary_special_tokens(
    config: Mapping[str, object],
    token_to_id: Callable[[str], int | None],
    additional: Iterable[str],
) -> SpecialTokens:
    """Special tokens for tokenizer.json: those configured, else the usual ones it has."""
    found: dict[str, str] = {}
    for name, texts in _USUAL_TEXTS.items():
        text = token_text(config.get(name)) if name in _CONFIGURED else None
        if text is None:
            text = next((usual for usual in texts if token_to_id(usual) is not None), None)
        if text is not None:
            found[name] = text
    return SpecialTokens(**found, additional=tuple(additional))


def configured_special_tokens(config: Mapping[str, object]) -> SpecialTokens:
    """Special tokens for tiktoken files: exactly those that tokenizer_config.json names."""
    texts = {name: token_text(config.get(name)) for name in NAMED_TOKENS}
    listed = config.get("additional_special_tokens")
    additional = map(token_text, listed if isinstance(listed, list) else ())
    return SpecialTokens(
        **{name: text for name, text in texts.items() if text is not None},
        additional=tuple(text for text in additional if text is not None),
    )
