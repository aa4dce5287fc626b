"""The micro-benchmarks measure a path that works."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.anyio

HOT_PATH = Path(__file__).parent.parent / "benches" / "hot_path.py"


@pytest.mark.parametrize("policy", ["round_robin", "cache_aware"])
async def test_the_hot_path_benchmark_answers_its_requests(policy: str) -> None:
    names = runpy.run_path(str(HOT_PATH))
    bench = names["Bench"](policy)
    sent = names["request"](names["chat_body"](200))
    for operation in (bench.plain(sent), bench.stream(sent, 10)):
        before = bench.client._transport.written
        operation()
        assert bench.client._transport.written > before
        assert not bench.gateway.lane.active
