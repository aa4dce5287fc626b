"""Reasoning, text and tool calls out of a model's output, in one parser.

Composes smg-reasoning-parser and smg-tool-parser: markers inside reasoning are no calls, a tool
choice decides how calls are read, and any chunking of the output gives the same result.
"""

from smg_reasoning_parser import ReasoningDelta
from smg_tool_parser import ArgumentsDelta, Call, CallClosed, CallOpened, TextDelta

from .composition import Event, Message, OutputParser, gather, parse, parse_answer
from .planning import HeaderInvalid, OutputPlan, ParserUnknown, plan_for, read_engine
from .tokens import TokenFeeder

__all__ = (
    "ArgumentsDelta",
    "Call",
    "CallClosed",
    "CallOpened",
    "Event",
    "HeaderInvalid",
    "Message",
    "OutputParser",
    "OutputPlan",
    "ParserUnknown",
    "ReasoningDelta",
    "TextDelta",
    "TokenFeeder",
    "gather",
    "parse",
    "parse_answer",
    "plan_for",
    "read_engine",
)
