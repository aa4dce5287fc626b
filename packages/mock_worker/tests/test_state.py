from typing import Any

import aiohttp
import pytest
from smg_mock_worker.engine import EngineTiming
from smg_mock_worker.server import MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "stream": True}


async def test_a_rank_is_picked_by_wish_or_by_load(session: aiohttp.ClientSession) -> None:
    async with MockWorker(dp_size=3, timing=EngineTiming(inter_token_latency_s=3_600)) as worker:
        state = worker.state
        wish = {"X-Data-Parallel-Rank": "1"}
        async with (
            session.post(worker.url + CHAT, json=HELLO, headers=wish),
            session.post(worker.url + CHAT, json=HELLO),
            session.post(worker.url + CHAT, json=HELLO, headers=wish),
        ):
            assert [load.running_requests for load in state.loads()] == [1, 2, 0]
            assert state.pick_rank(None) is state.pacers[2]


async def test_a_rank_that_does_not_exist_is_no_wish() -> None:
    async with MockWorker(dp_size=2) as worker:
        state = worker.state

        assert state.pick_rank("2") is state.pick_rank("x") is state.pick_rank(None)
        assert state.pick_rank("1") is state.pacers[1]


async def test_each_rank_has_a_cache_of_its_own(session: aiohttp.ClientSession) -> None:
    long = {"messages": [{"role": "user", "content": "word " * 40}]}
    async with MockWorker(dp_size=2) as worker:
        headers = {"X-Data-Parallel-Rank": "1"}
        await (await session.post(worker.url + CHAT, json=long, headers=headers)).read()
        first, second = (pacer.engine.cache for pacer in worker.state.pacers)
        assert (len(first), len(second) > 0) == (0, True)

        worker.state.flush()
        assert len(second) == 0
