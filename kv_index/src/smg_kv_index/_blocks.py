"""The blocks of an event index: who holds each, and which follows which.

Blocks are numbered, and what is known of them lies in columns by number. That is half the memory
of an object per block, gives the garbage collector nothing to walk through, and lets a whole
chain be added at once. Sets of holders are integers, one bit per holder.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise

NOBODY = -1
"""The number of no block: the parent of one that starts a prompt, or that is not known yet."""

_SEVERAL = -2
"""In the column of successors: there are more, in a set of their own."""


class BlockTable:
    """Blocks by chain hash, each with its holders.

    A holder is stranded at a block when it holds it without one before it. A block that nobody
    holds stays as long as another one follows it.
    """

    __slots__ = (
        "_branches",
        "_free",
        "_next",
        "hashes",
        "holders",
        "numbers",
        "parents",
        "stranded",
    )

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.hashes: list[int] = []
        self.holders: list[int] = []
        self.parents = array("i")
        # Most blocks have one successor at most: a set is only made for the second.
        self._next = array("i")
        self._branches: dict[int, set[int]] = {}
        # Stranded holders of blocks that have any.
        self.stranded: dict[int, int] = {}
        self._free: list[int] = []

    def reached(self, number: int) -> int:
        """The holders of a block that also hold all blocks before it."""
        if self.stranded:
            return self.holders[number] & ~self.stranded.get(number, 0)
        return self.holders[number]

    def place(self, chain_hash: int, parent: int) -> int:
        """The number of a block, made if need be and linked to its parent."""
        number = self.numbers.get(chain_hash)
        if number is None:
            return self.append([chain_hash], parent, 0)[0]
        if parent != NOBODY and self.parents[number] == NOBODY:
            # Adopted before its parent was.
            self.parents[number] = parent
            self._link(parent, number)
        return number

    def append(self, hashes: Sequence[int], parent: int, bit: int) -> list[int]:
        """Make blocks that follow one another, all held by `bit`; their numbers.

        There is at least one hash, and none of them is there already.
        """
        if self._free:
            numbers = self._allot(len(hashes))
            self._enter(hashes, numbers, parent, bit)
        else:
            start, count = len(self.hashes), len(hashes)
            numbers = list(range(start, start + count))
            self.hashes += hashes
            self.holders += [bit] * count
            links = array("i", numbers)
            self.parents.append(parent)
            self.parents += links[:-1]
            self._next += links[1:]
            self._next.append(NOBODY)
        self.numbers.update(zip(hashes, numbers, strict=True))
        if parent != NOBODY:
            self._link(parent, numbers[0])
            if bit and not self.reached(parent) & bit:
                self.stranded.update(dict.fromkeys(numbers, bit))
        return numbers

    def hold(self, number: int, bit: int) -> None:
        """Add a holder to a block that it does not hold."""
        self.holders[number] |= bit
        parent = self.parents[number]
        if parent != NOBODY and not self.reached(parent) & bit:
            self.stranded[number] = self.stranded.get(number, 0) | bit
        elif self.stranded:
            self._rescue(number, bit)

    def release(self, number: int, bit: int) -> None:
        """Take a holder off a block, and off the table what is of no more use by that."""
        self.holders[number] &= ~bit
        if self.stranded.get(number, 0) & bit:
            self._clear(number, bit)
        else:
            self._strand(number, bit)
        while number != NOBODY and not self.holders[number] and self._next[number] == NOBODY:
            number = self._drop(number)

    # Numbers

    def _allot(self, count: int) -> list[int]:
        """Numbers for that many new blocks: those of blocks that are gone, then further ones."""
        free = self._free
        if len(free) >= count:
            numbers = free[-count:]
            del free[-count:]
            return numbers
        start = len(self.hashes)
        fresh = range(start, start + count - len(free))
        numbers = [*free, *fresh]
        free.clear()
        nothing = [0] * len(fresh)
        self.hashes += nothing
        self.holders += nothing
        links = array("i", [NOBODY]) * len(fresh)
        self.parents += links
        self._next += links
        return numbers

    def _enter(self, hashes: Sequence[int], numbers: list[int], parent: int, bit: int) -> None:
        """Fill the columns of blocks that follow one another, whatever their numbers."""
        before = parent
        for number, chain_hash in zip(numbers, hashes, strict=True):
            self.hashes[number] = chain_hash
            self.holders[number] = bit
            self.parents[number] = before
            before = number
        for number, follower in pairwise(numbers):
            self._next[number] = follower

    def _drop(self, number: int) -> int:
        """Forget a block; its parent."""
        parent = self.parents[number]
        del self.numbers[self.hashes[number]]
        self.hashes[number] = 0
        self.parents[number] = NOBODY
        self._free.append(number)
        if parent != NOBODY:
            self._unlink(parent, number)
        return parent

    # Links

    def _children(self, number: int) -> Iterable[int]:
        child = self._next[number]
        if child == NOBODY:
            return ()
        return self._branches[number] if child == _SEVERAL else (child,)

    def _link(self, parent: int, child: int) -> None:
        known = self._next[parent]
        if known == NOBODY:
            self._next[parent] = child
        elif known == _SEVERAL:
            self._branches[parent].add(child)
        else:
            self._branches[parent] = {known, child}
            self._next[parent] = _SEVERAL

    def _unlink(self, parent: int, child: int) -> None:
        if self._next[parent] != _SEVERAL:
            self._next[parent] = NOBODY
            return
        branches = self._branches[parent]
        branches.discard(child)
        if len(branches) == 1:
            self._next[parent] = branches.pop()
            del self._branches[parent]

    # Gaps

    def _rescue(self, number: int, bit: int) -> None:
        """A gap is filled: what the holder has behind it counts again."""
        stack = [number]
        while stack:
            for child in self._children(stack.pop()):
                if self.stranded.get(child, 0) & bit:
                    self._clear(child, bit)
                    stack.append(child)

    def _strand(self, number: int, bit: int) -> None:
        """A gap opens: what the holder has behind it is of no use."""
        stranded = self.stranded
        stack = [number]
        while stack:
            for child in self._children(stack.pop()):
                if self.holders[child] & bit and not stranded.get(child, 0) & bit:
                    stranded[child] = stranded.get(child, 0) | bit
                    stack.append(child)

    def _clear(self, number: int, bit: int) -> None:
        left = self.stranded[number] & ~bit
        if left:
            self.stranded[number] = left
        else:
            del self.stranded[number]
