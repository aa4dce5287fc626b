"""The exchange form: its bytes, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_kv_index import (
    SnapshotInvalid,
    SnapshotNode,
    StringTree,
    decode_snapshot,
    encode_snapshot,
)

NODES = st.lists(
    st.builds(
        SnapshotNode,
        st.text(max_size=5),
        st.lists(st.tuples(st.text(max_size=3), st.integers(0, 2**64 - 1))).map(tuple),
        st.integers(0, 2**32 - 1),
    ),
    max_size=5,
)


@given(NODES)
def test_decoding_returns_what_was_encoded(nodes: list[SnapshotNode]) -> None:
    assert decode_snapshot(encode_snapshot(nodes)) == nodes


def test_the_bytes_are_lengths_and_text_in_little_endian() -> None:
    encoded = encode_snapshot([SnapshotNode("\u00e9", (("w", 7),), 0)])
    assert encoded.hex() == "".join((
        "0100000000000000",
        "0200000000000000" + "c3a9",
        "0100000000000000",
        "0100000000000000" + "77" + "0700000000000000",
        "00000000",
    ))


@given(NODES, st.data())
def test_a_cut_or_prolonged_snapshot_is_refused(
    nodes: list[SnapshotNode], data: st.DataObject
) -> None:
    encoded = encode_snapshot(nodes)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    for broken in (encoded[:cut], encoded + b"\0"):
        with pytest.raises(SnapshotInvalid):
            decode_snapshot(broken)


def test_a_huge_count_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(SnapshotInvalid, match="items announced"):
        decode_snapshot((2**60).to_bytes(8, "little"))


def test_text_that_is_no_utf8_is_refused() -> None:
    encoded = bytearray(encode_snapshot([SnapshotNode("abcd", (), 0)]))
    encoded[16] = 0xFF
    with pytest.raises(SnapshotInvalid, match="not a tree snapshot"):
        decode_snapshot(bytes(encoded))


def test_no_nodes_make_an_empty_tree() -> None:
    assert list(StringTree.from_snapshot([]).entries()) == []


def test_a_child_without_text_is_left_out_with_all_below_it() -> None:
    nodes = [
        SnapshotNode("", (("w1", 0),), 2),
        SnapshotNode("", (("w1", 1),), 1),
        SnapshotNode("below", (("w1", 2),), 0),
        SnapshotNode("beside", (("w1", 3),), 0),
    ]
    tree = StringTree.from_snapshot(nodes)
    assert [text for text, _ in tree.entries()] == ["", "beside"]


@pytest.mark.parametrize(
    "nodes",
    [
        [SnapshotNode("", (), 1)],
        [SnapshotNode("", (), 0), SnapshotNode("a", (), 0)],
        [SnapshotNode("", (), 1), SnapshotNode("a", (), 0), SnapshotNode("b", (), 0)],
    ],
)
def test_child_counts_that_do_not_add_up_are_refused(nodes: list[SnapshotNode]) -> None:
    with pytest.raises(SnapshotInvalid):
        StringTree.from_snapshot(nodes)
