"""What the tests of renderers share: the reference implementation of Harmony."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _byte_of_letter() -> dict[str, int]:
    """The letters that byte-level vocabularies write bytes with."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    letters, spare = {}, 256
    for byte in range(256):
        letters[chr(byte if byte in printable else spare)] = byte
        spare += byte not in printable
    return letters


@pytest.fixture(scope="session")
def harmony(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The `openai_harmony` module and its encoding, its vocabulary made from gpt-oss' own."""
    module = pytest.importorskip("openai_harmony")
    cache = Path(os.environ.get("SMG_TOKENIZERS", Path.home() / ".cache" / "smg-tokenizers"))
    source = cache / "gptoss" / "tokenizer.json"
    if not source.is_file():
        pytest.skip("no tokenizer of gpt-oss: run scripts/fetch_tokenizers.py")
    vocabulary = json.loads(source.read_text("utf-8"))["model"]["vocab"]
    letters = _byte_of_letter()
    folder = tmp_path_factory.mktemp("harmony")
    with (folder / "o200k_base.tiktoken").open("wb") as file:
        for word, rank in sorted(vocabulary.items(), key=lambda entry: int(entry[1])):
            token = base64.b64encode(bytes(letters[letter] for letter in word))
            file.write(token + b" %d\n" % rank)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_ENCODINGS_BASE", str(folder))
        encoding = module.load_harmony_encoding(module.HarmonyEncodingName.HARMONY_GPT_OSS)
    yield module, encoding
