"""L0: the encodings of whole texts, found by the text itself."""

from ..interface import Encoding
from .statistics import CacheStatistics
from .store import BoundedStore, ids_bytes, text_length_bytes, text_memory_bytes


class ExactCache:
    """Whole texts. Texts are compared, not only their hashes, so a hit is never wrong."""

    def __init__(self, *, max_entries: int | None, max_bytes: int | None) -> None:
        # With and without special tokens: two maps, so that the text alone is the key and its
        # hash, which Python remembers, is all that a lookup computes.
        self._store: BoundedStore[str | tuple[str], Encoding] = BoundedStore(
            max_entries=max_entries, max_bytes=max_bytes
        )

    def get(self, text: str, add_special_tokens: bool) -> Encoding | None:
        """The encoding of `text`, if it is kept."""
        return self._store.get((text,) if add_special_tokens else text)

    def put(self, text: str, add_special_tokens: bool, encoding: Encoding) -> None:
        """Keep an encoding."""
        self._store.put(
            (text,) if add_special_tokens else text,
            encoding,
            size_bytes=text_memory_bytes(text) + ids_bytes(encoding.ids),
            text_bytes=text_length_bytes(text),
        )

    def clear(self) -> None:
        """Forget everything."""
        self._store.clear()

    def statistics(self) -> CacheStatistics:
        """What has been found and kept so far."""
        return self._store.statistics()
