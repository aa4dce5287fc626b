"""Hostile and long outputs: memory stays bounded, and the work grows with the text alone."""

from __future__ import annotations

import pytest
from smg_reasoning_parser import PARSER_NAMES, create_parser, parse

HOSTILE = {
    "openings": "<" * 200_000,
    "half markers": "<think" * 40_000,
    "starts": "<think>" * 30_000,
    "blocks": "<think></think>" * 15_000,
    "blanks after an end": "</mm:think>" + " " * 200_000,
    "labels without an end": "<think:" + "x" * 200_000,
    "control markers": "<|open|>" * 25_000,
    "frames": "<|message_model|><|content_text|>x<|end_message|>" * 4_000,
    "zeros": "\x00" * 200_000,
    "halves of pairs": "\ud83e" * 200_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", PARSER_NAMES)
def test_hostile_outputs_are_read_like_any_other(name: str, kind: str) -> None:
    output = HOSTILE[kind]
    parser = create_parser(name)
    middle = len(output) // 2

    told = parser.feed(output[:middle]) + parser.feed(output[middle:]) + parser.finish()

    whole = parse(name, output)
    assert sum(len(event.text) for event in told) == len(whole.reasoning) + len(whole.normal_text)


@pytest.mark.parametrize("name", PARSER_NAMES)
def test_what_is_held_back_stays_shorter_than_the_longest_marker(name: str) -> None:
    for opening in ("<think:", "<|open|>", "<|channel>th", "◁thi", "<｜DSML｜ ", "<|content_"):
        parser = create_parser(name, reasoning_started=False)
        fed = told = 0
        for _ in range(500):
            fed += 1 + len(opening)
            told += sum(len(event.text) for event in parser.feed(opening + "x"))
            assert fed - told <= 128
