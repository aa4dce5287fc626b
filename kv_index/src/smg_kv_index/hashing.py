"""Hashes of tokens and prefixes that mean the same in every process and on every machine."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from struct import Struct, iter_unpack
from struct import error as StructError

from blake3 import blake3
from xxhash import xxh3_64_intdigest

TOKEN_BYTES = 4
"""Width of one token in packed form: unsigned, little endian."""

BLOCK_SEED = 1337
"""The seed under which inference engines and routers hash cache blocks with XXH3."""

EVICTED_EVERYWHERE = 0
"""The path hash that no path has: in an exchange it stands for a tenant that lost everything."""

_ROW_BLOCKS = 32

_CODE = next(code for code in "IL" if array(code).itemsize == TOKEN_BYTES)
_SWAP = sys.byteorder == "big"


def pack_tokens(tokens: Sequence[int]) -> bytes:
    """Token ids as 4-byte little-endian integers.

    Raises `OverflowError` for an id below 0 or above 2**32 - 1.
    """
    packed = array(_CODE, tokens)
    if _SWAP:
        packed.byteswap()
    return packed.tobytes()


def content_hash(tokens: Sequence[int]) -> int:
    """The 64-bit hash of one block's tokens, whatever precedes it."""
    return xxh3_64_intdigest(pack_tokens(tokens), BLOCK_SEED)


def chain_hashes(packed: bytes, block_bytes: int, seed: int = BLOCK_SEED) -> list[int]:
    """One 64-bit hash per whole block of packed tokens, each depending on all blocks before.

    A block is hashed with its predecessor's hash for a seed, the first one with `seed`; so a
    chain can be continued from any of its hashes. A last block that is not whole is left out.
    """
    digest = xxh3_64_intdigest
    count = len(packed) // block_bytes
    # Cutting many blocks off in one call saves a third of the time.
    whole = count - count % _ROW_BLOCKS
    at = whole * block_bytes
    rows = iter_unpack(f"{block_bytes}s" * _ROW_BLOCKS, memoryview(packed)[:at])
    hashes = [seed := digest(block, seed) for row in rows for block in row]
    for end in range(at + block_bytes, count * block_bytes + 1, block_bytes):
        seed = digest(packed[at:end], seed)
        at = end
        hashes.append(seed)
    return hashes


def chain_hashes_of(blocks: Sequence[Sequence[int]], seed: int = BLOCK_SEED) -> list[int]:
    """`chain_hashes` for token ids that are cut into blocks already, of whatever sizes.

    Raises `OverflowError` for ids as `pack_tokens` does.
    """
    digest = xxh3_64_intdigest
    if not blocks:
        return []
    pack_one = Struct(f"<{len(blocks[0])}I").pack
    try:
        # One size is the rule; a block of another one ends up below.
        last = seed
        return [last := digest(pack_one(*ids), last) for ids in blocks]
    except StructError:
        return [seed := digest(pack_tokens(ids), seed) for ids in blocks]


def path_hash_text(text: str) -> int:
    """The 64-bit name of a text prefix between gateways; never 0."""
    return _path_hash(text.encode("utf-8", "surrogatepass"))


def path_hash_tokens(tokens: Sequence[int]) -> int:
    """The 64-bit name of a token prefix between gateways; never 0."""
    return _path_hash(pack_tokens(tokens))


def _path_hash(data: bytes) -> int:
    return int.from_bytes(blake3(data).digest(length=8), "little") or 1
