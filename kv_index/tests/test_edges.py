"""Comparing keys without a step per element."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from smg_kv_index._edges import shared_length  # noqa: PLC2701 - its law is worth its own test

LONG = st.integers(0, 300)


@given(LONG, LONG, LONG, st.integers(0, 5))
def test_the_shared_length_is_where_the_first_difference_is(
    same: int, edge_rest: int, key_rest: int, at: int
) -> None:
    edge = "x" * same + "e" * edge_rest
    key = "k" * at + "x" * same + "y" * key_rest
    assert shared_length(edge, key, at) == same
    assert shared_length(edge.encode(), key.encode(), at) == same
