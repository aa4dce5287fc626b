"""Splits a model's output into reasoning and answer, the same for every chunking of the text."""

from .errors import ParserFinished, ParserUnknown
from .events import Event, Parsed, ReasoningDelta, TextDelta
from .parser import ReasoningParser
from .parsing import PARSER_NAMES, create_parser, needs_special_tokens, parse
from .selection import reasoning_parser_for, resolve_parser

__all__ = (
    "PARSER_NAMES",
    "Event",
    "Parsed",
    "ParserFinished",
    "ParserUnknown",
    "ReasoningDelta",
    "ReasoningParser",
    "TextDelta",
    "create_parser",
    "needs_special_tokens",
    "parse",
    "reasoning_parser_for",
    "resolve_parser",
)
