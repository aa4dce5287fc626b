"""Which parsers read a model's output: by its cards, by configuration, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from smg_reasoning_parser import PARSER_NAMES as REASONING_NAMES
from smg_reasoning_parser import needs_special_tokens, reasoning_parser_for
from smg_tool_parser import (
    Constraint,
    call_ids_for,
    constraint_for,
    parser_names,
    tool_parser_for,
    writes_bare_json,
)
from smg_tool_parser.symphony import TABLE_NAMES, symphony_constraint_for, table_for, table_named

__all__ = ("Engine", "HeaderInvalid", "OutputPlan", "ParserUnknown", "plan_for", "read_engine")

Engine = Literal["legacy", "symphony"]
"""Two ways to read output: a reasoning parser and a tool parser, or one table for both."""

Tools = Sequence[Mapping[str, Any]]

_TOOL_NAMES = frozenset(parser_names())
_TABLES = frozenset(TABLE_NAMES)


class ParserUnknown(ValueError):
    """Nothing reads output under this name, which is in `name`."""

    def __init__(self, kind: Literal["tool", "reasoning"], name: str) -> None:
        super().__init__(f"Unknown {kind} parser: {name}")
        self.name = name


class HeaderInvalid(ValueError):
    """The header `x-smg-parser` names no engine."""

    def __init__(self, value: str) -> None:
        super().__init__(f"x-smg-parser must be legacy or symphony, not {_quoted(value)}")


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_engine(header: str | None, default: Engine = "legacy") -> Engine:
    """The engine that the header `x-smg-parser` asks for. Raises HeaderInvalid."""
    if header is None:
        return default
    for engine in get_args(Engine):
        if header == engine:
            found: Engine = engine
            return found
    raise HeaderInvalid(header)


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What reads a model's output: a Symphony `table`, or a tool parser and a reasoning parser."""

    tool_parser: str = "passthrough"
    reasoning_parser: str = "passthrough"
    table: str | None = None
    call_ids: Callable[[int, str], str] | None = None
    """Makes a call's id from its index and its function's name; None for random ids."""

    def constraint(
        self, tools: Tools, tool_choice: object = "auto", *, strict: bool = False
    ) -> Constraint | None:
        """What to tell the engine so that calls come out as asked; None for nothing.

        Raises smg_tool_parser.ConstraintConflict.
        """
        if self.table is not None and not strict:
            return symphony_constraint_for(self.table, tools, tool_choice)
        return constraint_for(self.tool_parser, tools, tool_choice, strict=strict)

    def reads_bare_json(self, tools: Tools, tool_choice: object) -> bool:
        """Whether a forced choice makes the engine write plain JSON instead of calls."""
        if self.table is not None:
            # The one table without markup of its own.
            return self.table == "plain" and writes_bare_json("json", tools, tool_choice)
        return writes_bare_json(self.tool_parser, tools, tool_choice)

    def keeps_special_tokens(self, tools: Tools = (), tool_choice: object = "auto") -> bool:
        """Whether detokenizing must keep special tokens, because parsers look for them."""
        if self.table is not None:
            return True
        calls = bool(tools) and tool_choice != "none"
        if calls and not self.reads_bare_json(tools, tool_choice):
            return True
        return needs_special_tokens(self.reasoning_parser)


def plan_for(
    model: str,
    *,
    engine: Engine = "legacy",
    tool_parser: str | None = None,
    reasoning_parser: str | None = None,
    tool_cards: Iterable[str | None] = (),
    reasoning_cards: Iterable[str | None] = (),
    calls_before: int = 0,
) -> OutputPlan:
    """The plan for a model.

    Cards (what workers say of the model; of several names the alphabetically first) go before the
    configured names, those before the model's id. A name of a Symphony table asks for that table
    whatever the engine, unless a parser has the name as well and the engine is "legacy".
    `calls_before` counts the calls in the conversation so far, for models whose call ids go on
    counting. Raises ParserUnknown.
    """
    tool = _chosen("tool", tool_cards, tool_parser)
    reasoning = _chosen("reasoning", reasoning_cards, reasoning_parser)
    ids = call_ids_for(model, calls_before)
    table = _table(model, engine, tool, reasoning)
    return OutputPlan(
        tool if tool in _TOOL_NAMES else tool_parser_for(model),
        reasoning if reasoning in REASONING_NAMES else reasoning_parser_for(model),
        table,
        ids,
    )


def _table(model: str, engine: Engine, tool: str | None, reasoning: str | None) -> str | None:
    if engine == "symphony":
        named = tool or reasoning
        return table_for(model) if named is None else table_named(named)
    if tool is not None and tool not in _TOOL_NAMES:
        return tool
    if reasoning is not None and reasoning not in REASONING_NAMES:
        return reasoning
    return None


def _chosen(
    kind: Literal["tool", "reasoning"], cards: Iterable[str | None], configured: str | None
) -> str | None:
    name = min((card for card in cards if card), default=None) or configured
    if not name:
        return None
    if name not in _TABLES and name not in (_TOOL_NAMES if kind == "tool" else REASONING_NAMES):
        raise ParserUnknown(kind, name)
    return name
