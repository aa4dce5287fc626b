"""A map bounded in entries and in bytes, least recently used out first."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from .statistics import CacheStatistics

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

# What the map itself, the key's tuple and the value's objects take per entry, about.
ENTRY_OVERHEAD_BYTES: Final = 400


class BoundedStore(Generic[Key, Value]):
    """Thread-safe. An entry larger than the whole store is not kept."""

    def __init__(self, *, max_entries: int | None, max_bytes: int | None) -> None:
        """None for no limit; 0 keeps nothing."""
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, tuple[Value, int, int]] = OrderedDict()
        self._memory_bytes = 0
        self._hits = self._misses = self._evictions = self._reused_bytes = 0

    def get(self, key: Key, fits: Callable[[Value], bool] | None = None) -> Value | None:
        """The value, which becomes the most recently used one; a miss if it does not fit."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or not (fits is None or fits(entry[0])):
                self._misses += 1
                return None
            self._entries.move_to_end(key)
            self._hits += 1
            self._reused_bytes += entry[2]
            return entry[0]

    def put(self, key: Key, value: Value, *, size_bytes: int, text_bytes: int) -> None:
        """Keep a value. `size_bytes` counts against the limit, `text_bytes` is reused by a hit."""
        size_bytes += ENTRY_OVERHEAD_BYTES
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self._memory_bytes -= old[1]
            if self._max_entries == 0:
                return
            if self._max_bytes is not None and size_bytes > self._max_bytes:
                return
            self._entries[key] = (value, size_bytes, text_bytes)
            self._memory_bytes += size_bytes
            while self._over():
                _, (_, freed_bytes, _) = self._entries.popitem(last=False)
                self._memory_bytes -= freed_bytes
                self._evictions += 1

    def clear(self) -> None:
        """Forget all entries and counters."""
        with self._lock:
            self._entries.clear()
            self._memory_bytes = 0
            self._hits = self._misses = self._evictions = self._reused_bytes = 0

    def statistics(self) -> CacheStatistics:
        with self._lock:
            return CacheStatistics(
                self._hits,
                self._misses,
                len(self._entries),
                self._memory_bytes,
                self._evictions,
                self._reused_bytes,
            )

    def _over(self) -> bool:
        if self._max_entries is not None and len(self._entries) > self._max_entries:
            return True
        return self._max_bytes is not None and self._memory_bytes > self._max_bytes


def ids_bytes(ids: tuple[int, ...]) -> int:
    """Memory of a tuple of ids: the tuple, and an int object for each id that is not shared."""
    return sys.getsizeof(ids) + 28 * len(ids)


def text_memory_bytes(text: str) -> int:
    """Memory of a text, as Python keeps it."""
    return sys.getsizeof(text)


def text_length_bytes(text: str) -> int:
    """Length in UTF-8, whatever lone surrogates count as."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
