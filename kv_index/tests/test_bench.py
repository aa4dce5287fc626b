"""The benchmark command runs and reports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from random import Random
from types import ModuleType

import pytest
from smg_kv_index import content_hash
from smg_kv_index.bench import bytes_per_block, main


def test_the_command_prints_one_figure_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--prompts", "4", "--tokens", "64", "--rounds", "1", "--memory-blocks", "0"]
    assert main(small) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 14
    assert all(float(line.split(" us ")[0]) > 0 for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="only there memory is looked up")
def test_a_block_takes_no_more_memory_than_promised() -> None:
    per_block = bytes_per_block(256_000, Random(1))
    assert per_block is not None
    assert per_block <= 280


class Tree:
    """Dynamo's tree as the comparison sees it, made of what it is compared with."""

    def apply_event(self, worker: int, message: bytes) -> None:
        assert b'"stored"' in message

    def find_matches(self, hashes: Sequence[int]) -> object:
        return Scores({(0, 0): len(hashes)})


class Scores:
    def __init__(self, scores: dict[tuple[int, int], int]) -> None:
        self.scores = scores


def fake_dynamo() -> ModuleType:
    module = ModuleType("dynamo._core")
    vars(module).update(
        RadixTree=Tree,
        compute_block_hash_for_seq=lambda tokens, size: [
            content_hash(tokens[at : at + size]) for at in range(0, len(tokens), size)
        ],
    )
    return module


def test_a_comparison_shows_both_and_the_ratio(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dynamo", ModuleType("dynamo"))
    monkeypatch.setitem(sys.modules, "dynamo._core", fake_dynamo())
    assert main(["--prompts", "3", "--tokens", "64", "--against", "dynamo"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["here", "there", "ratio"]
    assert len(lines) == 5
    assert all(float(figure) > 0 for line in lines for figure in line.split()[:3])


def test_without_the_rival_the_command_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dynamo", None)
    monkeypatch.delitem(sys.modules, "dynamo._core", raising=False)
    assert main(["--against", "dynamo"]) == 1
    assert capsys.readouterr().err.startswith("cannot compare: ")
