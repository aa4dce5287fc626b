from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_simulator import Trace, TraceBuilder, TraceInvalid

HASHES = st.lists(st.integers(0, 3), max_size=5)


def test_equal_hashes_behind_equal_beginnings_get_the_same_name() -> None:
    builder = TraceBuilder(block_size=4)
    builder.add(0.0, 12, 1, ["a", "b", "c"])
    builder.add(1.0, 12, 1, ["a", "b", "d"])
    first, second = (request.blocks for request in builder.build().requests)

    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_equal_hashes_behind_unlike_beginnings_are_different_blocks() -> None:
    builder = TraceBuilder(block_size=4)
    builder.add(0.0, 8, 1, ["a", "x"])
    builder.add(1.0, 8, 1, ["b", "x"])
    first, second = (request.blocks for request in builder.build().requests)

    assert not set(first) & set(second)


def test_models_share_no_blocks() -> None:
    builder = TraceBuilder(block_size=4)
    builder.add(0.0, 4, 1, ["a"], model="small")
    builder.add(1.0, 4, 1, ["a"], model="large")
    first, second = (request.blocks for request in builder.build().requests)

    assert first != second


def test_what_no_hash_covers_is_like_no_other_prompt() -> None:
    builder = TraceBuilder(block_size=4)
    builder.add(0.0, 10, 1, ["a"])
    builder.add(1.0, 10, 1, ["a"])
    first, second = (request.blocks for request in builder.build().requests)

    assert (len(first), len(second)) == (3, 3)
    assert set(first) & set(second) == {first[0]}


@given(st.lists(HASHES, min_size=2, max_size=8))
def test_names_agree_exactly_as_far_as_prompts_do(prompts: list[list[int]]) -> None:
    builder = TraceBuilder(block_size=1)
    for number, hashes in enumerate(prompts):
        builder.add(number, len(hashes), 1, hashes)
    trace = builder.build()
    for hashes, request in zip(prompts, trace.requests, strict=True):
        for others, other in zip(prompts, trace.requests, strict=True):
            for end in range(1, min(len(hashes), len(others)) + 1):
                alike = hashes[:end] == others[:end]
                assert (request.blocks[end - 1] == other.blocks[end - 1]) == alike
    names = {name for request in trace.requests for name in request.blocks}
    assert names == set(range(trace.distinct_blocks))


def test_requests_are_put_in_order_and_the_first_comes_at_zero() -> None:
    builder = TraceBuilder()
    builder.add(103.5, 3, 1)
    builder.add(101.0, 1, 1)
    builder.add(101.0, 2, 1)
    trace = builder.build()

    assert [(each.at_s, each.prompt_tokens) for each in trace.requests] == [
        (0, 1),
        (0, 2),
        (2.5, 3),
    ]
    assert trace.span_s == 2.5
    assert trace.prompt_tokens == 6


@pytest.mark.parametrize(
    ("at_s", "prompt", "output", "hashes", "problem"),
    [
        (math.nan, 1, 1, [], "no time"),
        (math.inf, 1, 1, [], "no time"),
        (0.0, -1, 1, [], "must not be negative"),
        (0.0, 1, -1, [], "must not be negative"),
        (0.0, 512, 1, [1, 2], "512 tokens have 1 blocks of 512, not 2"),
    ],
)
def test_impossible_requests_are_refused(
    at_s: float, prompt: int, output: int, hashes: list[int], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        TraceBuilder().add(at_s, prompt, output, hashes)


def test_a_block_holds_at_least_a_token() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        TraceBuilder(block_size=0)


def test_the_ideal_hit_rate_leaves_out_the_last_token_and_blocks_cut_short() -> None:
    builder = TraceBuilder(block_size=10)
    builder.add(0.0, 20, 1, ["a", "b"])  # nothing is there
    builder.add(1.0, 20, 1, ["a", "b"])  # 10: of the second block one token must be computed
    builder.add(2.0, 25, 1, ["a", "b", "c"])  # 20
    builder.add(3.0, 25, 1, ["a", "b", "c"])  # 20: the third block was never whole

    assert builder.build().ideal_hit_rate == 50 / 90


def test_a_trace_without_requests_has_no_span_and_no_hits() -> None:
    trace = TraceBuilder().build()

    assert (len(trace), trace.span_s, trace.ideal_hit_rate) == (0, 0.0, 0.0)


def test_a_head_is_the_first_requests(conversations: Callable[..., Trace]) -> None:
    trace = conversations()

    assert trace.head(3).requests == trace.requests[:3]


def test_a_higher_rate_shortens_the_span_alone(conversations: Callable[..., Trace]) -> None:
    trace = conversations()
    faster = trace.at_rate(4)

    assert faster.span_s == trace.span_s / 4
    assert [each.blocks for each in faster.requests] == [each.blocks for each in trace.requests]


@pytest.mark.parametrize("factor", [0, -1, math.inf, math.nan])
def test_a_rate_must_be_positive(factor: float) -> None:
    with pytest.raises(ValueError, match="rate factor"):
        TraceBuilder().build().at_rate(factor)


def test_the_text_form_tells_size_and_span(conversations: Callable[..., Trace]) -> None:
    assert repr(conversations()) == "<Trace chats: 40 requests over 9.75 s>"


def test_an_error_names_the_trace_and_the_line() -> None:
    error = TraceInvalid("monday", 7, "no comma")

    assert str(error) == "monday, line 7: no comma"
    assert error.line == 7
    assert str(TraceInvalid("monday", None, "empty")) == "monday: empty"
