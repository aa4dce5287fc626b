"""Who holds which prompt prefix: approximate over text and tokens, exact over engines' block events.

Trees and indexes are plain values without I/O or global state; each is bounded, and meant to be
used from one thread.
"""

from ._prefixes import PrefixMatch
from .event_index import (
    EventIndex,
    HeldBlock,
    Overlap,
    ParentUnknown,
    WorkerUntracked,
    partition_seed,
)
from .hashing import (
    chain_hashes,
    content_hash,
    pack_tokens,
    path_hash_text,
    path_hash_tokens,
)
from .placements import PlacementIndex
from .snapshot import SnapshotInvalid, SnapshotNode, decode_snapshot, encode_snapshot
from .string_tree import StringTree
from .token_tree import EvictionOrder, TokenEntry, TokenTree

__all__ = (
    "EventIndex",
    "EvictionOrder",
    "HeldBlock",
    "Overlap",
    "ParentUnknown",
    "PlacementIndex",
    "PrefixMatch",
    "SnapshotInvalid",
    "SnapshotNode",
    "StringTree",
    "TokenEntry",
    "TokenTree",
    "WorkerUntracked",
    "chain_hashes",
    "content_hash",
    "decode_snapshot",
    "encode_snapshot",
    "pack_tokens",
    "partition_seed",
    "path_hash_text",
    "path_hash_tokens",
)
