"""Symphony: one parser per model family for reasoning, text and calls together."""

from ..events import ArgumentsDelta, Call, CallClosed, CallOpened, TextDelta
from .constraints import symphony_constraint_for
from .events import ReasoningDelta, SymphonyEvent, SymphonyParsed
from .parser import (
    TABLE_NAMES,
    SymphonyParser,
    TableUnknown,
    TemplateMissing,
    create_symphony,
    gather_symphony,
    parse_symphony,
)
from .selection import table_for, table_named

__all__ = (
    "TABLE_NAMES",
    "ArgumentsDelta",
    "Call",
    "CallClosed",
    "CallOpened",
    "ReasoningDelta",
    "SymphonyEvent",
    "SymphonyParsed",
    "SymphonyParser",
    "TableUnknown",
    "TemplateMissing",
    "TextDelta",
    "create_symphony",
    "gather_symphony",
    "parse_symphony",
    "symphony_constraint_for",
    "table_for",
    "table_named",
)
