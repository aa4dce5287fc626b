"""Dispatch of the sub-commands, and the exit codes of everything that can go wrong before them.

Imports of the parts that serve happen inside the functions, so that `smg --version`, help texts
and refused settings answer without loading a server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

from smg_gateway.cli.configuration import config, read_checked
from smg_gateway.cli.reloading import RELOAD_CHILD, run_reloading
from smg_gateway.cli.versions import verbose_version_text, version_text
from smg_gateway.settings import ConfigError, ineffective, parse_quickstart

__all__ = ("main",)

_HELP = """\
usage: smg <command> [options]

Shepherd Model Gateway: one endpoint in front of many LLM workers.

commands:
  launch      run the gateway (smg launch --help lists the settings)
  config      check or show settings (smg config check FILE)
  quickstart  try the gateway on simulated workers
  simulate    replay a request trace through policies (needs smg-simulator)

options:
  -h, --help         show this text
  -V, --version      show the version
  --version-verbose  show version, compatibility and platform
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `smg` command with `argv` (default: the process's own) and return its exit code.

    0 is success, 1 a refused configuration or an unknown command; words that cannot be parsed
    raise SystemExit(2), as argparse does.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    match words:
        case ["-h" | "--help", *_]:
            return _show(_HELP.rstrip())
        case ["-V" | "--version", *_]:
            return _show(version_text())
        case ["--version-verbose", *_]:
            return _show(verbose_version_text())
        case ["launch", *rest]:
            return _refusing_bad_settings(lambda: _launch(rest))
        case ["config", *rest]:
            return _refusing_bad_settings(lambda: config(rest))
        case ["quickstart", *rest]:
            return _refusing_bad_settings(lambda: _quickstart(rest))
        case ["simulate", *rest]:
            return _simulate(rest)
        case _:
            print(_HELP.rstrip())
            return 1


def _simulate(words: Sequence[str]) -> int:
    # The simulator is a distribution of its own that builds on this one's policies, not on this
    # one; it is looked up by name so that neither depends on the other.
    if find_spec("smg_simulator") is None:
        print(
            "smg: error: simulate needs the simulator: pip install smg-simulator", file=sys.stderr
        )
        return 1
    code: int = import_module("smg_simulator").main(words, program="smg simulate")
    return code


def _show(text: str) -> int:
    print(text)
    return 0


def _refusing_bad_settings(command: Callable[[], int]) -> int:
    try:
        return command()
    except ConfigError as error:
        print(error.line, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read has had enough; the interpreter must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _launch(words: Sequence[str]) -> int:
    launch = read_checked(words)
    settings = launch.settings
    if settings.reload and RELOAD_CHILD not in os.environ:
        return run_reloading(words)
    from smg_gateway.server import run

    try:
        return run(
            settings,
            ineffective(settings, launch.explicit),
            lambda: read_checked(words).settings,
        )
    except RuntimeError as error:
        # Only what the operating system refused is the user's to mend; the rest is a defect.
        if not isinstance(error.__cause__, OSError):
            raise
        raise ConfigError.startup(str(error)) from error


def _quickstart(words: Sequence[str]) -> int:
    options = parse_quickstart(words)
    from smg_gateway.quickstart import main as quickstart

    return quickstart(options)
