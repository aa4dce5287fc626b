"""A settings file as text: YAML or TOML to plain values, each with its line where it is known."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from smg_gateway.settings.errors import ConfigError, os_error_text

if TYPE_CHECKING:
    import yaml

__all__ = ("Entry", "read_document")

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 4
"""Levels of nesting: the document, a list, a list of lists, and one for good measure."""

_YAML_SUFFIXES = frozenset({".yaml", ".yml"})


class Entry(NamedTuple):
    """One key of the file, as written, and its value; `line` counts from 1, 0 is unknown."""

    key: str
    value: object
    line: int


def read_document(path: str) -> list[Entry]:
    """The top-level keys of a settings file in their order.

    Values are text, numbers, booleans, None, and lists of those or of such lists. Raises
    ConfigError, with file and line where they are known, for a file that cannot be read, is too
    large or nested too deeply, names a key twice, or is no mapping of plain values.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in _YAML_SUFFIXES and suffix != ".toml":
        raise ConfigError.at(path, 0, "a settings file is named *.yaml, *.yml or *.toml")
    text = _read(file)
    return _toml(path, text) if suffix == ".toml" else _yaml(path, text)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError.at(str(file), 0, f"cannot be read: {os_error_text(error)}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError.at(str(file), 0, f"larger than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError.at(str(file), line, "not UTF-8 text") from error


# --- TOML ------------------------------------------------------------------------------------


def _toml(path: str, text: str) -> list[Entry]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, _, where = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", where)
        line = int(found[1]) if found else text.count("\n") + 1
        raise ConfigError.at(path, line, reason) from error
    except RecursionError as error:
        raise ConfigError.at(path, 0, "nested too deeply") from error
    entries = [Entry(key, value, _toml_line(text, key)) for key, value in table.items()]
    for entry in entries:
        _check_plain(path, entry.line, entry.value, depth=1)
    return entries


def _toml_line(text: str, key: str) -> int:
    """Where a top-level key is set; the parser does not tell."""
    pattern = rf"""^\s*(?:\[\s*)?(["']?){re.escape(key)}\1\s*[=.\]]"""
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start(1)) + 1 if found else 0


def _check_plain(path: str, line: int, value: object, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise ConfigError.at(path, line, "nested too deeply")
    match value:
        case None | bool() | int() | float() | str():
            return
        case list():
            for item in value:
                _check_plain(path, line, item, depth + 1)
        case _:
            raise ConfigError.at(path, line, "expected a plain value or a list")


# --- YAML ------------------------------------------------------------------------------------


def _yaml(path: str, text: str) -> list[Entry]:
    import yaml  # Only those who use such a file pay for it.

    try:
        _check_depth(path, text)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            return [] if root is None else _yaml_entries(path, loader, root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        raise ConfigError.at(path, line, str(error.problem or error.context)) from error
    except yaml.YAMLError as error:
        raise ConfigError.at(path, 0, str(error).splitlines()[0]) from error


class _Mark(Protocol):
    @property
    def line(self) -> int: ...


def _line(mark: _Mark | None) -> int:
    return mark.line + 1 if mark is not None else 0


def _check_depth(path: str, text: str) -> None:
    """The composer recurses, so depth is looked at before it; and aliases could multiply."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError.at(path, _line(event.start_mark), "aliases are not taken")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ConfigError.at(path, _line(event.start_mark), "nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _yaml_entries(path: str, loader: yaml.SafeLoader, root: yaml.Node) -> list[Entry]:
    import yaml

    if not isinstance(root, yaml.MappingNode):
        line = _line(root.start_mark)
        raise ConfigError.at(path, line, "expected lines of the form `setting: value`")
    entries: list[Entry] = []
    for key_node, value_node in root.value:
        line = _line(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError.at(path, line, "a setting is named by plain text")
        try:
            value = loader.construct_object(value_node, deep=True)
        except ValueError as error:
            raise ConfigError.at(path, line, "the value cannot be read") from error
        _check_plain(path, _line(value_node.start_mark), value, depth=1)
        entries.append(Entry(str(key_node.value), value, line))
    return entries
