"""Commit-msg hook: refuses a message without a `Signed-off-by` line (git commit -s adds it)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_SIGNED = re.compile(r"^Signed-off-by: .+ <.+@.+>$", re.MULTILINE)


def main(message_file: str) -> int:
    """0 when the message in `message_file` is signed off."""
    if _SIGNED.search(Path(message_file).read_text(encoding="utf-8")):
        return 0
    print(
        "This project asks for the Developer Certificate of Origin: commit with `git commit -s`.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
