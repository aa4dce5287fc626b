"""Where the real tokenizers are that scripts/fetch_tokenizers.py brings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BYTE_LEVEL = (
    "qwen3",
    "llama3",
    "llama3_1",
    "deepseek_v3",
    "deepseek_v4",
    "gptoss",
    "gpt4o",
    "claude",
)
SENTENCE_PIECE = ("gemma3", "llama2")
ALL_FAMILIES = (*BYTE_LEVEL, *SENTENCE_PIECE)


def family_folder(name: str) -> Path:
    """The folder of a family; skips the test where there is none."""
    default = Path.home() / ".cache" / "smg-tokenizers"
    folder = Path(os.environ.get("SMG_TOKENIZERS") or default).expanduser() / name
    if not folder.is_dir():
        pytest.skip(f"the tokenizer of {name} is not here: run scripts/fetch_tokenizers.py")
    return folder
