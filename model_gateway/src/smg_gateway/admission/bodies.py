"""How much memory request bodies may take together."""

from __future__ import annotations

from ..errors import BODY_TOO_LARGE, ErrorRecord

BODIES_EXHAUSTED = ErrorRecord(
    status=503,
    code="request_memory_exhausted",
    message="The gateway holds as many request bodies as it may; try again later",
    retry_after_s=2,
)


class BodyBudget:
    """Counts the bytes of bodies that are held; a `limit_bytes` of 0 sets no bound.

    Bytes are counted as they arrive, so that nobody can occupy memory by announcing a large body.
    """

    __slots__ = ("limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int = 0) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    def refusal(self, announced_bytes: int) -> ErrorRecord | None:
        """Why a body of this length cannot be taken now, if it cannot."""
        limit = self.limit_bytes
        if not limit or self.used_bytes + announced_bytes <= limit:
            return None
        return BODIES_EXHAUSTED if announced_bytes <= limit else BODY_TOO_LARGE

    def grow(self, size_bytes: int) -> bool:
        """Count more bytes; False, and nothing counted, when they do not fit."""
        limit = self.limit_bytes
        if limit and self.used_bytes + size_bytes > limit:
            return False
        self.used_bytes += size_bytes
        return True

    def shrink(self, size_bytes: int) -> None:
        """Bytes that were counted are held no longer."""
        self.used_bytes -= size_bytes
