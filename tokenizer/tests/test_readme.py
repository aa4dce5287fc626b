"""The README's examples do what it says."""

from __future__ import annotations

import doctest
from pathlib import Path


def test_the_examples_in_the_readme_run_as_shown() -> None:
    readme = Path(__file__).parents[1] / "README.md"
    results = doctest.testfile(str(readme), module_relative=False)
    assert results.attempted > 0
    assert results.failed == 0
