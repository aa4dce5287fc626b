"""Cases that once broke a law, or that lie close to where one could break, are tried again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .replaying import Case, broken_law

FOLDER = Path(__file__).parent / "data" / "regressions"
CASES: dict[str, Case] = {
    f"{file.stem} {number}": json.loads(line)
    for file in sorted(FOLDER.glob("*.jsonl"))
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_laws_hold(case: Case) -> None:
    assert broken_law(case) == ""


def test_there_are_cases() -> None:
    assert CASES
