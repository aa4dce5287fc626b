"""The benchmark runs, compares ids, and prints a line per measurement."""

from __future__ import annotations

from pathlib import Path

import pytest
from smg_tokenizer import bench


def test_texts_are_as_long_as_their_name_says() -> None:
    for text in bench.texts().values():
        assert abs(len(text.encode()) - bench.PROMPT_BYTES) < 200


def test_a_tokenizer_is_measured_beside_the_library(models: Path) -> None:
    lines = list(bench.report("bpe", bench.measure(models / "bpe", 1)))
    assert lines[0] == "bpe"
    assert any("encode 8 KiB prose (tiktoken) | tokenizers' encode" in line for line in lines)
    assert any("what 3 stop strings add" in line for line in lines)
    assert any("of a chat, L1" in line for line in lines)


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--help"])
    assert "folders with a tokenizer.json" in capsys.readouterr().out
