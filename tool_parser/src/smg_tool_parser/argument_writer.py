"""Building a call's arguments piece by piece."""

from __future__ import annotations

from .argument_types import quote
from .tape import Tape

__all__ = ("ArgumentWriter", "object_json")


class ArgumentWriter:
    """Writes one JSON object as a call's arguments: whole members, or strings as they come."""

    __slots__ = ("_empty", "_tape")

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._empty = True

    def member(self, key: str, json: str) -> None:
        self._key(key)
        self._tape.arguments(json)

    def open_string(self, key: str) -> None:
        self._key(key)
        self._tape.arguments('"')

    def string_piece(self, text: str) -> None:
        if text:
            self._tape.arguments(quote(text)[1:-1])

    def close_string(self) -> None:
        self._tape.arguments('"')

    def close(self, complete: bool) -> None:
        """Ends the object and the call."""
        self._tape.arguments("{}" if self._empty else "}")
        self._tape.close_call(complete)

    def _key(self, key: str) -> None:
        self._tape.arguments(("{" if self._empty else ", ") + quote(key) + ": ")
        self._empty = False


def object_json(members: dict[str, str]) -> str:
    """An object of keys and JSON values."""
    return "{" + ", ".join(f"{quote(key)}: {json}" for key, json in members.items()) + "}"
