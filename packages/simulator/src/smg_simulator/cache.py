"""Which prompt blocks an engine holds, by the names that a trace gives them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

__all__ = ("BlockCache", "BoundlessCache", "LruCache", "make_cache")


class BlockCache(Protocol):
    """A prefix cache in whole blocks. Names stand for whole prefixes, as in `TraceRequest`."""

    bounded: bool

    def match(self, names: Sequence[int]) -> int:
        """How many leading blocks of `names` are held; marks them as used."""
        ...

    def insert(self, names: Sequence[int]) -> Sequence[int]:
        """Hold these blocks (the first ones, should not all fit); those given up for them."""
        ...

    def clear(self) -> None:
        """Forget every block."""
        ...


class BoundlessCache:
    """Never forgets, whatever it is given."""

    bounded = False

    def __init__(self) -> None:
        self._held: set[int] = set()

    def __len__(self) -> int:
        return len(self._held)

    def match(self, names: Sequence[int]) -> int:
        held = self._held
        for count, name in enumerate(names):
            if name not in held:
                return count
        return len(names)

    def insert(self, names: Sequence[int]) -> Sequence[int]:
        self._held.update(names)
        return ()

    def clear(self) -> None:
        self._held.clear()


class LruCache:
    """Holds at most `capacity_blocks`, and gives up the least recently used first.

    A block is always touched after its successors, hence never given up before them.
    """

    bounded = True

    def __init__(self, capacity_blocks: int) -> None:
        self._capacity = capacity_blocks
        self._held: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def match(self, names: Sequence[int]) -> int:
        held = self._held
        count = 0
        for name in names:
            if name not in held:
                break
            count += 1
        for name in reversed(names[:count]):
            held.move_to_end(name)
        return count

    def insert(self, names: Sequence[int]) -> Sequence[int]:
        held = self._held
        for name in reversed(names[: self._capacity]):
            held[name] = None
            held.move_to_end(name)
        return [held.popitem(last=False)[0] for _ in range(len(held) - self._capacity)]

    def clear(self) -> None:
        self._held.clear()


def make_cache(capacity_blocks: int | None) -> BlockCache:
    """An empty cache of that many blocks; None is without bound, 0 holds nothing."""
    return BoundlessCache() if capacity_blocks is None else LruCache(capacity_blocks)
