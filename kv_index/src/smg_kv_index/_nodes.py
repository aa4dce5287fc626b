"""The parts of a prefix tree: nodes, and tenants' holds on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import AnyStr, Generic


class Hold(Generic[AnyStr]):
    """One tenant's claim to one node.

    `seen` is its last access, 0 when only keys running on through the node touched it. `kids`
    counts the children that the tenant holds too: at 0 the hold is a leaf and may be evicted.
    """

    __slots__ = ("kids", "node", "seen", "tenant")

    def __init__(self, node: Node[AnyStr], tenant: str, seen: int, kids: int = 0) -> None:
        self.node: Node[AnyStr] = node
        self.tenant = tenant
        self.seen = seen
        self.kids = kids


class Node(Generic[AnyStr]):
    """A piece of key (`edge`), what may follow it, and who holds it.

    Children are found by their edge's first `unit` elements. `reported` is the holder that
    matches name, `latest` the tenant placed through here last, `created` the time the node came
    to be, and `hits` how often it was touched where that is counted.
    """

    __slots__ = ("children", "created", "edge", "hits", "holds", "latest", "parent", "reported")

    def __init__(self, edge: AnyStr, parent: Node[AnyStr] | None) -> None:
        self.edge: AnyStr = edge
        self.parent: Node[AnyStr] | None = parent
        self.children: dict[AnyStr, Node[AnyStr]] = {}
        self.holds: dict[str, Hold[AnyStr]] = {}
        self.reported: str | None = None
        self.latest: str | None = None
        self.created = 0
        self.hits = 0

    def spell(self) -> AnyStr:
        """The whole key from the root to the end of this node."""
        edges: list[AnyStr] = []
        step: Node[AnyStr] | None = self
        while step is not None:
            edges.append(step.edge)
            step = step.parent
        edges.reverse()
        return self.edge[:0].join(edges)

    def split(self, at: int, unit: int) -> Node[AnyStr]:
        """Put a node in front that takes the first `at` elements and a copy of all holds."""
        parent = self.parent
        assert parent is not None, "the root has no edge to split"
        middle = Node(self.edge[:at], parent)
        middle.reported, middle.latest = self.reported, self.latest
        middle.created, middle.hits = self.created, self.hits
        middle.holds = {
            tenant: Hold(middle, tenant, hold.seen, 1) for tenant, hold in self.holds.items()
        }
        parent.children[middle.edge[:unit]] = middle
        self.edge = self.edge[at:]
        self.parent = middle
        middle.children[self.edge[:unit]] = self
        return middle

    def copy_under(self, parent: Node[AnyStr], edge: AnyStr, unit: int) -> None:
        """Hang a copy of this node, with that edge, and of everything below it under `parent`."""
        stack = [(self, parent, edge)]
        while stack:
            source, above, piece = stack.pop()
            copy = Node(piece, above)
            copy.reported, copy.latest = source.reported, source.latest
            for tenant, hold in source.holds.items():
                copy.holds[tenant] = Hold(copy, tenant, hold.seen)
            above.children[piece[:unit]] = copy
            stack.extend((child, copy, child.edge) for child in source.children.values())

    def take_holds(self, source: Node[AnyStr]) -> None:
        """Add the other node's holds; of two by one tenant the later access counts."""
        for tenant, hold in source.holds.items():
            mine = self.holds.get(tenant)
            if mine is None:
                self.holds[tenant] = Hold(self, tenant, hold.seen)
            elif hold.seen > mine.seen:
                mine.seen = hold.seen

    def walk(self) -> list[Node[AnyStr]]:
        """This node and all below it, parents before their children."""
        found = [self]
        for node in found:
            found.extend(node.children.values())
        return found

    def preorder(self) -> Iterator[Node[AnyStr]]:
        """This node and all below it, depth first, children sorted by how they start."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children[start] for start in sorted(node.children, reverse=True))
