"""What a name, a folder or a file is, and what is said where it is nothing that can be loaded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from smg_tokenizer import (
    Encoding,
    RenderOptions,
    SpecialTokens,
    TemplateInvalid,
    TemplateMissing,
    Tokenizer,
    TokenizerError,
    TokenizerInvalid,
    TokenizerNotLoaded,
    create_tokenizer,
    eos_token_ids,
    load_path,
    published_encoding,
)
from smg_tokenizer.backends.tiktoken import PUBLISHED, load_published

from .small_models import byte_level_layout, write_folder, write_json, write_ranks

Load = Callable[[str], Tokenizer]
USER = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("name", ["mock", "test"])
def test_the_mock_has_its_fixed_vocabulary(name: str) -> None:
    tokenizer = create_tokenizer(name)
    assert tokenizer.encode("Hello world other . <eos>").ids == (1, 2, 6, 999)
    assert tokenizer.decode([1000, 1, 2, 999, 1002]) == "Hello world <|im_end|>"
    assert tokenizer.decode([1, 999], skip_special_tokens=False) == "Hello <eos>"
    assert (tokenizer.vocab_size, tokenizer.eos_token_ids) == (14, (999,))
    assert (tokenizer.token_to_id("user"), tokenizer.id_to_token(8)) == (8, "user")
    assert tokenizer.encode_path == "mock"
    with pytest.raises(TemplateMissing, match="chat_template is not set"):
        tokenizer.apply_chat_template(USER)


def test_a_folder_is_loaded_by_what_it_holds(load: Load) -> None:
    assert load("bpe").encode("hello world").ids == (259, 261, 262, 100)
    assert load("qwen2vm").encode("abc<tool>").ids == (257, 266)
    assert load("tk_cl100k").encode("abc<|y|>").ids == (257, 275)


def test_a_tokenizer_json_goes_before_other_files(tmp_path: Path) -> None:
    write_ranks(tmp_path, ["ab"])
    write_json(tmp_path / "tokenizer.json", byte_level_layout())
    assert load_path(tmp_path).encode("ab").ids == (97, 98)


def test_a_file_is_loaded_by_its_name_or_its_content(models: Path, tmp_path: Path) -> None:
    raw = (models / "bpe" / "tokenizer.json").read_bytes()
    (tmp_path / "sniffed").write_bytes(b"\xef\xbb\xbf\n" + raw)
    named = load_path(models / "bpe" / "tokenizer.json")
    assert named.encode("hello").ids == (259,)
    with pytest.raises(TokenizerInvalid):
        load_path(tmp_path / "sniffed")
    (tmp_path / "sniffed").write_bytes(b"\n  " + raw)
    assert load_path(tmp_path / "sniffed").encode("hello").ids == (259,)
    write_ranks(tmp_path, ["ab"], "own.tiktoken")
    assert load_path(tmp_path / "own.tiktoken").encode("ab").ids == (256,)


REFUSED = {
    "x.gguf": (b"", "GGUF format not yet supported"),
    "x.model": (b"\x0a\x09abc", "SentencePiece models not yet supported"),
    "gguf": (b"GGUF....", "GGUF format not yet supported"),
    "pieces": (b"\x0a\x09" + b"x" * 12, "SentencePiece models not yet supported"),
    "marks": (b"0123456789<unk>", "SentencePiece models not yet supported"),
    "short": (b"<unk>", "Unable to determine tokenizer type for file"),
    "text": (b"hello there, world", "Unable to determine tokenizer type for file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_of_other_kinds_are_refused(name: str, tmp_path: Path) -> None:
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TokenizerNotLoaded, match=message):
        create_tokenizer(str(tmp_path / name))


def test_what_is_not_there_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", Path("nothing/tokenizer.json")):
        with pytest.raises(TokenizerNotLoaded, match="File not found"):
            create_tokenizer(str(path))
    with pytest.raises(TokenizerNotLoaded, match="does not contain a valid tokenizer file"):
        create_tokenizer(str(tmp_path))
    with pytest.raises(TokenizerNotLoaded, match="Downloaded model 'a/b' but couldn't find"):
        create_tokenizer("a/b", download=lambda name: tmp_path)


DAMAGED: dict[str, dict[str, Any]] = {
    "no json": {"tokenizer.json": "{"},
    "no object": {"tokenizer.json": "[]"},
    "no tokenizer": {"tokenizer.json": "{}"},
    "no config": {"tokenizer.json": json.dumps(byte_level_layout()), "tokenizer_config.json": "["},
    "no base64": {"tiktoken.model": "%%% 1"},
    "no rank": {"tiktoken.model": "YQ=="},
    "no lines": {"tiktoken.model": "\n"},
    "a rank twice": {"tiktoken.model": "YQ== 1\nYg== 1"},
    "other class": {
        "vocab.json": "{}",
        "merges.txt": "",
        "tokenizer_config.json": '{"tokenizer_class": "GPT2Tokenizer"}',
    },
    "no class": {"vocab.json": "{}", "merges.txt": ""},
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_files_are_a_typed_error(what: str, tmp_path: Path) -> None:
    for name, text in DAMAGED[what].items():
        (tmp_path / name).write_text(text)
    with pytest.raises(TokenizerInvalid):
        load_path(tmp_path)


@pytest.mark.parametrize(
    "added",
    [
        {"300": {"content": "<gap>"}},
        {"x": {"content": "<a>"}},
        {"264": {}},
        {"264": {"content": "<a>"}, "0264": {"content": "<b>"}},
    ],
    ids=str,
)
def test_added_tokens_out_of_order_are_refused(added: object, models: Path, tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((models / "qwen2vm" / name).read_bytes())
    config = {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added}
    write_json(tmp_path / "tokenizer_config.json", config)
    with pytest.raises(TokenizerInvalid):
        load_path(tmp_path)


def test_added_tokens_that_leave_a_gap_are_named(models: Path, tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((models / "qwen2vm" / name).read_bytes())
    config = {
        "tokenizer_class": "Qwen2TokenizerFast",
        "added_tokens_decoder": {"300": {"content": "<gap>"}},
    }
    write_json(tmp_path / "tokenizer_config.json", config)
    with pytest.raises(TokenizerInvalid, match="non-contiguous explicit added-token IDs"):
        load_path(tmp_path)


def test_bos_and_eos_are_added_where_the_configuration_asks(load: Load) -> None:
    tokenizer = load("bosT")
    assert tokenizer.encode("a").ids == (97,)
    assert tokenizer.encode("a", add_special_tokens=True).ids == (259, 97, 260)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"add_bos_token": True}, (259, 97)),
        ({"add_eos_token": True}, (97, 260)),
        ({"add_bos_token": False}, (97,)),
        ({"add_bos_token": True, "bos_token": "<none>"}, (97,)),
        ({}, (97,)),
    ],
    ids=str,
)
def test_what_is_added_follows_the_configuration(
    config: dict[str, object], expected: tuple[int, ...], tmp_path: Path
) -> None:
    files = {"tokenizer.json": byte_level_layout(), "tokenizer_config.json": config}
    tokenizer = load_path(write_folder(tmp_path, files))
    assert tokenizer.encode("a", add_special_tokens=True).ids == expected


def test_special_tokens_are_the_configured_ones_else_the_usual_ones(load: Load) -> None:
    special = load("bpe").special_tokens
    assert special.eos_token == "<|im_end|>"
    assert special.bos_token == "<s>"
    assert "<think>" in special.additional
    assert special.named() == {"bos_token": "<s>", "eos_token": "<|im_end|>"}
    assert SpecialTokens(pad_token="", additional=("<a>",)).texts() == {"<a>"}


def test_a_tiktoken_vocabulary_has_the_tokens_its_configuration_names(tmp_path: Path) -> None:
    write_ranks(tmp_path, [])
    added = {"256": {"content": "<a>"}, "257": "<b>"}
    config = {
        "added_tokens_decoder": added,
        "eos_token": {"content": "<a>"},
        "additional_special_tokens": ["<b>", {"content": "<a>"}, 3],
    }
    write_json(tmp_path / "tokenizer_config.json", config)
    tokenizer = load_path(tmp_path)
    assert tokenizer.special_tokens.named() == {"eos_token": "<a>"}
    assert tokenizer.special_tokens.additional == ("<b>", "<a>")
    assert tokenizer.encode("x<a><b>").ids == (120, 256, 257)
    assert (tokenizer.vocab_size, tokenizer.token_to_id("x")) == (258, 120)
    assert (tokenizer.id_to_token(256), tokenizer.id_to_token(0xFF)) == ("<a>", None)


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": {"model_type": "kimi_k2"}},
        {
            "tokenizer_config.json": {
                "auto_map": {"AutoTokenizer": ["tokenization_kimi.Kimi", None]}
            }
        },
    ],
    ids=["model type", "code"],
)
def test_a_kimi_vocabulary_has_its_reserved_tokens(
    files: dict[str, object], tmp_path: Path
) -> None:
    write_ranks(write_folder(tmp_path, files), ["你好"])
    tokenizer = load_path(tmp_path)
    assert tokenizer.encode("你好<|reserved_token_300|>").ids == (256, 300)
    assert tokenizer.vocab_size == 257 + 256


def test_end_tokens_are_the_union_of_both_configurations(load: Load) -> None:
    assert load("bpe").eos_token_ids == (257, 258, 999)
    assert eos_token_ids({"eos_token_id": [3, 1, True, "x", -1]}, {"eos_token_id": 1}) == (1, 3)
    assert eos_token_ids({}, {"eos_token_id": None}) == ()


def test_a_damaged_model_configuration_is_passed_over(tmp_path: Path) -> None:
    write_json(tmp_path / "tokenizer.json", byte_level_layout())
    (tmp_path / "config.json").write_text("{")
    assert load_path(tmp_path).eos_token_ids == ()


def test_a_chat_is_rendered_by_the_models_template(load: Load) -> None:
    tokenizer = load("chatml")
    prompt = tokenizer.apply_chat_template(USER)
    assert prompt == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    options = RenderOptions(add_generation_prompt=False)
    assert tokenizer.apply_chat_template(USER, options) == "<|im_start|>user\nhi<|im_end|>\n"


def test_a_template_that_is_given_goes_first_and_can_be_replaced(
    models: Path, tmp_path: Path
) -> None:
    file = tmp_path / "own.jinja"
    file.write_text("own {{ messages[0].content }}")
    tokenizer = load_path(models / "chatml", chat_template=file)
    assert tokenizer.apply_chat_template(USER) == "own hi"
    tokenizer.set_chat_template("{{ eos_token }}")
    assert tokenizer.apply_chat_template(USER) == "<|im_end|>"
    with pytest.raises(TemplateInvalid):
        tokenizer.set_chat_template("{% if %}")


MODEL_ENCODINGS = {
    "o200k_base": [
        "gpt-4o",
        "openai/gpt-4o-mini",
        "gpt-4.5",
        "gpt-5",
        "o1",
        "o3-mini",
        "chatgpt-x",
    ],
    "cl100k_base": ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "text-embedding-ada-002"],
    "p50k_base": ["text-davinci-003", "code-davinci-002", "code-cushman-001"],
    "p50k_edit": ["text-davinci-edit-001", "code-davinci-edit-001"],
    "r50k_base": ["davinci", "ada", "text-davinci-001", "text-curie-001"],
}


@pytest.mark.parametrize("encoding", MODEL_ENCODINGS)
def test_openai_models_have_their_published_encoding(encoding: str) -> None:
    assert {published_encoding(name) for name in MODEL_ENCODINGS[encoding]} == {encoding}


@pytest.mark.parametrize("name", ["gpt-oss-20b", "openai/gpt-oss", "gpt2", "olmo", "o", "adapter"])
def test_other_models_have_none(name: str) -> None:
    assert published_encoding(name) is None


KNOWN_IDS = {
    "o200k_base": (200019, (24912, 2375, 0, 199999)),
    "o200k_harmony": (201088, (24912, 2375, 0, 199999)),
    "cl100k_base": (100256, (15339, 1917, 0, 100257)),
    "p50k_base": (50281, (31373, 995, 0, 50256)),
    "p50k_edit": (50284, (31373, 995, 0, 50256)),
    "r50k_base": (50257, (31373, 995, 0, 50256)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_encodings_need_no_file(name: str) -> None:
    tokenizer = load_published(name)
    vocab_size, ids = KNOWN_IDS[name]
    assert tokenizer.encode("hello world!<|endoftext|>") == Encoding(ids)
    assert tokenizer.vocab_size == vocab_size
    assert tokenizer.decode(ids) == "hello world!"


def test_harmony_has_its_channel_tokens() -> None:
    tokenizer = load_published("o200k_harmony")
    assert tokenizer.encode("<|start|><|channel|><|return|><|reserved_201000|>").ids == (
        200006,
        200005,
        200002,
        201000,
    )


def test_a_run_of_white_space_no_engine_takes_is_a_typed_error(tmp_path: Path) -> None:
    write_ranks(tmp_path, [])
    with pytest.raises(TokenizerError, match="white space"):
        load_path(tmp_path).encode(" " * 100_000)


def test_ranks_without_all_bytes_are_refused(
    tmp_path: Path,
) -> None:
    line = base64.b64encode(b"a").decode() + " 0\n"
    (tmp_path / "tiktoken.model").write_text(line)
    with pytest.raises(TokenizerInvalid, match="bytes"):
        load_path(tmp_path)
