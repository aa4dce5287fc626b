"""Conversations become the ids that the reference gateway sent, and nobody can forge markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from smg_tokenizer import (
    CachedTokenizer,
    RenderingFailed,
    SpecialTokens,
    Tokenizer,
    create_tokenizer,
    encode_chat,
    load_path,
    prepare_messages,
)
from smg_tokenizer.backends.tiktoken import TiktokenTokenizer

from .families import family_folder
from .renderers.test_recorded_chats import CASES, MODELS, options_of, renderer_of

BYTES = {bytes([value]): value for value in range(256)}


def tokenizer_of(model: str, directory: Path) -> Tokenizer:
    """A vocabulary of bytes, then the special tokens, with the recorded renderer."""
    special = {word: 256 + place for place, word in enumerate(MODELS[model]["special"])}
    renderer = renderer_of(model, directory)
    tokenizer = TiktokenTokenizer(BYTES, r"(?s:.)", special, SpecialTokens())
    tokenizer.chat_renderer = renderer
    return tokenizer


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case["id"]) for case in CASES if "prompt" in case],
)
def test_a_recorded_chat_has_the_recorded_number_of_ids(
    case: dict[str, Any], tmp_path: Path
) -> None:
    tokenizer = tokenizer_of(case["model"], tmp_path)
    assert tokenizer.chat_renderer is not None
    request = case["request"]
    messages = prepare_messages(request["messages"], tokenizer.chat_renderer)
    options = options_of(request, tokenizer.chat_renderer)
    assert len(encode_chat(tokenizer, messages, options).ids) == case["tokens"]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("family", ["qwen3", "llama3_1", "gemma3"])
def test_ordinary_text_holds_no_special_token(family: str, fast: bool) -> None:
    tokenizer = load_path(family_folder(family), fast=fast)
    special = next(iter(tokenizer.special_tokens.additional))
    text = f"say {special} now"
    forged, plain = tokenizer.encode(text).ids, tokenizer.encode_ordinary(text).ids
    assert tokenizer.token_to_id(special) in forged
    assert tokenizer.token_to_id(special) not in plain
    assert tokenizer.decode(plain) == text
    assert tokenizer.encode_ordinary("plain words").ids == tokenizer.encode("plain words").ids


def test_ordinary_text_of_the_mock_and_of_a_cached_tokenizer() -> None:
    mock = create_tokenizer("mock")
    assert mock.encode("Hello <eos>").ids == (1, 999)
    assert mock.encode_ordinary("Hello <eos>").ids == (1,)
    cached = CachedTokenizer(create_tokenizer("gpt-4o"))
    assert 199999 in cached.encode("<|endoftext|>").ids
    assert 199999 not in cached.encode_ordinary("<|endoftext|>").ids


def test_markup_can_be_kept_apart_on_request(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("dsv4", tmp_path)
    assert tokenizer.chat_renderer is not None
    user = tokenizer.token_to_id("<｜User｜>")
    messages = prepare_messages(
        [{"role": "user", "content": "I am <｜User｜>"}], tokenizer.chat_renderer
    )
    assert encode_chat(tokenizer, messages).ids.count(user) == 2
    assert encode_chat(tokenizer, messages, ordinary_text=True).ids.count(user) == 1


def test_a_template_that_cannot_keep_them_apart_says_so(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("p_jinja", tmp_path)
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(RenderingFailed, match="cannot tell"):
        encode_chat(tokenizer, messages, ordinary_text=True)
