"""The door: its names are frozen, documented, and cost little to open."""

from __future__ import annotations

import subprocess
import sys
from inspect import isclass, isfunction

import smg_tool_parser
from smg_tool_parser import testing

NAMES = (
    "ArgumentsDelta",
    "Call",
    "CallClosed",
    "CallOpened",
    "Constraint",
    "ConstraintConflict",
    "Event",
    "MarkupDelta",
    "Parsed",
    "ParserUnknown",
    "TextDelta",
    "ToolParser",
    "call_ids_for",
    "choose_tool_parser",
    "complete_json",
    "constraint_for",
    "create_arguments_parser",
    "create_parser",
    "gather",
    "named_function",
    "parse",
    "parse_answer",
    "parser_names",
    "tool_parser_for",
    "writes_bare_json",
)


def test_the_public_names_are_these() -> None:
    assert smg_tool_parser.__all__ == NAMES


def test_every_public_function_and_class_says_what_it_is() -> None:
    for module in (smg_tool_parser, testing):
        named = [getattr(module, name) for name in module.__all__]
        assert all(one.__doc__ for one in named if isfunction(one) or isclass(one))


def _imported(module: str) -> set[str]:
    check = f"import sys, {module}; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_loads_nothing_that_does_io_and_nothing_slow() -> None:
    slow = {
        "asyncio",
        "socket",
        "dataclasses",
        "inspect",
        "ast",
        "random",
        "smg_tool_parser.testing",
    }
    assert not _imported("smg_tool_parser") & slow


def test_importing_needs_the_standard_library_only() -> None:
    mine = {"smg_tool_parser", "__main__", "_distutils_hack", "sitecustomize", "usercustomize"}
    roots = {name.partition(".")[0] for name in _imported("smg_tool_parser")} - mine
    plain = {name.partition(".")[0] for name in _imported("sys")}
    assert roots - plain <= sys.stdlib_module_names
