"""Command line and environment to settings, with a record of where each value came from."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from smg_gateway.settings.declaration import Declaration
from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.file import read_file
from smg_gateway.settings.record import Settings, declarations
from smg_gateway.settings.shapes import Shape

__all__ = ("Launch", "Origin", "Source", "build_parser", "parse_launch", "read_launch")

_TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
_FALSE_WORDS = frozenset({"0", "false", "no", "off"})


class Source(StrEnum):
    """The kinds of places a value can come from; a later one wins over an earlier one."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from; `detail` is the place in the file, the variable or the flag."""

    source: Source
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Launch:
    """Settings as read, and the origin of every value that is not a default."""

    settings: Settings
    origins: Mapping[str, Origin]

    def origin(self, name: str) -> Origin:
        """Where the value of setting `name` came from."""
        return self.origins.get(name, Origin(Source.DEFAULT))

    @property
    def explicit(self) -> frozenset[str]:
        """Names of the settings that the command line or the file gave."""
        return frozenset(
            name
            for name, origin in self.origins.items()
            if origin.source in {Source.COMMAND_LINE, Source.FILE}
        )


def parse_launch(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Settings from the words after `smg launch`, the environment and the file they name.

    What the settings say is unchecked.
    Raises SystemExit(2) after `smg: error: ...` on stderr for words that cannot be parsed,
    SystemExit(0) after the help text, and ConfigError for values of the wrong shape or width and
    for a file that cannot be used.
    """
    return read_launch(argv, environ).settings


def read_launch(argv: Sequence[str], environ: Mapping[str, str]) -> Launch:
    """Like `parse_launch`, with the origin of every value."""
    parser = build_parser()
    given: dict[str, object] = vars(parser.parse_args(list(argv)))
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    for declaration in declarations():
        name = declaration.name
        if name in given:
            values[name] = declaration.shape.finish(name, given[name])
            origins[name] = Origin(Source.COMMAND_LINE, declaration.flag)
            continue
        variable = declaration.environment
        # An empty variable counts as unset: that is how compose files and charts switch off.
        if variable is not None and environ.get(variable):
            raw = _read_variable(parser, declaration, variable, environ[variable])
            values[name] = declaration.shape.finish(name, raw)
            origins[name] = Origin(Source.ENVIRONMENT, variable)
    _reject_conflicts(parser, given)
    path = values.get("config")
    if isinstance(path, str):
        _add_file(path, values, origins)
    return Launch(Settings(**values), MappingProxyType(origins))  # type: ignore[arg-type]


def _add_file(path: str, values: dict[str, object], origins: dict[str, Origin]) -> None:
    """Fill in what neither the command line nor the environment has said."""
    file = read_file(path)
    for name, value in file.values.items():
        if name not in values:
            values[name] = value
            origins[name] = Origin(Source.FILE, file.place(name))
    for declaration in declarations():
        other = declaration.conflicts_with
        if other is None or declaration.name not in origins:
            continue
        if other.removeprefix("--").replace("-", "_") in origins:
            raise ConfigError.at(path, 0, f"{declaration.flag} and {other} exclude each other")


def build_parser(prog: str = "smg") -> argparse.ArgumentParser:
    """The parser of `smg launch`; its namespace holds only what was given."""
    parser = argparse.ArgumentParser(
        prog=prog,
        usage="smg launch [options]",
        description="Run the gateway in front of engines that run already.",
        argument_default=argparse.SUPPRESS,
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for declaration in declarations():
        if declaration.group not in groups:
            groups[declaration.group] = parser.add_argument_group(declaration.group)
        _add_flag(groups[declaration.group], declaration)
    return parser


def _add_flag(group: argparse._ArgumentGroup, declaration: Declaration) -> None:
    flags = (declaration.flag, *declaration.aliases)
    shape = declaration.shape
    text = _help_text(declaration).replace("%", "%%")
    metavar = None if declaration.choices else _metavar(shape)
    match shape.taking:
        case "flag":
            group.add_argument(*flags, action="store_true", help=text)
        case "toggle":
            group.add_argument(*flags, action=argparse.BooleanOptionalAction, help=text)
        case "one":
            group.add_argument(
                *flags, type=shape.word, choices=declaration.choices, metavar=metavar, help=text
            )
        case "repeated":
            group.add_argument(*flags, action="append", type=shape.word, metavar=metavar, help=text)
        case "groups":
            group.add_argument(*flags, action="append", nargs="+", metavar="URL", help=text)
        case "any" | "some":
            group.add_argument(
                *flags,
                action="extend",
                nargs="*" if shape.taking == "any" else "+",
                type=shape.word,
                metavar=metavar,
                help=text,
            )


def _metavar(shape: Shape) -> str:
    if shape.word is float:
        return "FLOAT"
    return "INT" if shape.low is not None else "TEXT"


def _help_text(declaration: Declaration) -> str:
    notes = []
    if declaration.default not in {None, False, ()}:
        notes.append(f"default: {declaration.default}")
    if declaration.environment is not None:
        notes.append(f"environment: {declaration.environment}")
    if declaration.status != "live":
        notes.append("not available yet" if declaration.status == "absent" else "no effect yet")
    return f"{declaration.help} [{'; '.join(notes)}]" if notes else declaration.help


def _read_variable(
    parser: argparse.ArgumentParser, declaration: Declaration, variable: str, text: str
) -> object:
    if declaration.shape.taking == "flag":
        word = text.strip().lower()
        if word not in _TRUE_WORDS | _FALSE_WORDS:
            parser.error(f"environment variable {variable}: expected true or false, got '{text}'")
        return word in _TRUE_WORDS
    try:
        value = declaration.shape.word(text)
    except (ValueError, argparse.ArgumentTypeError) as error:
        parser.error(f"environment variable {variable}: {error}")
    if declaration.choices is not None and value not in declaration.choices:
        allowed = ", ".join(declaration.choices)
        parser.error(f"environment variable {variable}: '{text}' is not one of {allowed}")
    return value


def _reject_conflicts(parser: argparse.ArgumentParser, given: Mapping[str, object]) -> None:
    for declaration in declarations():
        other = declaration.conflicts_with
        if other is None or declaration.name not in given:
            continue
        if other.removeprefix("--").replace("-", "_") in given:
            parser.error(f"argument {declaration.flag}: not allowed with argument {other}")
