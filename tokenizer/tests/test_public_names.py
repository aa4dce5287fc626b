"""The door: its names are frozen, documented, and cost little to open."""

from __future__ import annotations

import subprocess
import sys

import pytest
import smg_tokenizer

NAMES = (
    "AsyncEncoder",
    "BundleChunk",
    "BundleInvalid",
    "BundleReader",
    "CacheLimits",
    "CacheStatistics",
    "CachedTokenizer",
    "ChatRenderer",
    "ChatTemplate",
    "ContentFormat",
    "DecodeStream",
    "EncodePath",
    "Encoding",
    "HubClient",
    "RenderOptions",
    "RenderingFailed",
    "Segmenter",
    "SpecialTokens",
    "StopSequenceDecoder",
    "StopSequences",
    "TemplateError",
    "TemplateInvalid",
    "TemplateMissing",
    "ThinkingToggle",
    "TokenIdInvalid",
    "Tokenizer",
    "TokenizerEntry",
    "TokenizerError",
    "TokenizerExists",
    "TokenizerInvalid",
    "TokenizerNotLoaded",
    "TokenizerRegistry",
    "create_tokenizer",
    "download_tokenizer",
    "encode_chat",
    "eos_token_ids",
    "load_bundle",
    "load_chat_renderer",
    "load_path",
    "prepare_messages",
    "published_encoding",
    "read_bundle",
    "unpack_bundle",
)
# Aliases of literal types, which cannot carry a docstring.
ALIASES = {"ContentFormat", "EncodePath", "ThinkingToggle"}
HEAVY = ("tokenizers", "tiktoken", "jinja2", "huggingface_hub", "transformers")


def test_the_public_names_are_these() -> None:
    assert smg_tokenizer.__all__ == NAMES


def test_every_public_name_says_what_it_is() -> None:
    assert all(getattr(smg_tokenizer, name).__doc__ for name in NAMES if name not in ALIASES)


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = smg_tokenizer.nothing


def modules_after(code: str) -> set[str]:
    check = f"import sys, smg_tokenizer; {code}; print(*(m for m in {HEAVY} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_loads_no_library() -> None:
    assert modules_after("pass") == set()


def test_a_published_encoding_loads_only_its_engine() -> None:
    code = "smg_tokenizer.create_tokenizer('gpt-4')"
    assert modules_after(code) <= {"tiktoken", "jinja2"}
