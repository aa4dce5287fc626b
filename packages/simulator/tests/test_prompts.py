from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_simulator import Trace, TraceBuilder
from smg_simulator.prompts import PromptStandIn

SEED_CHARACTERS = 8


def alike(one: Sequence[object], other: Sequence[object]) -> int:
    """How many leading elements are the same."""
    for count, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return count
    return min(len(one), len(other))


def trace_of(prompts: list[list[str]], *, block_size: int, cut: int = 0) -> Trace:
    builder = TraceBuilder(block_size=block_size)
    for number, hashes in enumerate(prompts):
        builder.add(number, max(0, len(hashes) * block_size - cut), 1, hashes)
    return builder.build()


def test_texts_are_as_long_as_their_tokens_say() -> None:
    trace = trace_of([["a", "b", "c"]], block_size=512, cut=100)

    assert len(PromptStandIn(trace, 4.0).text(trace.requests[0])) == 4 * (3 * 512 - 100)
    assert len(PromptStandIn(trace, 1.5).text(trace.requests[0])) == (3 * 512 - 100) * 3 // 2


def test_prompts_without_tokens_are_empty() -> None:
    trace = trace_of([[]], block_size=16)
    stand_in = PromptStandIn(trace)

    assert stand_in.text(trace.requests[0]) == ""
    assert not stand_in.tokens(trace.requests[0])


@pytest.mark.parametrize("block_size", [1, 2, 15, 16, 512])
def test_token_ids_are_as_many_as_the_prompt_has(block_size: int) -> None:
    trace = trace_of([["a", "b"]], block_size=block_size, cut=block_size // 3)
    tokens = PromptStandIn(trace).tokens(trace.requests[0])

    assert len(tokens) == trace.requests[0].prompt_tokens
    assert all(0 <= token < 1 << 24 for token in tokens)


@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=2, max_size=6),
    st.integers(2, 40),
)
def test_stand_ins_start_alike_as_far_as_blocks_are_the_same(
    prompts: list[list[str]], block_size: int
) -> None:
    trace = trace_of(prompts, block_size=block_size)
    stand_in = PromptStandIn(trace, 4.0)
    piece = len(stand_in.text(trace.requests[0])) // len(prompts[0])
    for one in trace.requests:
        for other in trace.requests:
            shared = alike(one.blocks, other.blocks)
            texts = alike(stand_in.text(one), stand_in.text(other))
            assert shared * piece <= texts <= shared * piece + SEED_CHARACTERS
            tokens = alike(stand_in.tokens(one), stand_in.tokens(other))
            assert shared * block_size <= tokens <= shared * block_size + 1


def test_neighbouring_blocks_part_at_their_first_characters() -> None:
    trace = trace_of([[f"{number}"] for number in range(200)], block_size=16)
    stand_in = PromptStandIn(trace)
    starts = {stand_in.text(request)[:3] for request in trace.requests}

    assert len(starts) > 150


def test_a_block_cut_short_is_a_prefix_of_nothing_else() -> None:
    builder = TraceBuilder(block_size=512)
    builder.add(0.0, 513, 1, ["a", "short"])
    builder.add(1.0, 1024, 1, ["a", "whole"])
    trace = builder.build()
    short, whole = map(PromptStandIn(trace).text, trace.requests)

    assert not whole.startswith(short)


def test_the_same_trace_gives_the_same_prompts() -> None:
    trace = trace_of([["a", "b"], ["c"]], block_size=32)

    assert [PromptStandIn(trace).text(each) for each in trace.requests] == [
        PromptStandIn(trace).text(each) for each in trace.requests
    ]
