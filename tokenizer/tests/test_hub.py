"""Only a repository's tokenizer files are downloaded, and failures say what failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from smg_tokenizer import HubClient, TokenizerNotLoaded, create_tokenizer, download_tokenizer
from smg_tokenizer.hub import wanted_files

from .small_models import byte_level_layout, write_folder


class FolderHub:
    """A hub that is a folder; `broken` names cannot be downloaded."""

    def __init__(self, folder: Path, broken: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.broken = broken
        self.downloaded: list[str] = []

    def files(self, repository: str) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def download(self, repository: str, file: str) -> Path:
        if file in self.broken:
            raise OSError("connection lost")
        self.downloaded.append(file)
        return self.folder / file


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files: dict[str, object] = {
        "tokenizer.json": byte_level_layout(),
        "tokenizer_config.json": {},
        "config.json": {"eos_token_id": 3},
    }
    folder = write_folder(tmp_path / "repository", files)
    for name in ("README.md", "model.safetensors", "logo.png", "chat_template.jinja"):
        (folder / name).write_text("x")
    return folder


def test_tokenizer_files_and_nothing_else_are_wanted() -> None:
    names = ["LICENSE", "README.md", "tokenizer.json", "a/merges.txt", "model.safetensors",
             "vocab.json", "chat_template.json", "x.jinja", "spiece.model", "qwen.tiktoken",
             "config.json", "pytorch_model.bin", "special_tokens_map.json", "logo.jpeg"]  # fmt: skip
    assert wanted_files(names) == ["tokenizer.json", "a/merges.txt", "vocab.json",
                                   "chat_template.json", "x.jinja", "spiece.model",
                                   "qwen.tiktoken", "special_tokens_map.json"]  # fmt: skip


def test_a_repository_is_downloaded_and_loaded(repository: Path) -> None:
    hub = FolderHub(repository)
    tokenizer = create_tokenizer("org/name", download=lambda name: download_tokenizer(name, hub))
    assert tokenizer.encode("a").ids == (97,)
    assert tokenizer.eos_token_ids == (3,)
    assert hub.downloaded == [
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
        "config.json",
    ]


def test_the_configuration_may_be_missing(repository: Path) -> None:
    hub = FolderHub(repository, broken=("config.json",))
    assert download_tokenizer("org/name", hub) == repository


def test_a_tokenizer_file_may_not(repository: Path) -> None:
    hub = FolderHub(repository, broken=("tokenizer.json",))
    with pytest.raises(TokenizerNotLoaded, match=r"file 'tokenizer.json' from model 'org/name'"):
        download_tokenizer("org/name", hub)


def test_a_repository_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    hub: HubClient = FolderHub(tmp_path)
    with pytest.raises(TokenizerNotLoaded, match="No tokenizer files found for model 'a/b'"):
        download_tokenizer("a/b", hub)


def test_files_below_original_belong_to_the_folder_above(tmp_path: Path) -> None:
    write_folder(tmp_path / "original", {"tokenizer.json": byte_level_layout()})
    assert download_tokenizer("a/b", FolderHub(tmp_path)) == tmp_path


def test_offline_only_what_is_here_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TokenizerNotLoaded, match="Failed to fetch model 'org/name'"):
        create_tokenizer("org/name")


def test_offline_a_cached_snapshot_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    revision = "0" * 40
    model = tmp_path / "models--org--name"
    write_folder(model / "snapshots" / revision, {"tokenizer.json": byte_level_layout()})
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(revision)
    assert create_tokenizer("org/name").encode("b").ids == (98,)
