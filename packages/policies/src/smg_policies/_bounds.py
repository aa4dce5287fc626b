"""The bound on what is kept per worker, should nobody ever say that workers left."""

from __future__ import annotations

from typing import Any

MAX_WORKERS = 16_384
"""Workers of which counters and estimates are kept; of more, the longest known are forgotten."""


def make_room(table: dict[str, Any]) -> None:
    """Drop the longest known worker when one more would be too many."""
    if len(table) >= MAX_WORKERS:
        del table[next(iter(table))]
