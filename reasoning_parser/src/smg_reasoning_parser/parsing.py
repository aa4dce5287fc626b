"""Parsers by name: `create_parser` for a stream, `parse` for a whole output."""

from collections.abc import Callable

from ._families import FAMILIES, Family, build_family
from ._lead import LeadHolder
from ._machine import Machine
from .errors import ParserUnknown
from .events import Parsed, ReasoningDelta
from .parser import ReasoningParser

PARSER_NAMES: tuple[str, ...] = tuple(sorted(FAMILIES))
"""Every name that `create_parser` knows."""


def create_parser(
    name: str, *, reasoning_started: bool | None = None, hold_lead: bool = False
) -> ReasoningParser:
    """A new parser for one output.

    `reasoning_started` says whether the prompt ended inside reasoning (its start marker was in the
    prompt); None leaves it to the habit of the models that the parser is for.

    Some formats decide late about text that precedes their first start marker. By default such
    text is told at once, as text. With `hold_lead` it is held until a start marker or the end of
    the output decides, as SMG does for outputs that are not streamed; memory then grows with it.

    Raises `ParserUnknown`.
    """
    family = _family(name)
    inside = family.begins_inside if reasoning_started is None else reasoning_started

    def machine_at(state: str) -> Machine:
        return Machine(family.states, state, debris=family.debris)

    lead = family.lead
    if hold_lead and lead is not None and (lead.although_started or not inside):
        return LeadHolder(lead, machine_at, inside)
    return machine_at(family.inside if inside else family.outside)


def parse(
    name: str, text: str, *, reasoning_started: bool | None = None, hold_lead: bool = False
) -> Parsed:
    """Split a whole output: `create_parser`, one `feed`, `finish`. Raises `ParserUnknown`."""
    parser = create_parser(name, reasoning_started=reasoning_started, hold_lead=hold_lead)
    reasoning: list[str] = []
    normal: list[str] = []
    for event in parser.feed(text) + parser.finish():
        (reasoning if isinstance(event, ReasoningDelta) else normal).append(event.text)
    return Parsed("".join(reasoning), "".join(normal))


def needs_special_tokens(name: str) -> bool:
    """Whether the format's markers are special tokens, which detokenizing must then keep.

    Raises `ParserUnknown`.
    """
    return _family(name).special_tokens


def _family(name: str) -> Family:
    build: Callable[[], Family] | None = FAMILIES.get(name)
    if build is None:
        raise ParserUnknown(name)
    return build_family(build)
