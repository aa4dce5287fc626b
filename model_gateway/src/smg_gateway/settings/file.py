"""A settings file: its keys are the names of the settings, its values what flags would say."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from smg_gateway.settings.declaration import Declaration
from smg_gateway.settings.document import Entry, read_document
from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import declarations

__all__ = ("FileSettings", "read_file")

NOT_IN_FILES = frozenset({"config", "reload"})
"""What decides which file is read, or that a child process reads it, cannot stand in it."""

_LISTS = frozenset({"repeated", "any", "some", "groups"})


@dataclass(frozen=True, slots=True)
class FileSettings:
    """Finished values by name, and the line each was found in (0: unknown)."""

    path: str
    values: Mapping[str, object]
    lines: Mapping[str, int]

    def place(self, name: str) -> str:
        """Where a value stands, as `file:line`."""
        return f"{self.path}:{self.lines[name]}" if self.lines.get(name) else self.path


def read_file(path: str) -> FileSettings:
    """Settings from a YAML or TOML file.

    `worker-urls` and `worker_urls` name the same setting. Raises ConfigError, with file and line
    where they are known, for whatever `read_document` refuses, for names that no setting has, for
    settings that are given twice, and for values of the wrong type or width.
    """
    known = _names()
    values: dict[str, object] = {}
    lines: dict[str, int] = {}
    for entry in read_document(path):
        name = entry.key.replace("-", "_")
        declaration = known.get(name)
        if declaration is None or name in NOT_IN_FILES:
            raise ConfigError.at(path, entry.line, _unknown(entry.key, known))
        if declaration.name in values:
            first = lines[declaration.name]
            where = f" (first in line {first})" if first else ""
            raise ConfigError.at(path, entry.line, f"{entry.key} is set twice{where}")
        values[declaration.name] = _value(path, entry, declaration)
        lines[declaration.name] = entry.line
    return FileSettings(path, values, lines)


def _names() -> dict[str, Declaration]:
    found: dict[str, Declaration] = {}
    for declaration in declarations():
        for flag in (declaration.flag, *declaration.aliases):
            found[flag.removeprefix("--").replace("-", "_")] = declaration
    return found


def _unknown(key: str, known: Mapping[str, Declaration]) -> str:
    if key.replace("-", "_") in NOT_IN_FILES:
        return f"{key} cannot be set in a file"
    dashed = [name.replace("_", "-") for name in known]
    near = get_close_matches(key.replace("_", "-"), dashed, n=1)
    return f"unknown setting '{key}'" + (f"; did you mean '{near[0]}'?" if near else "")


def _value(path: str, entry: Entry, declaration: Declaration) -> object:
    try:
        raw = _raw(entry.value, declaration)
        if declaration.choices is not None and raw not in declaration.choices:
            allowed = ", ".join(declaration.choices)
            raise ConfigError(f"'{entry.value}' is not one of {allowed}")
        return declaration.shape.finish(declaration.name, raw)
    except (ConfigError, ValueError, ArgumentTypeError) as error:
        raise ConfigError.at(path, entry.line, f"{entry.key}: {error}") from error


def _raw(value: object, declaration: Declaration) -> object:
    """What the command line's parser would have collected for this value."""
    shape = declaration.shape
    if shape.taking in {"flag", "toggle"}:
        if not isinstance(value, bool):
            raise ConfigError(f"expected true or false, got {_kind(value)}")
        return value
    if shape.taking in _LISTS:
        items = value if isinstance(value, list) else [value]
        if shape.taking == "groups":
            return [_group(item) for item in items]
        if shape.taking == "some" and not items:
            raise ConfigError("expected at least one value")
        return [_scalar(item, declaration) for item in items]
    if isinstance(value, list) and declaration.shape.label.startswith("comma-separated"):
        return shape.word(",".join(str(_scalar_text(item)) for item in value))
    return _scalar(value, declaration)


def _scalar(value: object, declaration: Declaration) -> object:
    shape = declaration.shape
    wanted = "text"
    if shape.low is not None:
        wanted = "int"
    elif shape.word is float:
        wanted = "number"
    match wanted, value:
        case ("int", int()) if not isinstance(value, bool):
            return shape.word(str(value))
        case ("number", int() | float()) if not isinstance(value, bool):
            return float(value)
        case ("text", str()):
            return shape.word(value)
        case _:
            raise ConfigError(f"expected {wanted}, got {_kind(value)}")


def _scalar_text(value: object) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"expected text or int, got {_kind(value)}")


def _group(item: object) -> list[str]:
    """`URL`, `URL PORT` or `URL none`, in one text or as a list."""
    words = item if isinstance(item, list) else str(_scalar_text(item)).split()
    if not words:
        raise ConfigError("expected a URL")
    return [_scalar_text(word) for word in words]


def _kind(value: object) -> str:
    """The type of a value in the words of the file; the value itself may be a secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int():
            return "int"
        case float():
            return "number"
        case str():
            return "text"
        case _:
            return "list"
