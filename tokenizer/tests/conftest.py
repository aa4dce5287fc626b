"""Small tokenizers made for the tests, and real ones where this machine has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from smg_tokenizer import Tokenizer, create_tokenizer, load_path

from .families import family_folder
from .small_models import write_models

settings.register_profile("room", deadline=None)
settings.load_profile("room")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small tokenizer folders, one per name."""
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(scope="session")
def load(models: Path) -> Callable[[str], Tokenizer]:
    """The small tokenizer of a name; `T-` before a name means OpenAI's model of that name."""
    loaded: dict[str, Tokenizer] = {}

    def by_name(name: str) -> Tokenizer:
        if name not in loaded:
            published = name.startswith("T-")
            loaded[name] = (
                create_tokenizer(name.removeprefix("T-")) if published else load_path(models / name)
            )
        return loaded[name]

    return by_name


@pytest.fixture(scope="session")
def family() -> Callable[[str], Tokenizer]:
    """The real tokenizer of a family; the test is skipped where it has not been fetched."""
    loaded: dict[str, Tokenizer] = {}

    def by_name(name: str) -> Tokenizer:
        if name not in loaded:
            loaded[name] = load_path(family_folder(name))
        return loaded[name]

    return by_name
