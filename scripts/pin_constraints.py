"""Writes constraints.txt and its mirror in pyproject.toml from the current environment.

    .venv/bin/python scripts/pin_constraints.py

Only plain `name==version` lines are written, so no package index is named.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "# pinned: begin\n"
END = "# pinned: end\n"


def installed() -> list[str]:
    """`name==version` of every installed distribution that is not part of this workspace."""
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "freeze", "--exclude-editable"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(
        (line for line in frozen.splitlines() if re.fullmatch(r"[A-Za-z0-9._-]+==[^ @]+", line)),
        key=str.lower,
    )


def main() -> None:
    """Rewrite both places."""
    pins = installed()
    header = "# Tested versions. Refresh with scripts/pin_constraints.py.\n"
    (ROOT / "constraints.txt").write_text(header + "\n".join(pins) + "\n", encoding="utf-8")
    project = ROOT / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    lines = "".join(f'    "{pin}",\n' for pin in pins)
    block = f"constraint-dependencies = [\n{lines}]\n"
    project.write_text(before + BEGIN + block + END + after, encoding="utf-8")
    print(f"{len(pins)} versions pinned")


if __name__ == "__main__":
    main()
