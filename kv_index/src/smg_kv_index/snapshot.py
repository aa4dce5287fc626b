"""The exchange form of a prefix tree: a flat list of nodes, and its binary encoding.

Nodes stand in pre-order. The encoding is that of bincode 1 with fixed-width little-endian
integers: u64 counts and times, a u32 child count, UTF-8 text with a u64 length.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")


class SnapshotInvalid(ValueError):
    """The bytes, or the list of nodes, do not describe a tree."""


class SnapshotNode(NamedTuple):
    """One node: its piece of text, (tenant, time of last access) pairs, and how many children."""

    edge: str
    tenants: tuple[tuple[str, int], ...]
    child_count: int


def encode_snapshot(nodes: Sequence[SnapshotNode]) -> bytes:
    """The binary form of `nodes`."""
    parts = [_U64.pack(len(nodes))]
    for edge, tenants, child_count in nodes:
        parts.extend((_text(edge), _U64.pack(len(tenants))))
        for tenant, seen in tenants:
            parts.extend((_text(tenant), _U64.pack(seen)))
        parts.append(_U32.pack(child_count))
    return b"".join(parts)


def decode_snapshot(data: bytes) -> list[SnapshotNode]:
    """The nodes in `data`; raises `SnapshotInvalid` for anything else than one whole snapshot."""
    reader = _Reader(data)
    try:
        nodes = [
            SnapshotNode(
                reader.text(),
                tuple((reader.text(), reader.u64()) for _ in range(reader.count(16))),
                reader.u32(),
            )
            for _ in range(reader.count(20))
        ]
    except (struct.error, UnicodeDecodeError) as error:
        raise SnapshotInvalid(f"not a tree snapshot: {error}") from error
    if reader.at != len(data):
        raise SnapshotInvalid(f"{len(data) - reader.at} bytes after the end of the snapshot")
    return nodes


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return _U64.pack(len(encoded)) + encoded


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def u64(self) -> int:
        value: int = _U64.unpack_from(self._data, self.at)[0]
        self.at += 8
        return value

    def u32(self) -> int:
        value: int = _U32.unpack_from(self._data, self.at)[0]
        self.at += 4
        return value

    def count(self, item_bytes: int) -> int:
        """A count of items of at least that many bytes each: refused when they cannot fit."""
        count = self.u64()
        if count * item_bytes > len(self._data) - self.at:
            raise SnapshotInvalid(
                f"{count} items announced, {len(self._data) - self.at} bytes left"
            )
        return count

    def text(self) -> str:
        length = self.count(1)
        end = self.at + length
        text = self._data[self.at : end].decode("utf-8", "surrogatepass")
        self.at = end
        return text
