"""The fast engine gives the ids of the library it replaces, or is not used."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from smg_tokenizer import Tokenizer, load_path
from smg_tokenizer.probe import corpus
from smg_tokenizer.split_patterns import CL100K, GPT2, QWEN2, engine_pattern
from tokenizers import Tokenizer as Library

from .families import BYTE_LEVEL, family_folder
from .small_models import byte_level_layout, write_folder
from .texts import texts

Load = Callable[[str], Tokenizer]
HELLO = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o")]


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_a_family_runs_on_the_fast_engine_with_equal_ids(name: str, family: Load) -> None:
    tokenizer = family(name)
    assert tokenizer.encode_path == "tiktoken"
    library = Library.from_file(str(family_folder(name) / "tokenizer.json"))

    @given(texts(tokenizer.special_tokens.texts()))
    @settings(max_examples=150)
    def equal(text: str) -> None:
        expected = library.encode(text, add_special_tokens=False).ids
        assert list(tokenizer.encode(text).ids) == expected

    equal()


@pytest.mark.parametrize("name", ["qwen3", "llama3", "deepseek_v3", "gptoss", "claude"])
def test_every_assigned_character_has_equal_ids_in_company(name: str, family: Load) -> None:
    tokenizer = family(name)
    library = Library.from_file(str(family_folder(name) / "tokenizer.json"))
    chars = [chr(point) for point in range(0x30000) if not 0xD800 <= point < 0xE000]
    blocks = [chars[start : start + 4096] for start in range(0, len(chars), 4096)]
    joined = [between.join(block) for block in blocks for between in (" ", "a", "\n1")]
    expected = library.encode_batch_fast(joined, add_special_tokens=False)
    for text, encoding in zip(joined, expected, strict=True):
        assert list(tokenizer.encode(text).ids) == encoding.ids


def test_special_tokens_that_the_post_processor_adds_are_added(family: Load) -> None:
    tokenizer = family("llama3_1")
    plain = tokenizer.encode("Hi").ids
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    assert tokenizer.encode("Hi", add_special_tokens=True).ids == (bos, *plain)


def test_a_text_that_must_be_normalized_goes_to_the_library(family: Load) -> None:
    tokenizer = family("qwen3")
    before = tokenizer.fallbacks.get("not_nfc", 0)
    assert tokenizer.encode("e\u0301").ids == tokenizer.encode("é").ids
    assert tokenizer.fallbacks["not_nfc"] == before + 1


def test_a_run_of_white_space_too_long_for_the_engine_goes_to_the_library(family: Load) -> None:
    tokenizer = family("llama3")
    text = "a" + " " * 1_200_000 + "b"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.fallbacks["piece_declined"] == 1


def loaded(folder: Path, change: Callable[[dict[str, Any]], object]) -> Tokenizer:
    """A small byte-level tokenizer, changed before it is written."""
    layout: dict[str, Any] = copy.deepcopy(byte_level_layout(HELLO))
    change(layout)
    return load_path(write_folder(folder, {"tokenizer.json": layout}))


def test_a_plain_vocabulary_is_converted(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, lambda layout: None)
    assert tokenizer.encode_path == "tiktoken"
    assert tokenizer.encode("hello<s>").ids == (259, 263)


def whole_words(layout: dict[str, Any], vocab_only: Sequence[str] = ()) -> None:
    layout["model"]["ignore_merges"] = True
    for token in vocab_only:
        layout["model"]["vocab"][token] = 900 + len(token)


def test_a_vocabulary_that_takes_whole_words_is_converted(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, whole_words)
    assert tokenizer.encode_path == "tiktoken"
    assert tokenizer.encode("hello").ids == (259,)


def test_whole_words_that_merges_cannot_make_are_left_to_the_library(tmp_path: Path) -> None:
    tokenizer = loaded(tmp_path, lambda layout: whole_words(layout, ["hex"]))
    assert tokenizer.encode_path == "tokenizers"
    assert tokenizer.encode("hex").ids == (903,)
    assert tokenizer.encode("hexa").ids == (256, 120, 97)


DECLINED: dict[str, Callable[[dict[str, Any]], object]] = {
    "merge order differs": lambda layout: layout["model"]["merges"].reverse(),
    "cannot be made": lambda layout: layout["model"]["merges"].pop(0),
    "lacks some bytes": lambda layout: layout["model"]["vocab"].pop("a"),
    "normalizer": lambda layout: layout.update(normalizer={"type": "Lowercase"}),
    "pre-tokenizer": lambda layout: layout.update(pre_tokenizer={"type": "Whitespace"}),
    "not atomic": lambda layout: layout["added_tokens"][0].update(lstrip=True),
    "truncates": lambda layout: layout.update(
        truncation={
            "max_length": 8,
            "strategy": "LongestFirst",
            "stride": 0,
            "direction": "Right",
        }
    ),
}


@pytest.mark.parametrize("reason", DECLINED)
def test_what_cannot_be_proved_stays_with_the_library(
    reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="smg_tokenizer"):
        tokenizer = loaded(tmp_path, DECLINED[reason])
    assert tokenizer.encode_path == "tokenizers"
    assert reason in caplog.text
    assert tokenizer.encode("o").ids


def test_the_library_is_kept_on_request(models: Path) -> None:
    assert load_path(models / "bpe", fast=False).encode_path == "tokenizers"


def test_lone_surrogates_count_as_replacement_characters(load: Load) -> None:
    for name in ("bpe", "tk_kimi", "T-gpt-4"):
        assert load(name).encode("a\ud800b").ids == load(name).encode("a\ufffdb").ids


def test_the_probe_holds_what_it_promises() -> None:
    probe = corpus()
    assert any("🦀" in text for text in probe)
    assert "\n" * 200 in probe
    assert len(probe) == len(corpus())


def split(regex: str, behavior: str = "Isolated", invert: bool = False) -> dict[str, object]:
    pattern = {"Regex": regex}
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def chain(*steps: object, use_regex: bool = False) -> dict[str, object]:
    last = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": use_regex}
    return {"type": "Sequence", "pretokenizers": [*steps, last]}


def test_single_splits_that_cover_all_characters_are_taken_as_they_are() -> None:
    assert engine_pattern(chain(split(CL100K))) == CL100K
    assert engine_pattern(chain(split(QWEN2, "Removed", True))) == QWEN2
    assert engine_pattern(chain(use_regex=True)) == GPT2


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        None,
        {"type": "Whitespace"},
        chain(split(r"\p{L}+|\s+")),
        chain(split(CL100K), split(QWEN2)),
        chain(split(CL100K, "MergedWithNext")),
        chain(split(CL100K), use_regex=True),
        {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True},
    ],
    ids=json.dumps,
)
def test_other_pre_tokenizers_are_not_imitated(pre_tokenizer: object) -> None:
    assert engine_pattern(pre_tokenizer) is None
