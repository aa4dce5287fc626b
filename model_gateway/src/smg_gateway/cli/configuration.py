"""Settings as the commands read them, and `smg config`, which shows what they come to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence

from smg_gateway.settings import (
    Launch,
    Settings,
    Source,
    check_available,
    declarations,
    ineffective,
    read_launch,
    validate,
)
from smg_gateway.settings.rules.conditions import policies_in_use

__all__ = ("config", "read_checked")

_HELP = """\
usage: smg config check [FILE] [options of smg launch]
       smg config show [FILE] [--json] [options of smg launch]

check  tell whether the gateway would start with these settings
show   list every setting, its value (secrets masked) and where it comes from

FILE is a settings file, as with --config FILE.
"""


def read_checked(words: Sequence[str]) -> Launch:
    """Settings with which a gateway can start, from the words after `smg launch`.

    Raises ConfigError, and SystemExit(2) for words that cannot be parsed.
    """
    launch = read_launch(words, os.environ)
    _let_plugins_be_found(launch.settings)
    validate(launch.settings)
    check_available(launch.settings)
    return launch


def _let_plugins_be_found(settings: Settings) -> None:
    """A policy named `module:Class` may lie where the command was given."""
    if any(":" in name for name in policies_in_use(settings)) and "" not in sys.path:
        sys.path.insert(0, "")


def config(words: Sequence[str]) -> int:
    """Run `smg config` with the words after it; the exit code. Raises as `read_checked` does."""
    match list(words):
        case ["check", *rest]:
            return _check(_with_file(rest))
        case ["show", *rest]:
            as_json = "--json" in rest
            return _show(_with_file([word for word in rest if word != "--json"]), as_json)
        case _:
            print(_HELP.rstrip())
            return 0 if words and words[0] in {"-h", "--help"} else 1


def _with_file(words: list[str]) -> list[str]:
    """A first word that is no flag names the settings file."""
    if words and not words[0].startswith("-"):
        return ["--config", *words]
    return words


def _check(words: Sequence[str]) -> int:
    launch = read_checked(words)
    for warning in ineffective(launch.settings, launch.explicit):
        print(f"warning: {warning}")
    counts = dict.fromkeys(Source, 0)
    for origin in launch.origins.values():
        counts[origin.source] += 1
    found = ", ".join(f"{count} from {source.value}" for source, count in counts.items() if count)
    print(f"ok: {found or 'all defaults'}")
    return 0


def _show(words: Sequence[str], as_json: bool) -> int:
    launch = read_launch(words, os.environ)
    masked = launch.settings.masked()
    if as_json:
        shown = {
            name: {"value": value, "source": origin.source.value, "detail": origin.detail}
            for name, value in masked.items()
            for origin in (launch.origin(name),)
        }
        print(json.dumps(shown, indent=2))
        return 0
    for line in _lines(launch, masked):
        print(line)
    return 0


def _lines(launch: Launch, masked: dict[str, object]) -> Iterator[str]:
    group = ""
    for declaration in declarations():
        if declaration.group != group:
            yield f"{'' if not group else chr(10)}# {declaration.group}"
            group = declaration.group
        origin = launch.origin(declaration.name)
        where = f"{origin.source.value} {origin.detail}".rstrip()
        value = json.dumps(masked[declaration.name], ensure_ascii=False)
        yield f"{declaration.flag.removeprefix('--')}: {value}  # {where}"
