"""What cache_aware is for, on the first sixth of the Mooncake conversation trace.

R. Qin et al., "Mooncake: Trading More Storage for Less Computation", USENIX FAST 2025; published
under Apache-2.0. Each prompt of that trace begins with the same block, which lures policies that
follow caches without minding load into sending everything to one worker.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from smg_policies import PolicyConfig
from smg_simulator import Trace, parse_trace, simulate

WHOLE_TRACE_REQUESTS = 12_031


@pytest.fixture(scope="module")
def trace() -> Trace:
    path = Path(__file__).parent / "data" / "mooncake_conversation_head.jsonl.gz"
    with gzip.open(path) as lines:
        return parse_trace(lines, "conversation")


def test_affinity_finds_nearly_all_there_is_and_keeps_the_work_even(trace: Trace) -> None:
    blind = simulate(trace, "round_robin", workers=8)
    aware = simulate(trace, "cache_aware", workers=8)
    assert blind.hit_rate < 0.1
    assert aware.hit_rate > 0.97 * trace.ideal_hit_rate
    assert aware.imbalance < 1.1
    assert aware.ttft_s.p90 < 0.9 * blind.ttft_s.p90


def test_a_memory_as_short_as_the_trace_costs_little(trace: Trace) -> None:
    # As many tokens per request as the preset allows over the whole trace: it runs full.
    bound = PolicyConfig().max_tree_size * len(trace) // WHOLE_TRACE_REQUESTS
    assert sum(len(request.blocks) for request in trace.requests) * trace.block_size > 2 * bound
    aware = simulate(trace, "cache_aware", workers=8, config=PolicyConfig(max_tree_size=bound))
    assert aware.hit_rate > 0.9 * trace.ideal_hit_rate
    assert aware.imbalance < 1.1


def test_text_alone_finds_as_much_while_it_fits(trace: Trace) -> None:
    text = simulate(trace, "cache_aware", workers=8, token_ids=False)
    assert text.hit_rate > 0.85 * trace.ideal_hit_rate
    assert text.imbalance < 1.1
