"""A property suite for parsers of streamed tool calls: ours, yours, or a rival's.

Give `check` a factory of parsers and outputs to try them on. `python -m smg_tool_parser.testing`
prints a scoreboard.
"""

from .corpus import TOOLS, Output, corpus, hostile_texts, spoiled
from .formats import WrittenCall, write_calls
from .properties import PROPERTIES, Factory, Feeder, Report, check, chunkings

__all__ = (
    "PROPERTIES",
    "TOOLS",
    "Factory",
    "Feeder",
    "Output",
    "Report",
    "WrittenCall",
    "check",
    "chunkings",
    "corpus",
    "hostile_texts",
    "spoiled",
    "write_calls",
)
