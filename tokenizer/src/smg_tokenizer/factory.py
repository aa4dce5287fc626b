"""From a name or a path to a tokenizer: what a folder or a file holds, and who can load it."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from .backends.base import BaseTokenizer
from .backends.huggingface import load_tokenizer_json
from .backends.mock import MockTokenizer
from .backends.qwen2 import QWEN2_CLASSES, load_vocab_and_merges
from .backends.tiktoken import load_published, load_tiktoken_file
from .errors import TokenizerNotLoaded
from .hub import download_tokenizer
from .model_files import read_bytes, tokenizer_config

SNIFFED_BYTES: Final = 512
MOCK_NAMES: Final = frozenset({"mock", "test"})

_ENCODING_OF: Final[tuple[tuple[str, str], ...]] = (
    (r"gpt-4o.*|gpt-4\.[15].*|gpt-[5-9].*|chatgpt-.*|o\d(?:-.*)?", "o200k_base"),
    (r"gpt-4.*|gpt-3\.5.*|gpt-35.*|text-embedding-ada.*|gpt-\d.*", "cl100k_base"),
    (r"text-davinci-edit.*|code-davinci-edit.*", "p50k_edit"),
    (r"text-davinci-00[23]|code-davinci.*|code-cushman.*", "p50k_base"),
    (
        r"davinci|curie|babbage|ada|text-davinci.*|text-curie.*|text-babbage.*|text-ada.*",
        "r50k_base",
    ),
)


def create_tokenizer(
    name_or_path: str,
    *,
    chat_template: Path | None = None,
    download: Callable[[str], Path] = download_tokenizer,
    fast: bool = True,
) -> BaseTokenizer:
    """The tokenizer for a folder, a file, an OpenAI model's name or a hub repository.

    In this order: "mock", what exists on this machine, OpenAI's published encodings, the hub.
    `chat_template` is a file that goes before all other sources. `download` brings a repository's
    tokenizer files and answers with their folder. `fast=False` keeps to the tokenizers library.
    Blocks while it reads, downloads and converts: seconds at most for local files.

    Raises TokenizerNotLoaded, TokenizerInvalid, TemplateInvalid.
    """
    if name_or_path in MOCK_NAMES:
        return MockTokenizer()
    path = Path(name_or_path)
    if path.exists():
        return load_path(path, chat_template=chat_template, fast=fast)
    if path.suffix in {".json", ".model", ".tiktoken", ".gguf"} or path.is_absolute():
        raise TokenizerNotLoaded(f"File not found: {name_or_path}")
    encoding = published_encoding(name_or_path)
    if encoding is not None:
        return _with_template(load_published(encoding), path, "tiktoken", chat_template)
    directory = download(name_or_path)
    return load_directory(
        directory,
        chat_template=chat_template,
        fast=fast,
        nothing=f"Downloaded model '{name_or_path}' but couldn't find a suitable tokenizer file",
    )


def load_path(path: Path, *, chat_template: Path | None = None, fast: bool = True) -> BaseTokenizer:
    """The tokenizer in a folder or a file. Raises as `create_tokenizer` does."""
    if path.is_dir():
        return load_directory(path, chat_template=chat_template, fast=fast)
    if not path.exists():
        raise TokenizerNotLoaded(f"File not found: {path}")
    if file_kind(path) == "huggingface":
        tokenizer: BaseTokenizer = load_tokenizer_json(path, fast=fast)
        return _with_template(tokenizer, path.parent, "huggingface", chat_template)
    return _with_template(load_tiktoken_file(path), path.parent, "tiktoken", chat_template)


def load_directory(
    directory: Path,
    *,
    chat_template: Path | None = None,
    fast: bool = True,
    nothing: str | None = None,
) -> BaseTokenizer:
    """The tokenizer in a folder; `nothing` is the error's text where the folder has none.

    Raises as `create_tokenizer` does.
    """
    if (directory / "tokenizer.json").is_file():
        tokenizer: BaseTokenizer = load_tokenizer_json(directory / "tokenizer.json", fast=fast)
        return _with_template(tokenizer, directory, "huggingface", chat_template)
    vocab_and_merges = all((directory / name).is_file() for name in ("vocab.json", "merges.txt"))
    ranks = tiktoken_file(directory)
    if vocab_and_merges and (ranks is None or _is_qwen2(directory)):
        tokenizer = load_vocab_and_merges(directory, fast=fast)
        return _with_template(tokenizer, directory, "huggingface", chat_template)
    if ranks is not None:
        return _with_template(load_tiktoken_file(ranks), directory, "tiktoken", chat_template)
    raise TokenizerNotLoaded(
        nothing
        or f"Directory '{directory}' does not contain a valid tokenizer file "
        "(tokenizer.json, tiktoken.model, *.tiktoken, or vocab.json)"
    )


def tiktoken_file(directory: Path) -> Path | None:
    """A folder's file in tiktoken's format, if it has one."""
    named = directory / "tiktoken.model"
    if named.is_file():
        return named
    return next((path for path in sorted(directory.glob("*.tiktoken")) if path.is_file()), None)


def file_kind(path: Path) -> Literal["huggingface", "tiktoken"]:
    """What a tokenizer file is, by its name, else by how it begins. Raises TokenizerNotLoaded."""
    if path.suffix == ".json":
        return "huggingface"
    if path.name == "tiktoken.model" or path.suffix == ".tiktoken":
        return "tiktoken"
    head = read_bytes(path)[:SNIFFED_BYTES] if path.suffix not in {".model", ".gguf"} else b""
    if path.suffix == ".gguf" or head.startswith(b"GGUF"):
        raise TokenizerNotLoaded("GGUF format not yet supported")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}:
        return "huggingface"
    if path.suffix == ".model" or _looks_like_sentencepiece(head):
        raise TokenizerNotLoaded("SentencePiece models not yet supported")
    raise TokenizerNotLoaded(f"Unable to determine tokenizer type for file: {path}")


def published_encoding(model: str) -> str | None:
    """The encoding of an OpenAI model, by the last segment of its name; None for other models."""
    name = model.rstrip("/").rpartition("/")[2].lower()
    for pattern, encoding in _ENCODING_OF:
        if re.fullmatch(pattern, name):
            return encoding
    return None


def _looks_like_sentencepiece(head: bytes) -> bool:
    if len(head) < 12:
        return False
    marks = (b"<unk", b"<s>", b"</s>")
    return head.startswith((b"\x0a\x09", b"\x08\x00")) or any(mark in head for mark in marks)


def _is_qwen2(directory: Path) -> bool:
    return tokenizer_config(directory).get("tokenizer_class") in QWEN2_CLASSES


def _with_template(
    tokenizer: BaseTokenizer,
    directory: Path,
    backend: Literal["huggingface", "tiktoken"],
    chat_template: Path | None,
) -> BaseTokenizer:
    # Jinja is only needed by those who load a tokenizer with templates.
    from .templates import load_chat_renderer

    config: Mapping[str, object] = tokenizer_config(directory) if directory.is_dir() else {}
    tokenizer.chat_renderer = load_chat_renderer(
        directory,
        special_tokens=tokenizer.special_tokens.named(),
        backend=backend,
        tokenizer_config=config,
        chat_template=chat_template,
    )
    return tokenizer
