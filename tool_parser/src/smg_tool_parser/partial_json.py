"""Completing JSON that was cut off."""

from __future__ import annotations

from .json_stream import JsonRelay

__all__ = ("complete_json",)


def complete_json(prefix: str) -> str:
    """Makes a beginning of a JSON value a valid one, keeping as much of it as can be kept.

    Open strings, arrays and objects are closed, a key without value gets null, a cut number or
    literal is completed, a trailing comma and an unfinished escape go. An empty prefix gives
    `null`. Text behind a whole value is left out.

    Raises ValueError if no valid JSON begins like this (or only deeper than `MAX_DEPTH`).
    """
    relay = JsonRelay()
    _, fragment = relay.scan(prefix, 0)
    scanner = relay.scanner
    if scanner.failed:
        raise ValueError("not the beginning of a JSON value")
    scanner.finish()
    return fragment + scanner.ending()
