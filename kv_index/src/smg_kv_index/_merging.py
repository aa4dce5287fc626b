"""Whole text trees: flattening, restoring, merging one into another."""

from __future__ import annotations

from collections.abc import Sequence

from ._edges import shared_length
from ._nodes import Hold, Node
from .snapshot import SnapshotInvalid, SnapshotNode


def dump(root: Node[str]) -> list[SnapshotNode]:
    """The tree as a flat list."""
    return [
        SnapshotNode(
            node.edge,
            tuple((tenant, node.holds[tenant].seen) for tenant in sorted(node.holds)),
            len(node.children),
        )
        for node in root.preorder()
    ]


def restore(nodes: Sequence[SnapshotNode]) -> Node[str]:
    """The tree from a flat list; raises `SnapshotInvalid` when the child counts do not add up.

    A child without text is left out together with everything below it.
    """
    root = Node("", None)
    # Per open node: it (None inside a part that is left out), and children still to come.
    open_nodes: list[tuple[Node[str] | None, int]] = [(root, 1)] if nodes else []
    for index, (edge, tenants, child_count) in enumerate(nodes):
        while open_nodes and open_nodes[-1][1] == 0:
            open_nodes.pop()
        if not open_nodes:
            raise SnapshotInvalid(f"node {index} belongs to no parent")
        parent, left = open_nodes[-1]
        open_nodes[-1] = (parent, left - 1)
        node = root if index == 0 else _child(parent, edge)
        if node is not None:
            for tenant, seen in tenants:
                node.holds[tenant] = Hold(node, tenant, seen)
        open_nodes.append((node, child_count))
    if any(left for _, left in open_nodes):
        raise SnapshotInvalid("the list of nodes ends early")
    return root


def _child(parent: Node[str] | None, edge: str) -> Node[str] | None:
    if parent is None or not edge:
        return None
    child = parent.children[edge[0]] = Node(edge, parent)
    return child


def merge(local: Node[str], remote: Node[str], *, exact: bool) -> None:
    """Add what `remote` holds to `local`; counters and orders are left to the caller.

    Without `exact` the two shortcuts of the compatible merge are taken: once a local edge is
    used up, the rest of a remote edge goes to the local child that starts with the same
    character, whether or not more of it agrees; and what lies below a remote node that ends
    inside a local edge is not taken over.
    """
    pairs = [(local, remote)]
    while pairs:
        mine, theirs = pairs.pop()
        mine.take_holds(theirs)
        for child in theirs.children.values():
            landing = _merge_child(mine, child, exact=exact)
            if landing is not None:
                pairs.append((landing, child))


def _merge_child(mine: Node[str], child: Node[str], *, exact: bool) -> Node[str] | None:
    """Merge one remote child; the local node to go on with, None when all of it is settled."""
    edge = child.edge
    while True:
        local = mine.children.get(edge[0])
        if local is None:
            child.copy_under(mine, edge, 1)
            return None
        shared = shared_length(local.edge, edge, 0)
        if shared < len(local.edge):
            middle = local.split(shared, 1)
            middle.take_holds(child)
            if shared < len(edge):
                child.copy_under(middle, edge[shared:], 1)
                return None
            return middle if exact else None
        if shared == len(edge):
            return local
        local.take_holds(child)
        edge = edge[shared:]
        mine = local
        if not exact:
            deeper = local.children.get(edge[0])
            if deeper is not None:
                return deeper
