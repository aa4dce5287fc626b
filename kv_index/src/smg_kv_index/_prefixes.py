"""What the prefix trees over text and over tokens have in common: finding, holding, forgetting.

A key is a text, or tokens packed into bytes. A node's edge is a piece of key; following edges
from the root spells a prefix. Comparing whole edges with `startswith` costs one memory
comparison, so a key of any length takes a few steps.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Collection
from typing import AnyStr, Generic, NamedTuple, TypeAlias, cast

from ._edges import shared_length
from ._nodes import Hold, Node

Spot: TypeAlias = tuple[Node[AnyStr], Node[AnyStr] | None, int, int, bool, int]
"""Where a key leaves a tree: node, child, partial, rest, capped, version.

That is `rest` elements in, after `node`; or further, `partial` elements into the edge of `child`.
`capped` says that the bound on depth ended the search, `version` is the tree's at that moment.
A plain tuple, because every search makes one.
"""


class PrefixMatch(NamedTuple):
    """The longest remembered prefix of a key.

    `tenant` is one holder of the deepest node touched (None when nobody holds it), `matched` and
    `total` count characters or tokens, `holders` are all tenants of that node (a live view: read
    it before the next change) and `latest` is the tenant placed through it last. `spot` is for
    the tree's `place`.
    """

    tenant: str | None
    matched: int
    total: int
    holders: Collection[str]
    latest: str | None
    spot: object

    @property
    def ratio(self) -> float:
        """The matched share, 0 to 1; 0 for an empty key."""
        return self.matched / self.total if self.total else 0.0


class PrefixTree(Generic[AnyStr]):
    """Holds by tenant over a radix tree, with clock, counters and least-recently-used order."""

    def __init__(self, empty: AnyStr, *, unit: int, item_width: int, max_depth: int) -> None:
        # Children are told apart by their first `unit` elements; `item_width` elements of key
        # are one counted item.
        self._empty: AnyStr = empty
        self._unit = unit
        self._width = item_width
        self._levels = range(max_depth)
        self._root: Node[AnyStr] = Node(empty, None)
        self._clock = 0
        self._version = 0
        self._size = 0
        self._holds_count = 0
        self._sizes: dict[str, int] = {}
        # Oldest first. Holds that are no leaves may be missing: once their last leaf is evicted
        # they are due at once, being no younger than what was passed.
        self._order: OrderedDict[Hold[AnyStr], None] = OrderedDict()
        # Tenants on their way out, each with the nodes still to be looked at.
        self._retiring: dict[str, list[Node[AnyStr]]] = {}

    @property
    def size(self) -> int:
        """Characters or tokens remembered, counted once per tenant that holds them."""
        return self._size

    @property
    def holds_count(self) -> int:
        """Pairs of node and tenant: with `size`, the number that memory grows with."""
        return self._holds_count

    @property
    def clock(self) -> int:
        """The time of the last access: operations counted, not wall time."""
        return self._clock

    def tenant_sizes(self) -> dict[str, int]:
        """Characters or tokens per tenant, from running counters."""
        return dict(self._sizes)

    def used_sizes(self) -> dict[str, int]:
        """Characters or tokens per tenant, counted from the nodes."""
        used: dict[str, int] = {}
        for node in self._root.walk():
            for tenant in node.holds:
                used[tenant] = used.get(tenant, 0) + len(node.edge) // self._width
        return used

    def clear(self) -> None:
        """Forget everything."""
        self._root = Node(self._empty, None)
        self._version += 1
        self._size = self._holds_count = 0
        self._sizes.clear()
        self._order.clear()
        self._retiring.clear()

    def evict_to(self, max_size: int, max_holds: int = sys.maxsize) -> int:
        """Drop least recently used leaves of any tenant until both bounds hold.

        Returns the number of characters or tokens given up. Costs time in what is dropped, not
        in what is kept, so it may follow every insert.
        """
        before = self._size
        order = self._order
        while (self._size > max_size or self._holds_count > max_holds) and order:
            hold = next(iter(order))
            if hold.kids:
                del order[hold]
                continue
            exposed = self._drop(hold)
            if exposed is not None and exposed not in order:
                self._put_first(exposed)
        return before - self._size

    def remove_tenant(self, tenant: str, *, prune: bool = False) -> None:
        """Forget a tenant; looks at every node, so `retire_tenant` suits large trees better.

        What nobody holds any more still matches (with no holders) unless `prune` deletes it.
        """
        for node in self._root.walk():
            self._relieve(node, tenant, prune=prune)
        self._root.holds.pop(tenant, None)
        self._sizes.pop(tenant, None)

    def retire_tenant(self, tenant: str) -> None:
        """Forget a tenant, pruning what nobody else holds, bit by bit in calls of `tidy`.

        Until that is done it is still named as a holder. Given anything again, it stays.
        """
        self._retiring[tenant] = [self._root]

    def tidy(self, max_nodes: int) -> bool:
        """Look at up to that many nodes for retired tenants; whether no work is left."""
        while self._retiring:
            tenant, nodes = next(iter(self._retiring.items()))
            while nodes:
                if max_nodes <= 0:
                    return False
                max_nodes -= 1
                node = nodes.pop()
                nodes.extend(node.children.values())
                self._relieve(node, tenant, prune=True)
            self._root.holds.pop(tenant, None)
            self._sizes.pop(tenant, None)
            del self._retiring[tenant]
        return True

    def _relieve(self, node: Node[AnyStr], tenant: str, *, prune: bool) -> None:
        """Take a tenant off a node, and what is empty by that off the tree."""
        hold = node.holds.get(tenant)
        if hold is not None:
            self._release(hold)
        step = node
        while prune and not step.holds and not step.children and step.parent is not None:
            self._unlink(step)
            step = step.parent

    def _descend(self, key: AnyStr) -> Spot[AnyStr]:
        node, at, size, unit = self._root, 0, len(key), self._unit
        for _ in self._levels:
            if at >= size:
                break
            child = node.children.get(key[at : at + unit])
            if child is None:
                break
            edge = child.edge
            if not key.startswith(edge, at):
                shared = shared_length(edge, key, at)
                return node, child, shared // unit * unit, at, False, self._version
            node = child
            at += len(edge)
        else:
            return node, None, 0, at, True, self._version
        return node, None, 0, at, False, self._version

    def _resume(self, spot: object, key: AnyStr) -> Spot[AnyStr]:
        """The spot found by a match of `key`, or a fresh one when the tree changed since."""
        found = cast("Spot[AnyStr] | None", spot)
        return found if found and found[-1] == self._version else self._descend(key)

    def _hold(self, node: Node[AnyStr], tenant: str) -> Hold[AnyStr]:
        """The tenant's hold on a node, made if need be, with both leaf counts kept right."""
        hold = node.holds.get(tenant)
        if hold is None:
            kids = sum(tenant in child.holds for child in node.children.values())
            hold = node.holds[tenant] = Hold(node, tenant, 0, kids)
            if node.parent is None:
                self._sizes.setdefault(tenant, 0)
            else:
                self._holds_count += 1
                self._count(tenant, len(node.edge))
                above = node.parent.holds.get(tenant)
                if above is not None:
                    above.kids += 1
        return hold

    def _split(self, child: Node[AnyStr], at: int) -> Node[AnyStr]:
        middle = child.split(at, self._unit)
        self._holds_count += len(middle.holds)
        for tenant in self._retiring:
            # The search for its holds may have passed here already: make it no new one.
            if tenant in middle.holds:
                self._release(middle.holds[tenant])
        return middle

    def _grow(self, node: Node[AnyStr], edge: AnyStr, tenant: str) -> Hold[AnyStr]:
        """A new leaf, held by `tenant`, under a node that it holds already."""
        leaf = Node(edge, node)
        leaf.reported = leaf.latest = tenant
        node.children[edge[: self._unit]] = leaf
        hold = leaf.holds[tenant] = Hold(leaf, tenant, 0)
        node.holds[tenant].kids += 1
        self._holds_count += 1
        self._count(tenant, len(edge))
        return hold

    def _lengthen(self, node: Node[AnyStr], rest: AnyStr, tenant: str) -> None:
        """At the bound on depth, a leaf that only `tenant` holds takes what follows."""
        if not node.children and len(node.holds) == 1 and node.parent is not None:
            node.edge += rest
            self._count(tenant, len(rest))

    def _see(self, hold: Hold[AnyStr]) -> None:
        hold.seen = self._clock
        if hold.node.parent is not None:
            self._order[hold] = None
            self._order.move_to_end(hold)

    def _see_now(self, hold: Hold[AnyStr]) -> None:
        self._clock += 1
        self._see(hold)

    def _count(self, tenant: str, elements: int) -> None:
        items = elements // self._width
        self._size += items
        self._sizes[tenant] = self._sizes.get(tenant, 0) + items

    def _put_first(self, hold: Hold[AnyStr]) -> None:
        self._order[hold] = None
        self._order.move_to_end(hold, last=False)

    def _drop(self, hold: Hold[AnyStr]) -> Hold[AnyStr] | None:
        """Evict a leaf hold; the hold above it when that is now a leaf and may go as well."""
        node = hold.node
        parent = node.parent
        self._release(hold)
        if not node.holds and not node.children:
            self._unlink(node)
        if parent is None or parent.parent is None:
            return None
        above = parent.holds.get(hold.tenant)
        return None if above is None or above.kids else above

    def _release(self, hold: Hold[AnyStr]) -> None:
        node, tenant = hold.node, hold.tenant
        parent = node.parent
        if parent is None:
            return
        self._version += 1
        self._order.pop(hold, None)
        del node.holds[tenant]
        self._holds_count -= 1
        self._count(tenant, -len(node.edge))
        above = parent.holds.get(tenant)
        if above is not None:
            above.kids -= 1

    def _unlink(self, node: Node[AnyStr]) -> None:
        siblings = node.parent.children if node.parent is not None else {}
        start = node.edge[: self._unit]
        # A node met again after its time must not take its successor with it.
        if siblings.get(start) is node:
            self._version += 1
            del siblings[start]

    def _reindex(self) -> None:
        """Rebuild what is derived from nodes and holds: counters, leaf counts and order."""
        self._version += 1
        sizes = dict.fromkeys((*self._sizes, *self._root.holds), 0)
        holds: list[Hold[AnyStr]] = []
        for node in self._root.walk():
            for tenant, hold in node.holds.items():
                hold.kids = sum(tenant in child.holds for child in node.children.values())
                self._clock = max(self._clock, hold.seen)
                if node is not self._root:
                    sizes[tenant] = sizes.get(tenant, 0) + len(node.edge) // self._width
                    holds.append(hold)
        holds.sort(key=lambda hold: hold.seen)
        self._sizes = sizes
        self._size = sum(sizes.values())
        self._holds_count = len(holds)
        self._order = OrderedDict.fromkeys(holds)
