"""The prefix cache of a simulated engine: block-chained hashes under LRU."""

from collections import OrderedDict
from collections.abc import Sequence

__all__ = ("DEFAULT_BLOCK_SIZE", "PrefixCache")

DEFAULT_BLOCK_SIZE = 16


class PrefixCache:
    """Which token prefixes are held, in whole blocks of `block_size` tokens.

    A block is named by the hash of its tokens and of the block before it, so equal names mean equal
    prefixes. At most `capacity_blocks` are held (0 switches the cache off); the least recently
    used go first. A block is always touched after its successors, hence never evicted before them:
    what is held is closed under prefixes.
    """

    def __init__(self, capacity_blocks: int, block_size: int = DEFAULT_BLOCK_SIZE) -> None:
        if capacity_blocks < 0 or block_size < 1:
            raise ValueError("capacity_blocks must be >= 0 and block_size >= 1")
        self.capacity_blocks = capacity_blocks
        self.block_size = block_size
        self.evicted_blocks = 0
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def __repr__(self) -> str:
        return f"<PrefixCache {len(self)} of {self.capacity_blocks} blocks>"

    def match(self, tokens: Sequence[int]) -> int:
        """How many leading tokens of `tokens` are held; marks them as used.

        One token at least is left to compute, as in real engines, which need its logits.
        """
        blocks = self._blocks
        reusable = max(0, len(tokens) - 1) // self.block_size
        found: list[int] = []
        for name in self._names(tokens, reusable):
            if name not in blocks:
                break
            found.append(name)
        for name in reversed(found):
            blocks.move_to_end(name)
        return len(found) * self.block_size

    def insert(self, tokens: Sequence[int]) -> None:
        """Hold every whole block of `tokens` (the first ones, should not all fit)."""
        blocks = self._blocks
        wanted = min(len(tokens) // self.block_size, self.capacity_blocks)
        for name in reversed(self._names(tokens, wanted)):
            blocks[name] = None
            blocks.move_to_end(name)
        while len(blocks) > self.capacity_blocks:
            blocks.popitem(last=False)
            self.evicted_blocks += 1

    def clear(self) -> None:
        """Forget every block."""
        self._blocks.clear()

    def _names(self, tokens: Sequence[int], count: int) -> list[int]:
        size = self.block_size
        names: list[int] = []
        parent = 0
        for start in range(0, count * size, size):
            # Hashes of integer tuples do not depend on PYTHONHASHSEED.
            parent = hash((parent, tuple(tokens[start : start + size])))
            names.append(parent)
        return names
