"""A prefix tree over text: which tenants (workers) were given a text that starts like this one?"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from ._edges import shared_length
from ._merging import dump, merge, restore
from ._nodes import Hold
from ._prefixes import PrefixMatch, PrefixTree, Spot
from .snapshot import SnapshotNode

REFRESH_EVERY = 8
"""One match in this many counts as an access of the tenant it names."""


class StringTree(PrefixTree[str]):
    """Approximate prefix index over text; lengths are code points, nothing is normalised.

    `max_depth` bounds the nodes visited per operation, so that a hostile sequence of prompts
    cannot make every request slow. What lies beyond is remembered only where one tenant alone
    was given it, as in a very long conversation.
    Not safe for concurrent use: keep all calls on one thread.
    """

    def __init__(self, *, max_depth: int = sys.maxsize) -> None:
        super().__init__("", unit=1, item_width=1, max_depth=max_depth)

    def match(self, text: str) -> PrefixMatch:
        """The longest remembered prefix of `text` and who holds it.

        An edge that matches only in part still counts with its matching characters and its
        holders. One match in `REFRESH_EVERY` also counts as an access of the tenant it names.
        """
        spot = self._descend(text)
        node, child, partial, rest, _, _ = spot
        final = child or node
        holds = final.holds
        tenant = final.reported
        if tenant not in holds:
            tenant = next(iter(holds), None)
            if tenant is not None:
                final.reported = tenant
        self._clock += 1
        if tenant is not None and self._clock % REFRESH_EVERY == 0:
            self._see(holds[tenant])
        return PrefixMatch(tenant, rest + partial, len(text), holds.keys(), final.latest, spot)

    def peek(self, text: str) -> PrefixMatch:
        """`match` without being an access: the tree is afterwards as it was before."""
        spot = self._descend(text)
        node, child, partial, rest, _, _ = spot
        final = child or node
        holds = final.holds
        tenant = final.reported if final.reported in holds else next(iter(holds), None)
        return PrefixMatch(tenant, rest + partial, len(text), holds.keys(), final.latest, spot)

    def match_tenant(self, text: str, tenant: str) -> int:
        """How many leading characters of `text` are held by `tenant`; counts as an access."""
        node, matched, size = self._root, 0, len(text)
        for _ in self._levels:
            if matched >= size:
                break
            child = node.children.get(text[matched])
            if child is None or tenant not in child.holds:
                break
            node = child
            shared = shared_length(child.edge, text, matched)
            matched += shared
            if shared < len(child.edge):
                break
        hold = node.holds.get(tenant)
        if hold is not None:
            self._see_now(hold)
        return matched

    def insert(self, text: str, tenant: str) -> None:
        """Remember that `tenant` was given `text`."""
        self._settle(self._descend(text), text, tenant)

    def place(self, match: PrefixMatch, text: str, tenant: str) -> None:
        """`insert`, continuing from this tree's `match` of the same text."""
        self._settle(self._resume(match.spot, text), text, tenant)

    def match_and_insert(self, text: str, tenant: str) -> PrefixMatch:
        """`match` as it is before, then `insert`, in one search."""
        match = self.match(text)
        match = match._replace(holders=tuple(match.holders))
        self.place(match, text, tenant)
        return match

    def evict_each_to(self, max_characters: int) -> int:
        """Drop least recently used leaves of every tenant that holds more than the bound.

        Returns the number of characters given up; looks at every hold.
        """
        before = self._size
        sizes = self._sizes
        for hold in tuple(self._order):
            tenant, seen = hold.tenant, hold.seen
            if hold.kids:
                continue
            leaf: Hold[str] | None = hold
            while leaf is not None and sizes[tenant] > max_characters:
                leaf = self._drop(leaf)
                if leaf is not None and leaf in self._order and leaf.seen > seen:
                    break
            if leaf is not None and leaf not in self._order:
                self._put_first(leaf)
        return before - self._size

    def evict_tenant(self, tenant: str, max_characters: int) -> int:
        """Drop the oldest holds of one tenant, leaves or not, until it holds no more than that.

        Nodes stay, so that what other tenants know of them stays too. Returns the characters
        given up; looks at every node.
        """
        before = self._size
        held = [node.holds[tenant] for node in self._root.walk() if tenant in node.holds]
        held.sort(key=lambda hold: hold.seen)
        for hold in held:
            if self._sizes[tenant] <= max_characters:
                break
            self._release(hold)
        freed = before - self._size
        if freed:
            self._reindex()
        return freed

    def entries(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Every held node as (whole text, sorted holders): parents first, by code points."""
        for node in self._root.preorder():
            if node.holds:
                yield node.spell(), tuple(sorted(node.holds))

    def changes_since(self, clock: int) -> list[tuple[str, str, int]]:
        """Accesses later than `clock` as (text, tenant, time), newest first.

        Given to `insert` of another tree, oldest first, they bring it up to date.
        """
        changes: list[tuple[str, str, int]] = []
        for hold in reversed(self._order):
            if hold.seen <= clock:
                break
            changes.append((hold.node.spell(), hold.tenant, hold.seen))
        return changes

    def snapshot(self) -> list[SnapshotNode]:
        """The whole tree as a flat list in pre-order; see `encode_snapshot`."""
        return dump(self._root)

    @classmethod
    def from_snapshot(
        cls, nodes: Sequence[SnapshotNode], *, max_depth: int = sys.maxsize
    ) -> StringTree:
        """A tree equal to the one the snapshot was taken of.

        Raises `SnapshotInvalid` when the list describes no tree.
        """
        tree = cls(max_depth=max_depth)
        tree._root = restore(nodes)
        tree._reindex()
        return tree

    def merge(self, other: StringTree, *, exact: bool = False) -> None:
        """Add everything that `other` remembers; of two accesses by one tenant the later counts.

        By default two shortcuts of SMG are kept: parts of the other tree may be credited to a
        local prefix that only starts alike, or be left out where its prefixes end inside longer
        local ones. `exact` takes neither.
        """
        merge(self._root, other._root, exact=exact)
        self._reindex()

    def _settle(self, spot: Spot[str], text: str, tenant: str) -> None:
        self._version += 1
        if self._retiring:
            self._retiring.pop(tenant, None)
        if tenant not in self._root.holds:
            self._hold(self._root, tenant)
        node, child, partial, at, capped, _ = spot
        if child is not None:
            node = self._split(child, partial)
            at += partial
        step = node
        while step.parent is not None:
            step.latest = tenant
            if tenant not in step.holds:
                self._hold(step, tenant)
            step = step.parent
        step.latest = tenant
        if at == len(text):
            self._see_now(node.holds[tenant])
        elif capped:
            self._lengthen(node, text[at:], tenant)
            self._see_now(node.holds[tenant])
        else:
            self._see_now(self._grow(node, text[at:], tenant))
