"""Noticing that a file has changed."""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ("FileWatch", "Fingerprint")


class Fingerprint(NamedTuple):
    """What tells one state of a file from another. Files that are replaced change their inode."""

    modified_ns: int
    size_bytes: int
    inode: int


class FileWatch:
    """Reports each new state of a file once, and not while it still changes.

    A writer that is half-way through changes the file again soon: a state counts when it was the
    same in two looks.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._known = self._look()
        self._seen = self._known

    def changed(self) -> bool:
        """Look; whether there is a new state that has settled."""
        now = self._look()
        settled, self._seen = now == self._seen, now
        if not settled or now == self._known:
            return False
        self._known = now
        # A file that has vanished is about to come back: mounted volumes swap it like that.
        return now is not None

    def note(self) -> None:
        """The present state is known already."""
        self._known = self._seen = self._look()

    def _look(self) -> Fingerprint | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return Fingerprint(found.st_mtime_ns, found.st_size, found.st_ino)
