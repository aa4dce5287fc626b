"""Tool calls out of model text, whole or streamed, for every model family.

One law holds for every parser: any chunking of the text gives the same result as the whole text,
and nothing is lost at the end. Parsers are plain values without I/O or global state.
"""

from .constraints import (
    Constraint,
    ConstraintConflict,
    constraint_for,
    named_function,
    writes_bare_json,
)
from .events import (
    ArgumentsDelta,
    Call,
    CallClosed,
    CallOpened,
    Event,
    MarkupDelta,
    Parsed,
    TextDelta,
    gather,
)
from .parser import ToolParser, create_arguments_parser, create_parser, parse, parse_answer
from .partial_json import complete_json
from .registry import ParserUnknown, parser_names
from .selection import call_ids_for, choose_tool_parser, tool_parser_for

__all__ = (
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
