"""Shared by all tests: example traces and the profile of property tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from smg_simulator import Trace, TraceBuilder

# Machines differ in speed, so no example has a deadline.
settings.register_profile("room", deadline=None)
settings.load_profile("room")


@pytest.fixture
def data() -> Path:
    """The folder of sample traces, one in each format."""
    return Path(__file__).parent / "data"


@pytest.fixture
def conversations() -> Callable[..., Trace]:
    """Makes chats that take turns: each turn repeats its chat so far and adds two blocks.

    All chats start with the same block. There are 16 tokens in a block and a few too many or too
    few in every prompt.
    """

    def make(chats: int = 8, turns: int = 5, *, pause_s: float = 0.25, seed: int = 0) -> Trace:
        rng = Random(seed)
        builder = TraceBuilder("chats", block_size=16)
        for turn in range(turns):
            for chat in range(chats):
                hashes = ["system", *(f"{chat}-{number}" for number in range(2 * turn + 2))]
                builder.add(
                    (turn * chats + chat) * pause_s,
                    len(hashes) * 16 - rng.randrange(16),
                    rng.randrange(1, 40),
                    hashes,
                )
        return builder.build()

    return make
