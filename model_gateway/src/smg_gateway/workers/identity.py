"""Ids of workers: the same URL has the same id, in every process and on every gateway."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VERSION_MASK = 0xF << 76
_VARIANT = 0b10 << 62
_VARIANT_MASK = 0b11 << 62


def worker_id(url: str) -> str:
    """The id of the worker at `url`, in the shape of a UUIDv7.

    It is a hash, not a time: gateways that know the same worker agree about its id.
    """
    number = int.from_bytes(blake2b(url.encode(), digest_size=16).digest(), "big")
    number = (number & ~_VERSION_MASK & ~_VARIANT_MASK) | _VERSION_7 | _VARIANT
    return str(UUID(int=number))
