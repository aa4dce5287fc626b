"""A worker's bundle is checked before it is unpacked, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from smg_tokenizer import (
    BundleChunk,
    BundleInvalid,
    BundleReader,
    bundle,
    load_bundle,
    load_path,
    read_bundle,
    unpack_bundle,
)

from .small_models import byte_level_layout, write_folder


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def chunks(data: bytes, fingerprint: str | None = None) -> list[BundleChunk]:
    fingerprint = hashlib.sha256(data).hexdigest() if fingerprint is None else fingerprint
    half = len(data) // 2
    return [BundleChunk(data[:half]), BundleChunk(data[half:], fingerprint)]


@pytest.fixture
def tokenizer_zip(tmp_path: Path) -> bytes:
    folder = write_folder(tmp_path / "model", {"tokenizer.json": byte_level_layout()})
    return packed({"tokenizer.json": (folder / "tokenizer.json").read_bytes()})


def test_a_tokenizer_is_loaded_out_of_a_bundle(tokenizer_zip: bytes) -> None:
    seen: list[Path] = []

    def load(folder: Path) -> int:
        seen.append(folder)
        return len(load_path(folder).encode("abc").ids)

    assert load_bundle(read_bundle(chunks(tokenizer_zip)), load) == 3
    assert not seen[0].exists()


def test_files_may_lie_in_one_folder(tmp_path: Path) -> None:
    folder = unpack_bundle(packed({"model/a.json": b"1", "model/b.json": b"2"}), tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "b.json"]


def test_the_fingerprint_may_be_in_capitals(tokenizer_zip: bytes) -> None:
    upper = hashlib.sha256(tokenizer_zip).hexdigest().upper()
    assert read_bundle(chunks(tokenizer_zip, upper)) == tokenizer_zip


def test_a_stream_without_a_fingerprint_is_refused() -> None:
    with pytest.raises(BundleInvalid, match="without terminal sha256 fingerprint"):
        read_bundle([BundleChunk(b"abc")])


def test_a_wrong_fingerprint_is_refused(tokenizer_zip: bytes) -> None:
    with pytest.raises(BundleInvalid, match="does not match"):
        read_bundle(chunks(tokenizer_zip, "0" * 64))


def test_chunks_after_the_last_one_are_refused(tokenizer_zip: bytes) -> None:
    reader = BundleReader()
    for chunk in chunks(tokenizer_zip):
        reader.feed(chunk)
    with pytest.raises(BundleInvalid, match="went on"):
        reader.feed(BundleChunk(b"more"))


def test_a_stream_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_PACKED_BYTES", 10)
    with pytest.raises(BundleInvalid, match="exceeds 10 bytes"):
        read_bundle([BundleChunk(b"x" * 11)])


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "C:\\x", "..\\x", "\\x"])
def test_paths_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="unsafe path"):
        unpack_bundle(packed({name: b"x"}), tmp_path / "inside")


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="more than 50 entries"):
        unpack_bundle(packed({f"{i}.json": b"" for i in range(51)}), tmp_path)


def test_more_than_was_promised_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAX_UNPACKED_BYTES", 1_000)
    with pytest.raises(BundleInvalid, match="unpacks to over 1000 bytes"):
        unpack_bundle(packed({"a": b"0" * 600, "b": b"0" * 600}), tmp_path)


@pytest.mark.parametrize("data", [b"", b"no zip", packed({"a": b"abc" * 99})[:-30]])
def test_damaged_zips_are_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(BundleInvalid, match="no readable zip"):
        unpack_bundle(data, tmp_path)


def test_an_entry_that_comes_twice_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", b"2")
    with pytest.raises(BundleInvalid):
        unpack_bundle(out.getvalue(), tmp_path)
