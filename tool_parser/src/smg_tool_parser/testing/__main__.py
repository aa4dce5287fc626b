"""The scoreboard: `python -m smg_tool_parser.testing [NAME ...] [--subject MODULE:FUNCTION]`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from .. import create_parser, parser_names
from .corpus import corpus
from .properties import PROPERTIES, Factory, Feeder, Report, Tools, check

Subject = Callable[[str, Tools], Feeder]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the scoreboard; returns 1 if a property did not hold."""
    options = _options().parse_args(arguments)
    rows: list[tuple[str, Report]] = []
    for name in options.names or parser_names():
        subject, lossless = _factories(name, options.subject)
        report = check(subject, corpus(name, options.seed), lossless=lossless, seed=options.seed)
        rows.append((name, report))
    _print_table(rows, show_failures=options.failures)
    return 0 if all(report.passed for _, report in rows) else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m smg_tool_parser.testing",
        description="Tries parsers of streamed tool calls on a corpus and prints how they did.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="formats to try; all by default")
    parser.add_argument(
        "--subject",
        metavar="MODULE:FUNCTION",
        help="another parser: a function of a format's name and tools that returns an object with "
        "feed(delta) and finish(), both returning events of this package",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other texts")
    parser.add_argument("--failures", action="store_true", help="show the first text that failed")
    return parser


def _factories(name: str, subject: str | None) -> tuple[Factory, Factory | None]:
    if subject is None:
        return (
            lambda tools: create_parser(name, tools),
            lambda tools: create_parser(name, tools, lossless=True),
        )
    module, _, function = subject.partition(":")
    make: Subject = getattr(importlib.import_module(module), function)
    return (lambda tools: make(name, tools)), None


def _print_table(rows: Sequence[tuple[str, Report]], *, show_failures: bool) -> None:
    width = max(len(name) for name, _ in rows)
    print(" " * width, *(f"{name:>9}" for name in PROPERTIES))
    for name, report in rows:
        cells = (_cell(report.tried[one], report.failed[one]) for one in PROPERTIES)
        print(name.ljust(width), *(f"{cell:>9}" for cell in cells))
        if show_failures:
            for one, text in report.first_failure.items():
                print(f"  {one}: {text!r}")
    print()
    for name, meaning in PROPERTIES.items():
        print(f"{name}: {meaning}")


def _cell(tried: int, failed: int) -> str:
    if not tried:
        return "-"
    return "ok" if not failed else f"{100 * (tried - failed) // tried} %"


if __name__ == "__main__":
    sys.exit(main())
