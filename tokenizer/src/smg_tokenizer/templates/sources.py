"""Where a model's chat template comes from, and who renders in its stead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import TemplateInvalid
from ..renderers import native_renderer
from ..renderers.contract import ChatRenderer, JsonObject
from .template import BrokenTemplate, ChatTemplate, TemplateChoice

__all__ = ("load_chat_renderer", "read_template_file")

Backend = Literal["huggingface", "tiktoken"]
# A template as it is written: one text, or several under the names that transformers gives them.
Source = str | Mapping[str, str]


def load_chat_renderer(
    directory: Path,
    *,
    special_tokens: Mapping[str, str],
    backend: Backend,
    tokenizer_config: Mapping[str, object],
    chat_template: Path | None = None,
) -> ChatRenderer | None:
    """The renderer of the model in `directory`, or None if it has no template.

    A template named by the caller comes first and must be good: `TemplateInvalid`. One found beside
    the tokenizer that does not parse gives a renderer that says so when it is used.
    """
    if chat_template is not None:
        return _renderer(read_template_file(chat_template), special_tokens)
    config = _read_config(directory / "config.json")
    found = _lenient(directory, special_tokens, backend, tokenizer_config)
    return native_renderer(config, backend, found) or found


def _lenient(
    directory: Path,
    special_tokens: Mapping[str, str],
    backend: Backend,
    tokenizer_config: Mapping[str, object],
) -> ChatRenderer | None:
    try:
        for source in _sources(directory, backend, tokenizer_config):
            return _renderer(source, special_tokens)
    except TemplateInvalid as error:
        return BrokenTemplate(error)
    return None


def _sources(
    directory: Path, backend: Backend, tokenizer_config: Mapping[str, object]
) -> Iterator[Source]:
    configured = _named(tokenizer_config.get("chat_template"))
    if backend == "tiktoken" and configured is not None:
        yield configured
    for name in ("chat_template.jinja", "chat_template.json"):
        if (directory / name).is_file():
            yield read_template_file(directory / name)
    if configured is not None:
        yield configured
    if directory.is_dir():
        for path in sorted(directory.glob("*.jinja")):
            yield read_template_file(path)


def read_template_file(path: Path) -> Source:
    """The template in a file: JSON with a `chat_template`, or plain text.

    Raises `TemplateInvalid` if the file can not be read or holds no template.
    """
    try:
        raw = path.read_bytes()
        if path.suffix == ".json":
            value: object = msgspec.json.decode(raw)
            if isinstance(value, dict):
                value = value.get("chat_template")
            source = _named(value)
            if source is None:
                raise TemplateInvalid(f"{path.name} holds no chat_template")
            return source
        # Some files carry line ends as two characters; in a string literal both mean the same.
        return raw.decode().strip().replace("\\n", "\n")
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise TemplateInvalid(f"chat template {path.name} can not be read: {error}") from error


def _named(value: object) -> Source | None:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        texts = {name: text for name, text in value.items() if isinstance(text, str)}
        return texts if "default" in texts else None
    if isinstance(value, list):
        texts = {}
        for entry in value:
            match entry:
                case {"name": str(name), "template": str(text)}:
                    texts[name] = text
        return texts if "default" in texts else None
    return None


def _renderer(source: Source, special_tokens: Mapping[str, str]) -> ChatRenderer:
    if isinstance(source, str):
        return ChatTemplate(source, special_tokens)
    default = ChatTemplate(source["default"], special_tokens)
    if "tool_use" not in source:
        return default
    return TemplateChoice(default, ChatTemplate(source["tool_use"], special_tokens))


def _read_config(path: Path) -> JsonObject:
    """The model's config.json. Missing or broken ones select no native renderer, as documented."""
    try:
        value = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return value if isinstance(value, dict) else {}
