"""The public property suite passes good parsers and finds the faults of bad ones."""

from __future__ import annotations

import pytest
from smg_tool_parser import ArgumentsDelta, CallClosed, CallOpened, Event, TextDelta, create_parser
from smg_tool_parser.testing import PROPERTIES, Output, Report, check, chunkings, corpus
from smg_tool_parser.testing.__main__ import main
from smg_tool_parser.testing.properties import Tools


class Echo:
    """Hands text on; what subclasses do instead is wrong."""

    def feed(self, delta: str) -> list[Event]:
        return [TextDelta(delta)] if delta else []

    def finish(self) -> list[Event]:
        return []


class ChunkMinded(Echo):
    def feed(self, delta: str) -> list[Event]:
        return [] if delta.startswith("<tool_call>") else super().feed(delta)


class Hoarder(Echo):
    def __init__(self) -> None:
        self.seen = ""

    def feed(self, delta: str) -> list[Event]:
        self.seen += delta
        return super().feed(delta)


class Rereader(Echo):
    def __init__(self) -> None:
        self.chunks = 0

    def feed(self, delta: str) -> list[Event]:
        self.chunks += 1
        for _ in range(self.chunks // 20):
            pass
        return super().feed(delta)


class Crasher(Echo):
    def feed(self, delta: str) -> list[Event]:
        raise RuntimeError("cannot read this")


class Jumbled(Echo):
    def finish(self) -> list[Event]:
        return [CallOpened(1, "", "wave"), ArgumentsDelta(1, "{oops"), CallClosed(1, True)]


def faults(feeder: type[Echo], outputs: list[Output]) -> set[str]:
    def factory(tools: Tools) -> Echo:
        return feeder()

    report = check(factory, outputs)
    assert report.passed == (not report.first_failure)
    return set(report.first_failure)


TEXT = [Output("text", "one <tool_call> two")]


def test_a_parser_without_faults_passes() -> None:
    assert faults(Echo, TEXT) == set()


@pytest.mark.parametrize(
    ("feeder", "fault"),
    [
        (ChunkMinded, {"chunking"}),
        (Hoarder, {"memory"}),
        (Rereader, {"work"}),
        (Jumbled, {"order", "json"}),
    ],
)
def test_a_fault_is_found(feeder: type[Echo], fault: set[str]) -> None:
    text = "one <tool_call> two" if feeder is not ChunkMinded else "<tool_call>" * 3
    assert faults(feeder, [Output("text", text)]) == fault


def test_a_crash_fails_the_chunking_law() -> None:
    report = Report()
    report.note("chunking", False, "x")
    assert not report.passed
    with pytest.raises(RuntimeError, match="cannot read"):
        check(lambda tools: Crasher(), [])


def test_missed_calls_are_found() -> None:
    outputs = [output for output in corpus("qwen") if output.calls]
    assert faults(Echo, outputs) == {"calls"}


def test_our_parsers_pass() -> None:
    report = check(
        lambda tools: create_parser("qwen_xml", tools),
        corpus("qwen_xml")[:30],
        lossless=lambda tools: create_parser("qwen_xml", tools, lossless=True),
    )
    assert report.passed
    assert all(report.tried[name] for name in PROPERTIES)


def test_chunkings_are_of_the_text() -> None:
    assert all("".join(chunks) == "some text" for chunks in chunkings("some text"))


def test_the_same_seed_gives_the_same_corpus() -> None:
    one, other = corpus("gemma4", 3), corpus("gemma4", 3)
    assert [output.text for output in one] == [output.text for output in other]


def test_the_scoreboard_names_parsers_and_properties(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passthrough"]) == 0
    shown = capsys.readouterr().out
    assert "passthrough" in shown
    assert all(name in shown for name in PROPERTIES)


def test_the_scoreboard_tries_another_subject(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qwen", "--subject", "smg_tool_parser:create_parser", "--failures"]) == 0
    assert "qwen" in capsys.readouterr().out
