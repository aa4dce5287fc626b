"""A prefix tree over token ids: which tenants (workers) were given tokens that start like these?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import NamedTuple

from ._edges import shared_length
from ._nodes import Hold, Node
from ._prefixes import PrefixMatch, PrefixTree, Spot
from .hashing import TOKEN_BYTES, pack_tokens

PAGE_TOKENS = 16
"""Tokens per page: keys are cut to whole pages, and only whole pages match."""

REPORT_EVERY = 16
"""One touch in this many makes the touched tenant the one that a node reports."""

_PAGE_BYTES = PAGE_TOKENS * TOKEN_BYTES


class EvictionOrder(Enum):
    """Which leaf of a tenant `TokenTree.evict_tenant` gives up first; as the engine does it."""

    LRU = "lru"
    LFU = "lfu"
    FIFO = "fifo"
    MRU = "mru"
    FILO = "filo"
    PRIORITY = "priority"


_Rank = Callable[[Hold[bytes]], tuple[int, int]]

# Lowest rank goes first. Nothing gives nodes priorities yet, so that order is by age alone.
_RANKS: Mapping[EvictionOrder, _Rank] = MappingProxyType({
    EvictionOrder.LRU: lambda hold: (hold.seen, 0),
    EvictionOrder.LFU: lambda hold: (hold.node.hits, hold.seen),
    EvictionOrder.FIFO: lambda hold: (hold.node.created, 0),
    EvictionOrder.MRU: lambda hold: (-hold.seen, 0),
    EvictionOrder.FILO: lambda hold: (-hold.node.created, 0),
    EvictionOrder.PRIORITY: lambda hold: (0, hold.seen),
})


class TokenEntry(NamedTuple):
    """One held node: tokens on the whole path, its last page, and the sorted holders."""

    tokens_count: int
    last_page: tuple[int, ...]
    tenants: tuple[str, ...]


class TokenTree(PrefixTree[bytes]):
    """Approximate prefix index over token ids in pages of 16.

    Shorter keys are not stored, and the rest behind the last whole page is ignored.
    `tenant_sizes` counts what is inserted again once more, as the engines' own bookkeeping that
    it imitates does; `size` and `used_sizes` count what is there. `max_depth` bounds the nodes
    visited per operation, as in `StringTree`. Raises `ValueError` for another page size. Not safe for concurrent
    use: keep all calls on one thread.
    """

    def __init__(
        self,
        *,
        order: EvictionOrder = EvictionOrder.LRU,
        page_tokens: int = PAGE_TOKENS,
        max_depth: int = sys.maxsize,
    ) -> None:
        if page_tokens != PAGE_TOKENS:
            raise ValueError(f"pages have {PAGE_TOKENS} tokens, not {page_tokens}")
        super().__init__(b"", unit=_PAGE_BYTES, item_width=TOKEN_BYTES, max_depth=max_depth)
        self._rank = _RANKS[order]
        self._counts_hits = order is EvictionOrder.LFU

    def match(self, tokens: Sequence[int]) -> PrefixMatch:
        """The longest remembered prefix of `tokens`; an access of the tenants it names.

        Stops at a part that nobody holds any more. Without a matching page there are no holders;
        of a key too short to have a page, all tenants count as holders.
        """
        return self.match_packed(pack_tokens(tokens))

    def match_packed(self, packed: bytes) -> PrefixMatch:
        """`match` for tokens from `pack_tokens`."""
        return self._search(packed, touch=True)

    def peek_packed(self, packed: bytes) -> PrefixMatch:
        """`match_packed` without being an access: the tree is afterwards as it was before."""
        return self._search(packed, touch=False)

    def _search(self, packed: bytes, *, touch: bool) -> PrefixMatch:
        total = len(packed) // TOKEN_BYTES
        key = _whole_pages(packed)
        if not key:
            holds = self._root.holds
            return PrefixMatch(next(iter(holds), None), 0, total, holds.keys(), None, None)
        node, at, tenant = self._root, 0, None
        inside: Node[bytes] | None = None
        partial, capped, version = 0, False, self._version
        for _ in self._levels:
            child = node.children.get(key[at : at + _PAGE_BYTES])
            if child is None:
                break
            if not child.holds:
                # An insert goes on from here: let `place_packed` look for itself.
                version = -1
                break
            tenant = child.reported if child.reported in child.holds else next(iter(child.holds))
            assert tenant is not None
            if touch:
                self._touch(child.holds[tenant])
            if not key.startswith(child.edge, at):
                inside = child
                partial = shared_length(child.edge, key, at) // _PAGE_BYTES * _PAGE_BYTES
                break
            node = child
            at += len(child.edge)
        else:
            capped = True
        spot: Spot[bytes] = node, inside, partial, at, capped, version
        matched = (at + partial) // TOKEN_BYTES
        if not matched:
            return PrefixMatch(None, 0, total, (), None, spot)
        final = inside or node
        return PrefixMatch(tenant, matched, total, final.holds.keys(), final.latest, spot)

    def insert(self, tokens: Sequence[int], tenant: str) -> None:
        """Remember that `tenant` was given `tokens`."""
        key = _whole_pages(pack_tokens(tokens))
        if key:
            self._settle(self._descend(key), key, tenant)

    def place_packed(self, match: PrefixMatch, packed: bytes, tenant: str) -> None:
        """`insert`, continuing from this tree's `match_packed` of the same tokens."""
        key = _whole_pages(packed)
        if key:
            self._settle(self._resume(match.spot, key), key, tenant)

    def match_and_insert(self, tokens: Sequence[int], tenant: str) -> PrefixMatch:
        """`match` as it is before, then `insert`, in one search."""
        packed = pack_tokens(tokens)
        match = self.match_packed(packed)
        match = match._replace(holders=tuple(match.holders))
        self.place_packed(match, packed, tenant)
        return match

    def evict_tenant(self, tenant: str, max_tokens: int) -> int:
        """Drop leaves of one tenant, in the tree's order, until its count is down to the bound.

        Returns the tokens given up; looks at every node.
        """
        excess = self._sizes.get(tenant, 0) - max_tokens
        if excess <= 0:
            return 0
        freed = 0
        holds = (node.holds.get(tenant) for node in self._root.walk())
        leaves = [hold for hold in holds if hold is not None and not hold.kids]
        heap = [(self._rank(hold), index) for index, hold in enumerate(leaves)]
        heapify(heap)
        while heap and freed < excess:
            hold = leaves[heappop(heap)[1]]
            node = hold.node
            if node.parent is None:
                del node.holds[tenant]
                continue
            freed += len(node.edge) // TOKEN_BYTES
            exposed = self._give_up(hold)
            if exposed is not None:
                heappush(heap, (self._rank(exposed), len(leaves)))
                leaves.append(exposed)
        return freed

    def evict_each_to(self, max_tokens: int) -> int:
        """`evict_tenant` for every tenant whose count is above the bound."""
        return sum(self.evict_tenant(tenant, max_tokens) for tenant in tuple(self._sizes))

    def entries(self) -> Iterator[TokenEntry]:
        """Every held node: parents first, children by their first page."""
        stack: list[tuple[Node[bytes], int]] = [(self._root, 0)]
        while stack:
            node, above = stack.pop()
            length = above + len(node.edge)
            if node.holds:
                last = node.edge[-_PAGE_BYTES:]
                yield TokenEntry(length // TOKEN_BYTES, _unpack(last), tuple(sorted(node.holds)))
            pages = sorted(node.children, key=_unpack, reverse=True)
            stack.extend((node.children[page], length) for page in pages)

    def _settle(self, spot: Spot[bytes], key: bytes, tenant: str) -> None:
        if self._retiring:
            self._retiring.pop(tenant, None)
        self._hold(self._root, tenant)
        node, child, partial, at, capped, _ = spot
        path: list[Node[bytes]] = []
        step = node
        while step.parent is not None:
            path.append(step)
            step = step.parent
        step.latest = tenant
        for step in reversed(path):
            if tenant in step.holds:
                self._recount(tenant, len(step.edge))
            self._touch(self._hold(step, tenant))
            step.latest = tenant
        middle: Node[bytes] | None = None
        if child is not None:
            node = middle = self._split(child, partial)
            middle.latest = tenant
            self._hold(middle, tenant)
            at += partial
        if at < len(key) and capped:
            self._lengthen(node, key[at:], tenant)
        elif at < len(key):
            hold = self._grow(node, key[at:], tenant)
            self._clock += 1
            hold.node.created = self._clock
            self._touch(hold)
        if middle is not None:
            self._touch(middle.holds[tenant])
        self._version += 1

    def _touch(self, hold: Hold[bytes]) -> None:
        self._see_now(hold)
        if self._counts_hits:
            hold.node.hits += 1
        if self._clock % REPORT_EVERY == 0:
            hold.node.reported = hold.tenant

    def _recount(self, tenant: str, key_bytes: int) -> None:
        self._sizes[tenant] += key_bytes // TOKEN_BYTES

    def _give_up(self, hold: Hold[bytes]) -> Hold[bytes] | None:
        """Evict a leaf hold with what becomes empty above; the hold that is a leaf by that.

        A node that others still hold stays, and then nothing above it is exposed.
        """
        tenant, node = hold.tenant, hold.node
        self._release(hold)
        exposed: Hold[bytes] | None = None
        while not node.holds and not node.children and node.parent is not None:
            self._unlink(node)
            node = node.parent
            above = node.holds.get(tenant)
            if exposed is None and above is not None and not above.kids:
                exposed = above
        return exposed


def _whole_pages(packed: bytes) -> bytes:
    return packed[: len(packed) // _PAGE_BYTES * _PAGE_BYTES]


def _unpack(page: bytes) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(page[at : at + TOKEN_BYTES], "little")
        for at in range(0, len(page), TOKEN_BYTES)
    )
