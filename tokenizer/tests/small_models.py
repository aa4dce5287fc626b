"""Small byte-level vocabularies, written as model folders.

Ids 0 to 255 are the bytes, merged tokens follow, then the special tokens: an id can be read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

SPECIAL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<think>", "</think>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
RANK_TOKENS = (
    *("ab", "abc", " a", "12", "123", "1234", "你好", "好a", " 你", "'s", "\n\n", "  ", "   "),
    *(" !", "!!", "AB", "aB", "é"),
)


def _alphabet() -> dict[int, str]:
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}


ALPHABET = _alphabet()


def spelled(text: str) -> str:
    """A text in the byte-level alphabet."""
    return "".join(ALPHABET[byte] for byte in text.encode())


def vocabulary(merges: Sequence[tuple[str, str]]) -> dict[str, int]:
    vocab = {char: byte for byte, char in ALPHABET.items()}
    for left, right in merges:
        vocab[spelled(left + right)] = len(vocab)
    return vocab


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False))


def write_folder(folder: Path, files: Mapping[str, object]) -> Path:
    """A model folder of JSON files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        write_json(folder / name, value)
    return folder


def byte_level_layout(
    merges: Sequence[tuple[str, str]] = (), special: Sequence[str] = SPECIAL
) -> dict[str, object]:
    """A tokenizer.json without a split pattern, normalizer or post-processor."""
    vocab = vocabulary(merges)
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": len(vocab) + place, "content": text, "special": True, **flags}
            for place, text in enumerate(special)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": False,
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [[spelled(left), spelled(right)] for left, right in merges],
        },
    }


def write_ranks(folder: Path, tokens: Sequence[str], name: str = "tiktoken.model") -> None:
    """A file in tiktoken's format: the bytes, then these tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [bytes((byte,)) for byte in range(256)] + [token.encode() for token in tokens]
    lines = (f"{base64.b64encode(piece).decode()} {rank}\n" for rank, piece in enumerate(pieces))
    (folder / name).write_text("".join(lines))


def write_models(root: Path) -> None:
    """All small models: one folder per name."""
    hello = [
        ("h", "e"),
        ("l", "l"),
        ("he", "ll"),
        ("hell", "o"),
        (" ", "w"),
        (" w", "o"),
        ("r", "l"),
    ]
    write_folder(
        root / "bpe",
        {
            "tokenizer.json": byte_level_layout(hello),
            "tokenizer_config.json": {"eos_token": "<|im_end|>", "chat_template": CHAT_TEMPLATE},
            "config.json": {"eos_token_id": [257, 258]},
            "generation_config.json": {"eos_token_id": [258, 999]},
        },
    )
    write_folder(
        root / "chatml",
        {
            "tokenizer.json": byte_level_layout(special=SPECIAL[:3]),
            "tokenizer_config.json": {"eos_token": "<|im_end|>", "chat_template": CHAT_TEMPLATE},
            "config.json": {"architectures": ["Qwen2ForCausalLM"], "eos_token_id": 257},
        },
    )
    marks = {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True, "add_eos_token": True}
    write_folder(
        root / "bosT",
        {"tokenizer.json": byte_level_layout(), "tokenizer_config.json": marks},
    )
    for name, config in (("tk_cl100k", {}), ("tk_kimi", {"model_type": "kimi_k2"})):
        added = {
            str(274 + place): {"content": text, "special": True}
            for place, text in enumerate(("<|x|>", "<|y|>"))
        }
        files = {"tokenizer_config.json": {"added_tokens_decoder": added}, "config.json": config}
        write_ranks(write_folder(root / name, files), RANK_TOKENS)
    _write_qwen2(root / "qwen2vm")


def _write_qwen2(folder: Path) -> None:
    pairs = [("a", "b"), ("ab", "c"), (" ", "a"), ("1", "2"), ("\n", "\n"), (" ", " ")]
    pairs += [("'", "s"), ("!", "!")]
    added = {
        "264": {"content": "<|endoftext|>", "special": True},
        "265": {"content": "<|im_start|>", "special": True},
        "266": {"content": "<tool>", "special": False},
    }
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": "<|im_start|>",
        "added_tokens_decoder": added,
    }
    write_folder(folder, {"vocab.json": vocabulary(pairs), "tokenizer_config.json": config})
    merges = "\n".join(f"{spelled(left)} {spelled(right)}" for left, right in pairs)
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
