"""Telling an engine which of its data-parallel ranks a request is for.

SGLang reads the body's `data_parallel_rank`, vLLM the header `x-data-parallel-rank`; each ignores
the other's, so a request carries both.
"""

from __future__ import annotations

from collections.abc import Sequence

RANK_HEADER = b"x-data-parallel-rank"


def without_rank(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers without the client's own wish for a rank."""
    return [pair for pair in headers if pair[0] != RANK_HEADER]


def ranked_body(body: bytes, rank: int) -> bytes:
    """A JSON object with `data_parallel_rank` as its last field; other bodies as they are.

    All other bytes stay what they were. Of repeated keys the last one counts, so the rank that the
    gateway chose goes before one that the client wrote.
    """
    whole = body.rstrip()
    if not whole.endswith(b"}") or body.lstrip()[:1] != b"{":
        return body
    fields = whole[:-1].rstrip()
    comma = b"" if fields.endswith(b"{") else b","
    return b'%b%b"data_parallel_rank":%d}' % (fields, comma, rank)
