"""One parser out of a reasoning parser and a tool parser, or out of a Symphony table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import smg_reasoning_parser
import smg_tool_parser
from smg_reasoning_parser import ReasoningDelta
from smg_tool_parser import ArgumentsDelta, Call, CallClosed, CallOpened, TextDelta
from smg_tool_parser import symphony as _symphony

from .planning import OutputPlan, Tools, plan_for

__all__ = ("Event", "Message", "OutputParser", "gather", "parse", "parse_answer")

Event = ReasoningDelta | TextDelta | CallOpened | ArgumentsDelta | CallClosed
"""Everything an output parser can tell. Pieces of text are never empty."""


class _Stage(Protocol):
    def feed(self, delta: str, /) -> list[Event]: ...

    def finish(self) -> list[Event]: ...


class OutputParser:
    """The parser of one output: feed it the text in any pieces, then finish it.

    However the text is cut, the events say the same. What is reasoning goes to nobody else, so a
    marker of calls inside it is reasoning, too. Never raises for what the text contains.
    """

    __slots__ = ("_finished", "_stage")

    def __init__(
        self,
        model: str | OutputPlan,
        tools: Tools = (),
        tool_choice: object = "auto",
        *,
        separate_reasoning: bool = True,
        reasoning_started: bool | None = None,
        prompt: str = "",
    ) -> None:
        """A fresh parser.

        `model` is a model's id or a plan. Tools and choice are those of a chat completion request;
        a choice of "none" leaves calls as text, and a forced one that makes the engine write JSON
        (see `OutputPlan.reads_bare_json`) is read as such. `reasoning_started`: whether the prompt
        ended inside reasoning, None for the habit of the model. Symphony tables tell by the end of
        the `prompt` instead.
        """
        plan = plan_for(model) if isinstance(model, str) else model
        wanted = tools if tool_choice != "none" else ()
        self._finished = False
        self._stage = _stage(plan, wanted, tool_choice, prompt, separate_reasoning)
        if separate_reasoning and plan.table is None and plan.reasoning_parser != "passthrough":
            self._stage = _ReasoningFirst(plan.reasoning_parser, reasoning_started, self._stage)

    def feed(self, delta: str) -> list[Event]:
        """Takes in the next piece of the output, of any length, and returns what is certain now.

        Raises ValueError after `finish`.
        """
        if self._finished:
            raise ValueError("the parser has been finished")
        return self._stage.feed(delta) if delta else []

    def finish(self) -> list[Event]:
        """Ends the output and returns what was held back. A second call returns nothing."""
        if self._finished:
            return []
        self._finished = True
        return self._stage.finish()


def _stage(
    plan: OutputPlan, tools: Tools, choice: object, prompt: str, separate_reasoning: bool
) -> _Stage:
    """What reads everything, or what is left when reasoning is split off."""
    bare = bool(tools) and plan.reads_bare_json(tools, choice)
    named = smg_tool_parser.named_function(choice)
    if bare and named is not None:
        return _calls(smg_tool_parser.create_arguments_parser(named, call_ids=plan.call_ids))
    if plan.table is not None and not bare:
        return _Table(plan.table, tools, prompt, separate_reasoning)
    if not tools:
        return _Plain()
    name = "json" if bare else plan.tool_parser
    return _calls(smg_tool_parser.create_parser(name, tools, call_ids=plan.call_ids))


def _calls(parser: smg_tool_parser.ToolParser) -> _Stage:
    # Parsers tell markup only where they are lossless.
    return cast(_Stage, parser)


class _Plain:
    """Everything is text."""

    def feed(self, delta: str) -> list[Event]:
        return [TextDelta(delta)]

    def finish(self) -> list[Event]:
        return []


class _ReasoningFirst:
    """Splits reasoning off and hands the rest on."""

    def __init__(self, name: str, started: bool | None, rest: _Stage) -> None:
        self._parser = smg_reasoning_parser.create_parser(name, reasoning_started=started)
        self._rest = rest

    def feed(self, delta: str) -> list[Event]:
        return self._sorted(self._parser.feed(delta))

    def finish(self) -> list[Event]:
        return self._sorted(self._parser.finish()) + self._rest.finish()

    def _sorted(self, told: Sequence[smg_reasoning_parser.Event]) -> list[Event]:
        events: list[Event] = []
        for event in told:
            if isinstance(event, ReasoningDelta):
                events.append(event)
            else:
                events += self._rest.feed(event.text)
        return events


class _Table:
    """Reasoning, text and calls by one Symphony table."""

    def __init__(self, table: str, tools: Tools, prompt: str, separate: bool) -> None:
        self._parser = _symphony.create_symphony(table, tools, prompt)
        self._separate = separate

    def feed(self, delta: str) -> list[Event]:
        return self._translated(self._parser.feed(delta))

    def finish(self) -> list[Event]:
        return self._translated(self._parser.finish())

    def _translated(self, told: Iterable[_symphony.SymphonyEvent]) -> list[Event]:
        events: list[Event] = []
        for event in told:
            if isinstance(event, _symphony.ReasoningDelta):
                kind = ReasoningDelta if self._separate else TextDelta
                events.append(kind(event.text))
            else:
                # Tables tell no markup.
                events.append(cast(Event, event))
        return events


@dataclass(frozen=True, slots=True)
class Message:
    """A whole output: its reasoning, its text and its calls in order."""

    reasoning: str
    text: str
    calls: tuple[Call, ...]


def gather(events: Iterable[Event]) -> Message:
    """What the events of one output say together."""
    reasoning: list[str] = []
    rest: list[smg_tool_parser.Event] = []
    for event in events:
        if isinstance(event, ReasoningDelta):
            reasoning.append(event.text)
        else:
            rest.append(event)
    parsed = smg_tool_parser.gather(rest)
    return Message("".join(reasoning), parsed.normal_text, parsed.calls)


def parse_answer(
    plan: OutputPlan,
    text: str,
    tools: Tools = (),
    tool_choice: object = "auto",
    *,
    separate_reasoning: bool = True,
    reasoning_started: bool | None = None,
    prompt: str = "",
) -> Message:
    """What an answer that is not streamed should contain: complete calls only.

    What is broken is text again, as `smg_tool_parser.parse_answer` says; and reasoning parsers may
    decide late about what precedes a start marker, as SMG does for such answers.
    """
    wanted = tools if tool_choice != "none" else ()
    bare = bool(wanted) and plan.reads_bare_json(wanted, tool_choice)
    if bare or plan.table is not None:
        whole = parse(
            plan,
            text,
            tools,
            tool_choice,
            separate_reasoning=separate_reasoning,
            reasoning_started=reasoning_started,
            prompt=prompt,
        )
        complete = tuple(call for call in whole.calls if call.complete)
        broken = bare and len(complete) < len(whole.calls)
        return Message(whole.reasoning, text if broken else whole.text, complete)
    reasoning, rest = "", text
    if separate_reasoning and plan.reasoning_parser != "passthrough":
        split = smg_reasoning_parser.parse(
            plan.reasoning_parser, text, reasoning_started=reasoning_started, hold_lead=True
        )
        reasoning, rest = split.reasoning, split.normal_text
    if not wanted:
        return Message(reasoning, rest, ())
    parsed = smg_tool_parser.parse_answer(plan.tool_parser, rest, wanted, call_ids=plan.call_ids)
    return Message(reasoning, parsed.normal_text, parsed.calls)


def parse(
    model: str | OutputPlan,
    text: str,
    tools: Tools = (),
    tool_choice: object = "auto",
    *,
    separate_reasoning: bool = True,
    reasoning_started: bool | None = None,
    prompt: str = "",
) -> Message:
    """Parses a whole output: `OutputParser.feed` and `finish`, gathered."""
    parser = OutputParser(
        model,
        tools,
        tool_choice,
        separate_reasoning=separate_reasoning,
        reasoning_started=reasoning_started,
        prompt=prompt,
    )
    return gather(parser.feed(text) + parser.finish())
