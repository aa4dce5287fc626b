"""Code in the guides is code that runs: each block is a part of the file it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(
    r"^```(?:python|toml)\n# (?P<path>\S+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL
)
GUIDES = [
    guide
    for guide in sorted((ROOT / "docs" / "guides").glob("*.md"))
    if _BLOCK.search(guide.read_text())
]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_every_block_of_a_guide_stands_in_its_file(guide: Path) -> None:
    for block in _BLOCK.finditer(guide.read_text()):
        assert block["code"] in (ROOT / block["path"]).read_text(), block["path"]


def test_there_is_such_a_guide() -> None:
    assert "add_a_routing_policy" in [guide.stem for guide in GUIDES]
