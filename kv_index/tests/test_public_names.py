"""The door: its names are frozen, documented, and cost little to open."""

from __future__ import annotations

import subprocess
import sys

import smg_kv_index

NAMES = (
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


def test_the_public_names_are_these() -> None:
    assert smg_kv_index.__all__ == NAMES


def test_every_public_name_says_what_it_is() -> None:
    assert all(getattr(smg_kv_index, name).__doc__ for name in NAMES)


def test_importing_loads_nothing_that_does_io() -> None:
    check = "import sys, smg_kv_index; print('asyncio' in sys.modules or 'socket' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
