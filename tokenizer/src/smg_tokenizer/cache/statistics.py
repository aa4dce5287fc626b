"""What a cache layer has done."""

from typing import NamedTuple


class CacheStatistics(NamedTuple):
    """Counters of one layer since it was made or cleared. Sizes in bytes."""

    hits: int
    misses: int
    entries: int
    memory_bytes: int
    evictions: int
    reused_bytes: int
    """UTF-8 bytes of text that were not encoded again."""

    @property
    def hit_rate(self) -> float:
        """Hits per lookup, 0 before the first one."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0
