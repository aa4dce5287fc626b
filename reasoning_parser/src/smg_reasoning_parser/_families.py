"""The families as data: which markers lead from which state to which.

A new family is a function here and a line in the table at the end.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from ._lead import LeadRule
from ._machine import Rule, State
from ._markers import Gap, Marker, compile_markers
from .events import ReasoningDelta, TextDelta


class Family:
    """A table of states and where to begin in it.

    `inside` is where an output begins that is told (or known) to start with reasoning, `outside`
    any other. `begins_inside` is the habit of the models that write this format.
    """

    __slots__ = ("begins_inside", "debris", "inside", "lead", "outside", "special_tokens", "states")

    def __init__(
        self,
        states: Mapping[str, State],
        *,
        outside: str,
        inside: str,
        begins_inside: bool = False,
        lead: LeadRule | None = None,
        debris: Sequence[str] = (),
        special_tokens: bool = False,
    ) -> None:
        self.states = states
        self.outside = outside
        self.inside = inside
        self.begins_inside = begins_inside
        self.lead = lead
        self.debris = tuple(debris)
        self.special_tokens = special_tokens


def _passthrough() -> Family:
    return Family({"text": State(TextDelta)}, outside="text", inside="text")


def _plain(start_text: str, end_text: str, *, begins_inside: bool = False) -> Family:
    """One block; start markers vanish wherever they stand, the first end marker ends it."""
    start, end = Marker(start_text), Marker(end_text)
    states = {
        "outside": State(TextDelta, Rule([start], "inside")),
        "inside": State(ReasoningDelta, Rule([start], "inside"), Rule([end], "answer")),
        "answer": State(TextDelta, Rule([start], "answer")),
    }
    # With a start marker anywhere, all that precedes the first end marker is reasoning.
    lead = LeadRule([start], "inside", lambda _text, _started: "outside", keeps_lead=True)
    return Family(
        states, outside="outside", inside="inside", begins_inside=begins_inside, lead=lead
    )


def _think() -> Family:
    return _plain("<think>", "</think>")


def _think_from_the_start() -> Family:
    return _plain("<think>", "</think>", begins_inside=True)


def _cohere() -> Family:
    return _plain("<|START_THINKING|>", "<|END_THINKING|>")


def _kimi() -> Family:
    return _plain("◁think▷", "◁/think▷")


def _deepseek_v41() -> Family:
    """Any number of blocks; a call ends a block, and stray markers vanish."""
    start, end, calls = Marker("<think>"), Marker("</think>"), Marker("<｜DSML｜ calls>")
    states = {
        "outside": State(TextDelta, Rule([start], "inside"), Rule([end], "outside")),
        "inside": State(
            ReasoningDelta,
            Rule([start], "inside"),
            Rule([end], "outside"),
            Rule([calls], "outside", keep=True),
        ),
    }
    return Family(states, outside="outside", inside="inside")


def _gemma4() -> Family:
    """Any number of thought channels; a call ends one, and stray closers vanish."""
    start, bare = Marker("<|channel>thought\n"), Marker("thought\n")
    end, call = Marker("<channel|>"), Marker("<|tool_call>")
    outside = (Rule([start], "inside"), Rule([end], "outside"))
    states = {
        # A prompt may end with the channel token, so that the label comes first.
        "beginning": State(TextDelta, Rule([bare], "inside"), *outside, settle="outside"),
        "outside": State(TextDelta, *outside),
        "inside": State(ReasoningDelta, Rule([end], "outside"), Rule([call], "outside", keep=True)),
    }
    # The marker is always written by the model: knowing that reasoning has started adds nothing.
    return Family(states, outside="beginning", inside="beginning", special_tokens=True)


def _hy_v4() -> Family:
    """The first block only; a label on the start marker must return on the end marker."""
    label = Gap(r"[^<>\s]", 1, 64)
    starts = (Marker("<think>"), Marker("<think:", label, ">"))
    ends = (Marker("</think>"), Marker("</think:", label, ">"))
    start_tag, end_tag = slice(len("<think"), -1), slice(len("</think"), -1)
    states = {
        "outside": State(
            TextDelta, Rule(starts, "inside", tag=start_tag, binds=True), Rule(ends, "outside")
        ),
        "inside": State(
            ReasoningDelta,
            Rule(starts, "inside", tag=start_tag, binds=True),
            Rule(ends, "answer", tag=end_tag, bound=True),
        ),
        "answer": State(TextDelta),
    }
    return Family(states, outside="outside", inside="inside")


def _minimax_m3() -> Family:
    """The first block only; end markers vanish where the output begins and right after the block."""
    start, end = Marker("<mm:think>"), Marker("</mm:think>")
    states = {
        "beginning": State(
            TextDelta,
            Rule([start], "inside"),
            Rule([end], "beginning"),
            settle="outside",
            blanks=True,
        ),
        "outside": State(TextDelta, Rule([start], "inside")),
        "inside": State(ReasoningDelta, Rule([end], "after")),
        "after": State(TextDelta, Rule([end], "after"), settle="answer", blanks=True),
        "answer": State(TextDelta),
    }
    return Family(states, outside="beginning", inside="inside")


def _kimi_k3() -> Family:
    """A think channel before the others; wrappers of the answer vanish, the tools channel stays."""

    def tag(kind: str, channel: str) -> Marker:
        blank = Gap(r"\s", 0, 32)
        return Marker(f"<|{kind}|>", blank, channel, blank, "<|sep|>")

    think, thought = tag("open", "think"), tag("close", "think")
    answer, tools = tag("open", "response"), tag("open", "tools")
    message = tag("open", "message")
    closers = (tag("close", "response"), tag("close", "message"))
    # What else ends the think channel: the tools channel is kept, the answer's wrapper is not.
    to_answer = (
        Rule([thought], "answer"),
        Rule([answer], "answer"),
        Rule([tools], "answer", keep=True),
    )
    # A closer of the answer shows that reasoning, only assumed, was none.
    assumed = (*to_answer, Rule(closers, "answer"), Rule([think], "inside"))
    states = {
        "outside": State(
            TextDelta,
            Rule([think], "inside"),
            Rule([answer], "answer"),
            Rule([tools], "answer", keep=True),
            Rule((message, *closers), "outside"),
        ),
        "assumed": State(ReasoningDelta, Rule([message], "assumed"), *assumed, settle="started"),
        "started": State(ReasoningDelta, *assumed),
        "inside": State(ReasoningDelta, *to_answer),
        "answer": State(TextDelta, Rule((answer, message, *closers), "answer")),
    }
    ending = compile_markers([(thought,), (answer, tools), closers])

    def verdict(text: str, reasoning_started: bool) -> str:
        if not reasoning_started and thought_pattern.search(text) is None:
            return "outside"
        found = ending.search(text)
        return "answer" if found is not None and found.lastindex == 3 else "started"

    thought_pattern = compile_markers([(thought,)])
    lead = LeadRule([think], "inside", verdict, keeps_lead=False, although_started=True)
    # Half a control marker says nothing to a reader, and a model that was cut off wrote it.
    debris = ("<|open|>", "<|close|>")
    return Family(
        states, outside="outside", inside="assumed", lead=lead, debris=debris, special_tokens=True
    )


def _inkling() -> Family:
    """Typed frames in any order; tool frames stay as they are, headers and other markers vanish."""
    header = Marker("<|message_model|>")
    json_call, text_call = (
        Marker("<|content_invoke_tool_json|>"),
        Marker("<|content_invoke_tool_text|>"),
    )
    ends = (Marker("<|end_message|>"), Marker("<|content_model_end_sampling|>"))
    thinking, text = Marker("<|content_thinking|>"), Marker("<|content_text|>")
    others = tuple(
        Marker(f"<|{name}|>")
        for name in (
            *("endoftext", "message_user", "message_system", "message_tool", "audio_end"),
            *("content_image", "content_audio_input", "content_tool_error", "content_xml"),
        )
    )

    def frame_rules(name: str) -> tuple[Rule, ...]:
        return (
            *calls,
            Rule([thinking], "reasoning"),
            Rule([text], "text"),
            Rule(ends, "text"),
            Rule(others, name),
        )

    calls = (
        Rule([header], "header"),
        Rule([json_call], "json call", keep=True),
        Rule([text_call], "text call"),
    )
    contents = (thinking, text, *others)
    states = {
        "text": State(TextDelta, *frame_rules("text")),
        "header": State(None, *frame_rules("header")),
        "reasoning": State(ReasoningDelta, *frame_rules("reasoning")),
        "json call": State(
            TextDelta,
            *calls,
            Rule(ends, "text", keep=True),
            Rule(contents, "json call", keep=True),
        ),
        "text call": State(None, *calls, Rule(ends, "text"), Rule(contents, "text call")),
    }
    return Family(states, outside="text", inside="reasoning", special_tokens=True)


FAMILIES: Mapping[str, Callable[[], Family]] = {
    "base": _think,
    "cohere_cmd": _cohere,
    "deepseek_r1": _think_from_the_start,
    "deepseek_v31": _think,
    "deepseek_v4": _think,
    "deepseek_v41": _deepseek_v41,
    "gemma4": _gemma4,
    "glm45": _think,
    "hy_v4": _hy_v4,
    "inkling": _inkling,
    "kimi": _kimi,
    "kimi_k25": _think,
    "kimi_k3": _kimi_k3,
    "kimi_thinking": _think_from_the_start,
    "minimax": _think_from_the_start,
    "minimax_m3": _minimax_m3,
    "nano_v3": _think,
    "passthrough": _passthrough,
    "qwen3": _think,
    "qwen3_thinking": _think_from_the_start,
    "step3": _think_from_the_start,
}


@lru_cache(maxsize=len(FAMILIES))
def build_family(build: Callable[[], Family]) -> Family:
    """The family of one builder, its patterns compiled once per process."""
    return build()
