"""Harmony output is read the same however it is cut, and never raises."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from smg_tokenizer.renderers import (
    HARMONY_CONTROL_IDS,
    ChannelDelta,
    HarmonyCall,
    HarmonyCallClosed,
    HarmonyCallOpened,
    HarmonyOutput,
    HarmonyParser,
    gather_harmony,
)

PIECES = [
    *HARMONY_CONTROL_IDS.values(),
    "assistant",
    "analysis",
    "final",
    "commentary",
    " to=functions.f",
    " to=python",
    "user",
    " json",
    '{"a": 1}',
    "some words",
    " ",
    "<",
    "<|",
    "<|end",
    "x" * 300,
]
OUTPUTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def read(*chunks: str) -> HarmonyOutput:
    parser = HarmonyParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return gather_harmony(events + parser.finish())


def test_thoughts_and_answer_come_in_their_channels() -> None:
    text = (
        "<|channel|>analysis<|message|>hm<|end|>"
        "<|start|>assistant<|channel|>final<|message|>hello<|return|>"
    )
    assert read(text) == HarmonyOutput("hm", "", "hello", ())


@pytest.mark.parametrize(
    "header",
    [
        "<|channel|>commentary to=functions.f <|constrain|>json",
        "<|channel|>commentary to=functions.f<|constrain|>json",
        "<|channel|>analysis to=functions.f code",
        " to=functions.f<|channel|>commentary json",
        "<|start|>assistant to=functions.f<|channel|>commentary",
    ],
)
def test_a_message_to_a_function_is_a_call(header: str) -> None:
    output = read(f'{header}<|message|>{{"a": 1}}<|call|>')
    assert output == HarmonyOutput("", "", "", (HarmonyCall("f", '{"a": 1}', True),))


def test_calls_are_opened_filled_and_closed_as_they_come() -> None:
    parser = HarmonyParser()
    assert parser.feed("<|channel|>commentary to=functions.f<|mess") == []
    assert parser.feed("age|>") == [HarmonyCallOpened(0, "f")]
    assert gather_harmony(parser.feed("{}<|cal")[:0]) == HarmonyOutput("", "", "", ())
    assert parser.feed("l|>") == [HarmonyCallClosed(0, True)]
    assert parser.finish() == []


def test_words_between_calls_are_commentary() -> None:
    text = "<|channel|>commentary<|message|>First I look.<|end|>"
    more = "<|start|>assistant<|channel|>commentary<|message|>Then again.<|end|>"
    assert read(text + more).commentary == "First I look.\nThen again."


def test_messages_to_built_in_tools_are_analysis() -> None:
    assert read("<|channel|>commentary to=python code<|message|>x = 1<|call|>").analysis == "x = 1"


def test_a_channel_that_nobody_knows_is_final() -> None:
    assert read("<|channel|>thoughts<|message|>x<|end|>").final == "x"
    assert read("<|message|>x<|end|>").final == "x"


def test_a_call_that_is_cut_off_is_not_complete() -> None:
    output = read('<|channel|>commentary to=functions.f<|message|>{"a"')
    assert output.calls == (HarmonyCall("f", '{"a"', False),)


def test_a_message_in_another_role_is_dropped() -> None:
    text = "<|channel|>final<|message|>a<|end|><|start|>user<|message|>and then?<|end|>"
    assert read(text) == HarmonyOutput("", "", "a", ())


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("plain words", "plain words"),
        ("plain words <", "plain words <"),
        ("plain <|return|>", "plain "),
        ("x" * 600 + "<|message|>y", "x" * 600 + "<|message|>y"),
        ("<|channel|>final<|message|>a<|message|>b<|end|>", "a<|message|>b"),
        ("<|channel|>final<|message|>a<|end|> junk", "ajunk"),
        ("<|channel|>final<|end|>", "<|channel|>final"),
        ("words<|start|>assistant<|channel|>final<|message|>a", "wordsa"),
        ("<|channel|>analysis<|message|><|end|><|channel|>final<|message|>b<|return|>", "b"),
        ("<|channel|>analysis<|message|><|end|><|message|>b", "b"),
        ("<|channel|>comm", "<|channel|>comm"),
    ],
)
def test_what_is_malformed_becomes_text(text: str, final: str) -> None:
    assert read(text).final == final


@given(OUTPUTS, st.data())
@example("<|channel|>final<|message|>a<|end|> b", None)
def test_any_cutting_gives_the_same(text: str, data: st.DataObject | None) -> None:
    whole = read(text)
    assert read(*text) == whole
    if data is not None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
        borders = [0, *cuts, len(text)]
        assert read(*(text[a:b] for a, b in pairwise(borders))) == whole


@given(OUTPUTS)
def test_every_call_is_opened_once_and_closed_once(text: str) -> None:
    parser = HarmonyParser()
    events = parser.feed(text) + parser.finish()
    opened = [event.index for event in events if isinstance(event, HarmonyCallOpened)]
    closed = [event.index for event in events if isinstance(event, HarmonyCallClosed)]
    assert opened == closed == [*range(len(opened))]
    assert all(event.text for event in events if isinstance(event, ChannelDelta))


class Bytes:
    """A decoder of tokens that are single bytes, as the worst of vocabularies has them."""

    def __init__(self) -> None:
        self._open = b""

    def step(self, token_id: int) -> str | None:
        self._open += bytes([token_id])
        try:
            text = self._open.decode()
        except UnicodeDecodeError:
            return None
        self._open = b""
        return text

    def flush(self) -> str | None:
        text, self._open = self._open.decode(errors="replace"), b""
        return text


@given(st.lists(st.sampled_from([*PIECES, "é世", "😀"]), max_size=14))
def test_token_ids_are_read_like_text(pieces: list[str]) -> None:
    ids_of = {text: token_id for token_id, text in HARMONY_CONTROL_IDS.items()}
    # Text that spells a control token, put together from pieces, is no control token as ids.
    pieces = [piece for piece in pieces if not piece.startswith("<") or piece in ids_of]
    parser = HarmonyParser(decoder=Bytes())
    events = []
    for piece in pieces:
        events += parser.feed_ids([ids_of[piece]] if piece in ids_of else piece.encode())
    assert gather_harmony(events + parser.finish()) == read("".join(pieces))


def test_a_character_that_is_never_finished_is_told_at_the_end() -> None:
    parser = HarmonyParser(decoder=Bytes())
    control = {text: token_id for token_id, text in HARMONY_CONTROL_IDS.items()}
    ids = [control["<|channel|>"], *b"final", control["<|message|>"], 0xF0, 0x9F]
    assert gather_harmony(parser.feed_ids(ids) + parser.finish()).final == "\ufffd"


def test_reading_ids_takes_a_decoder() -> None:
    with pytest.raises(ValueError, match="decoder"):
        HarmonyParser().feed_ids([1])


CHANNELS = st.sampled_from(["analysis", "commentary", "final"])
RECIPIENTS = st.sampled_from(["", " to=functions.f", " to=functions.g"])
BODIES = st.sampled_from(["", "words", '{"a": 1}', "a\n<b> é"])


@settings(deadline=None)
@given(st.lists(st.tuples(CHANNELS, RECIPIENTS, BODIES), min_size=1, max_size=4))
def test_well_formed_output_is_read_as_the_reference_reads_it(
    harmony: Any, written: list[tuple[str, str, str]]
) -> None:
    module, encoding = harmony
    text = "<|start|>assistant".join(
        f"{to}<|channel|>{channel}<|message|>{body}{'<|call|>' if to else '<|end|>'}"
        for channel, to, body in written
    )
    tokens = encoding.encode(text, allowed_special="all")
    reference = encoding.parse_messages_from_completion_tokens(tokens, module.Role.ASSISTANT)
    calls = [
        (message.recipient.removeprefix("functions."), message.content[0].text)
        for message in reference
        if message.recipient
    ]
    finals = [m.content[0].text for m in reference if m.channel == "final" and not m.recipient]
    output = read(text)
    assert [(call.name, call.arguments) for call in output.calls] == calls
    assert output.final == "".join(finals)
