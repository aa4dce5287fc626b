"""Tokenizer files of a hub repository, through huggingface-hub (the extra `hub`).

That library reads HF_TOKEN, HF_HUB_OFFLINE, HF_HOME and HF_ENDPOINT itself; nothing is imported
or fetched before a download is asked for.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from .errors import TokenizerNotLoaded

_LOG: Final = logging.getLogger(__name__)

_IGNORED: Final = frozenset({
    ".gitattributes",
    "LICENSE",
    "LICENSE.txt",
    "README.md",
    "USE_POLICY.md",
})
_TOKENIZER_ENDINGS: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    ".model",
    ".tiktoken",
    ".jinja",
)
_BEST_EFFORT: Final = ("config.json", "generation_config.json")


class HubClient(Protocol):
    """The part of a hub that a download needs."""

    def files(self, repository: str) -> list[str]:
        """The repository's file names; those already here where the hub may not be asked."""
        ...

    def download(self, repository: str, file: str) -> Path:
        """Where the file is now on this machine."""
        ...


def wanted_files(names: Iterable[str]) -> list[str]:
    """Those of a repository's files that describe its tokenizer, in their order."""
    return [
        name
        for name in names
        if name not in _IGNORED
        and (name == "chat_template.json" or name.endswith(_TOKENIZER_ENDINGS))
    ]


def download_tokenizer(repository: str, client: HubClient | None = None) -> Path:
    """Bring a repository's tokenizer files here; the folder that holds them.

    config.json and generation_config.json come along if they can be had. Nothing is tried twice.
    Raises TokenizerNotLoaded.
    """
    try:
        hub = client or _installed_client()
        names = hub.files(repository)
    # Whatever goes wrong behind the client: network, access, no such repository, offline.
    except Exception as error:
        text = f"Failed to fetch model '{repository}' from HuggingFace: {error}"
        raise TokenizerNotLoaded(text) from error
    wanted = wanted_files(names)
    if not wanted:
        raise TokenizerNotLoaded(f"No tokenizer files found for model '{repository}'.")
    paths = [_required(hub, repository, name) for name in wanted]
    for name in _BEST_EFFORT:
        if name in names:
            _optional(hub, repository, name)
    return _folder(paths)


def _required(hub: HubClient, repository: str, name: str) -> Path:
    try:
        return hub.download(repository, name)
    # As above: any failure of the client fails the load.
    except Exception as error:
        text = f"Failed to download tokenizer file '{name}' from model '{repository}': {error}"
        raise TokenizerNotLoaded(text) from error


def _optional(hub: HubClient, repository: str, name: str) -> None:
    try:
        hub.download(repository, name)
    # Only end tokens and renderers are told apart by these; without them loading goes on.
    except Exception as error:  # noqa: BLE001
        _LOG.info("%s of %s could not be had: %s", name, repository, error)


def _folder(paths: list[Path]) -> Path:
    first = paths[0].parent
    if first.name == "original":
        return first.parent
    mains = ("tokenizer.json", "tokenizer_config.json")
    return next((path.parent for path in paths if path.name in mains), first)


def _installed_client() -> HubClient:
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise TokenizerNotLoaded(
            "downloads need the extra 'hub': pip install 'smg-tokenizer[hub]'"
        ) from error
    return _HuggingFaceHub()


class _HuggingFaceHub:
    """huggingface-hub, asked for one repository's files."""

    def __init__(self) -> None:
        # An empty variable is no token: then the client's own token file counts.
        self._token = os.environ.get("HF_TOKEN") or None

    def files(self, repository: str) -> list[str]:
        import huggingface_hub
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            folder = Path(huggingface_hub.snapshot_download(repository, local_files_only=True))
            found = (path for path in folder.rglob("*") if path.is_file())
            return sorted(str(PurePosixPath(path.relative_to(folder))) for path in found)
        return list(huggingface_hub.HfApi(token=self._token).list_repo_files(repository))

    def download(self, repository: str, file: str) -> Path:
        import huggingface_hub

        return Path(huggingface_hub.hf_hub_download(repository, file, token=self._token))
