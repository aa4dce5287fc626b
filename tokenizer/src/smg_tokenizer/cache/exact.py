"""L0: the encodings of whole texts, found by the text itself."""

from typing import Final

from ..interface import Encoding
from .statistics import CacheStatistics
from .store import BoundedStore, ids_bytes, text_length_bytes, text_memory_bytes

# Hashing a long text takes longer than all the rest of a lookup, so texts are found by a sample
# of their characters and then compared. Of texts with one sample the latest is kept.
SAMPLED_CHARS: Final = 64

Key = tuple[bool, int, str]


class ExactCache:
    """Whole texts. Texts are compared, not only their samples, so a hit is never wrong."""

    def __init__(self, *, max_entries: int | None, max_bytes: int | None) -> None:
        """None for no limit."""
        self._store: BoundedStore[Key, tuple[str, Encoding]] = BoundedStore(
            max_entries=max_entries, max_bytes=max_bytes
        )

    def get(self, text: str, add_special_tokens: bool) -> Encoding | None:
        """The encoding of `text`, if it is kept."""
        kept = self._store.get(_key(text, add_special_tokens), lambda entry: entry[0] == text)
        return None if kept is None else kept[1]

    def put(self, text: str, add_special_tokens: bool, encoding: Encoding) -> None:
        """Keep an encoding."""
        self._store.put(
            _key(text, add_special_tokens),
            (text, encoding),
            size_bytes=text_memory_bytes(text) + ids_bytes(encoding.ids),
            text_bytes=text_length_bytes(text),
        )

    def clear(self) -> None:
        """Forget everything."""
        self._store.clear()

    def statistics(self) -> CacheStatistics:
        """What has been found and kept so far."""
        return self._store.statistics()


def _key(text: str, add_special_tokens: bool) -> Key:
    """The flag, the length, and characters of the beginning, the end and in between."""
    length = len(text)
    if length <= 4 * SAMPLED_CHARS:
        return add_special_tokens, length, text
    step = length // SAMPLED_CHARS
    sample = text[:SAMPLED_CHARS] + text[::step] + text[-SAMPLED_CHARS:]
    return add_special_tokens, length, sample
