"""L1: the encodings of the pieces between special tokens.

A chat's prompt grows at its end: all pieces but the last ones were encoded for the turn before.
Since added tokens are atomic, a piece has the same ids in every text, so pieces are kept by
themselves: a long prefix costs its memory once, whatever follows it, and a piece is found again
even where what stands before it has changed.
"""

import threading
from collections.abc import Callable
from typing import Final

from ..segments import Segmenter
from .statistics import CacheStatistics
from .store import BoundedStore, ids_bytes, text_length_bytes, text_memory_bytes

# Shorter pieces ("\n", "user\n") are encoded in less time than is spent on keeping them.
MIN_PIECE_CHARS: Final = 16


class PieceCache:
    """Pieces of texts. A text counts as a hit if any piece of it was kept."""

    def __init__(self, *, max_bytes: int | None) -> None:
        self._store: BoundedStore[str, tuple[int, ...]] = BoundedStore(
            max_entries=None, max_bytes=max_bytes
        )
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def encode(
        self, text: str, segmenter: Segmenter, encode_piece: Callable[[str], tuple[int, ...]]
    ) -> tuple[int, ...] | None:
        """The ids of `text` without added special tokens; None if it has no special token.

        `encode_piece` encodes the pieces that are not kept.
        """
        pieces = list(segmenter.split(text))
        if len(pieces) < 2:
            return None
        ids: list[int] = []
        found = False
        for piece, token_id in pieces:
            if token_id is not None:
                ids.append(token_id)
            elif len(piece) < MIN_PIECE_CHARS:
                ids += encode_piece(piece)
            else:
                kept = self._store.get(piece)
                found = found or kept is not None
                ids += kept if kept is not None else self._encode(piece, encode_piece)
        with self._lock:
            if found:
                self._hits += 1
            else:
                self._misses += 1
        return tuple(ids)

    def _encode(
        self, piece: str, encode_piece: Callable[[str], tuple[int, ...]]
    ) -> tuple[int, ...]:
        ids = encode_piece(piece)
        self._store.put(
            piece,
            ids,
            size_bytes=text_memory_bytes(piece) + ids_bytes(ids),
            text_bytes=text_length_bytes(piece),
        )
        return ids

    def clear(self) -> None:
        """Forget everything."""
        self._store.clear()
        with self._lock:
            self._hits = self._misses = 0

    def statistics(self) -> CacheStatistics:
        """What has been found and kept so far; hits and misses count texts, not pieces."""
        with self._lock:
            return self._store.statistics()._replace(hits=self._hits, misses=self._misses)
