"""The law of streams: however the ids come, the texts joined are the text of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_tokenizer import DecodeStream, TokenIdInvalid, Tokenizer, load_path
from smg_tokenizer.decoding import BYTE_RUN_LIMIT_BYTES, RunStream, refuse_negative
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers

from .families import ALL_FAMILIES, family_folder
from .texts import texts

Load = Callable[[str], Tokenizer]


def streamed(stream: DecodeStream, ids: Sequence[int], cuts: Sequence[int]) -> str:
    """Feeds the ids in lists that end at these places."""
    borders = sorted({0, len(ids), *(cut % (len(ids) + 1) for cut in cuts)})
    parts = [stream.feed(ids[a:b]) for a, b in itertools.pairwise(borders)]
    return "".join(parts) + stream.finish()


@pytest.mark.parametrize("name", ALL_FAMILIES)
def test_a_stream_gives_what_decoding_all_ids_gives(name: str, family: Load) -> None:
    tokenizer = family(name)
    library = Library.from_file(str(family_folder(name) / "tokenizer.json"))
    known = st.integers(0, tokenizer.vocab_size + 300)

    @given(texts(tokenizer.special_tokens.texts()), st.lists(known, max_size=8), st.data())
    @settings(max_examples=60)
    def law(text: str, noise: list[int], data: st.DataObject) -> None:
        ids = [*tokenizer.encode(text).ids, *noise]
        cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=6))
        for skip in (True, False):
            whole = library.decode(ids, skip_special_tokens=skip)
            assert tokenizer.decode(ids, skip_special_tokens=skip) == whole
            stream = tokenizer.decode_stream(skip_special_tokens=skip)
            assert streamed(stream, ids, cuts) == whole

    law()


@pytest.mark.parametrize("name", ["qwen3", "gemma3", "llama2"])
def test_spaces_between_special_tokens_stream_as_they_decode(name: str, family: Load) -> None:
    tokenizer = family(name)
    special = [i for t in tokenizer.special_tokens.texts() if (i := tokenizer.token_to_id(t))]
    token = st.one_of(st.integers(0, tokenizer.vocab_size - 1), st.sampled_from(special))

    @given(st.lists(token, max_size=12), st.booleans())
    @settings(max_examples=60)
    def law(ids: list[int], skip: bool) -> None:
        options: dict[str, Any] = {
            "skip_special_tokens": skip,
            "spaces_between_special_tokens": True,
        }
        assert streamed(tokenizer.decode_stream(**options), ids, ()) == tokenizer.decode(
            ids, **options
        )

    law()


def test_a_space_stands_between_an_added_token_and_its_neighbours(load: Load) -> None:
    ids = [97, 256, 257, 98, 99]
    text = load("chatml").decode(ids, skip_special_tokens=False, spaces_between_special_tokens=True)
    assert text == "a <|im_start|> <|im_end|> bc"


def test_no_replacement_character_while_a_character_is_on_its_way(load: Load) -> None:
    stream = load("chatml").decode_stream()
    emoji = "🦀".encode()
    assert [stream.push(byte) for byte in emoji] == ["", "", "", "🦀"]


def test_bytes_that_are_no_utf8_are_replaced_as_soon_as_that_is_certain(load: Load) -> None:
    stream = load("chatml").decode_stream()
    assert [stream.push(0xE4), stream.push(0x41)] == ["", "\ufffdA"]
    assert stream.push(0xFF) == "\ufffd"


def test_an_incomplete_character_at_the_end_is_replaced_or_dropped(load: Load) -> None:
    tokenizer = load("chatml")
    for drop, expected in ((False, "\ufffd"), (True, "")):
        stream = tokenizer.decode_stream()
        assert stream.feed([97, 0xE4, 0xBD]) == "a"
        assert stream.finish(drop_incomplete=drop) == expected
        assert stream.feed([98]) == "b"


def test_a_prompt_is_context_that_is_not_given_out(load: Load) -> None:
    stream = load("chatml").decode_stream(prompt_ids=[97, 0xC3])
    assert stream.push(0xA9) == "é"


def test_unknown_ids_are_left_out_and_negative_ones_refused(load: Load) -> None:
    tokenizer = load("chatml")
    assert tokenizer.decode_stream().feed([97, 2**40, 98]) == "ab"
    with pytest.raises(TokenIdInvalid):
        tokenizer.decode_stream().push(-1)
    with pytest.raises(TokenIdInvalid):
        tokenizer.decode([-1])


def test_an_unknown_id_of_a_tiktoken_vocabulary_is_refused(load: Load) -> None:
    with pytest.raises(TokenIdInvalid, match="Invalid token for decoding: 999999"):
        load("tk_kimi").decode_stream().push(999_999)


def run_stream() -> RunStream:
    byte_tokens = {100 + byte: byte for byte in range(256)}
    return RunStream({1: " a", 2: "", 3: " "}, byte_tokens, refuse_negative, " ", 1)


def test_a_run_of_byte_tokens_is_text_when_it_ends() -> None:
    stream = run_stream()
    assert [stream.push(100 + byte) for byte in "é".encode()] == ["", ""]
    assert stream.push(1) == "é a"


def test_a_run_that_is_no_utf8_is_replaced_byte_by_byte() -> None:
    stream = run_stream()
    stream.feed(100 + byte for byte in "é".encode() + b"\xff")
    assert stream.push(1) == "\ufffd" * 3 + " a"


def test_a_long_run_is_given_out_before_it_ends() -> None:
    stream = run_stream()
    script = "ꙮ" * BYTE_RUN_LIMIT_BYTES
    early = stream.feed(100 + byte for byte in script.encode())
    assert early
    assert len((script.removeprefix(early)).encode()) <= BYTE_RUN_LIMIT_BYTES + 3
    assert early + stream.finish() == script


def test_only_the_whole_texts_first_space_is_taken_off() -> None:
    stream = run_stream()
    assert [stream.push(3), stream.push(1), stream.push(3)] == ["", " a", " "]
    stream.finish()
    assert stream.push(1) == "a"


def word_piece(folder: Path, cleanup: bool) -> Tokenizer:
    vocab = {"[UNK]": 0, "un": 1, "##able": 2, "to": 3, ".": 4, "é": 5, "##é": 6}
    library = Library(models.WordPiece(vocab, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.decoder = decoders.WordPiece(cleanup=cleanup)
    folder.mkdir()
    library.save(str(folder / "tokenizer.json"))
    return load_path(folder)


@pytest.mark.parametrize("cleanup", [True, False])
def test_word_pieces_stream_as_they_decode(cleanup: bool, tmp_path: Path) -> None:
    tokenizer = word_piece(tmp_path / "model", cleanup)
    ids = tokenizer.encode("unable to unéable.").ids
    stream = tokenizer.decode_stream()
    assert "".join(map(stream.push, ids)) + stream.finish() == tokenizer.decode(ids)
    assert tokenizer.encode_path == "tokenizers"


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
def test_meta_space_vocabularies_stream_as_they_decode(scheme: str, tmp_path: Path) -> None:
    pieces = [("<unk>", 0.0), ("▁", -3.0), ("▁a", -2.0), ("b", -2.5), ("▁▁", -4.0)]
    library = Library(models.Unigram(pieces, unk_id=0))
    library.decoder = decoders.Metaspace(prepend_scheme=scheme)
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_path(tmp_path)
    for ids in ([2, 3, 1, 4, 2], [4, 2], [3, 2], [1, 1, 3]):
        assert streamed(tokenizer.decode_stream(), ids, range(9)) == library.decode(ids)


def test_a_vocabulary_without_a_decoder_joins_with_spaces(tmp_path: Path) -> None:
    library = Library(models.WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_path(tmp_path)
    assert tokenizer.decode([0, 1, 9, 0]) == "a b a"
    assert streamed(tokenizer.decode_stream(), [0, 1, 9, 0], ()) == "a b a"
