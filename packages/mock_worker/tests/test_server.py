import asyncio
from typing import Any

import aiohttp
import pytest
from smg_mock_worker.engine import EngineTiming
from smg_mock_worker.faults import Hang
from smg_mock_worker.information import LoadOverride
from smg_mock_worker.records import Outcome
from smg_mock_worker.server import MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
SLOW = EngineTiming(inter_token_latency_s=3_600)


async def test_the_system_chooses_the_port(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as one, MockWorker() as two:
        assert one.port != two.port
        for worker in (one, two):
            assert (await session.get(f"{worker.url}/health")).status == 200


async def test_the_url_of_a_version_6_address_has_brackets() -> None:
    assert MockWorker(host="::1", port=80).url == "http://[::1]:80"


async def test_a_taken_port_is_an_error() -> None:
    async with MockWorker() as worker:
        with pytest.raises(OSError, match="in use"):
            await MockWorker(port=worker.port).start()


async def test_a_running_worker_cannot_be_started_again() -> None:
    async with MockWorker() as worker:
        with pytest.raises(RuntimeError, match="running already"):
            await worker.start()


async def test_stopping_twice_is_harmless() -> None:
    worker = MockWorker()
    await worker.stop()
    await worker.start()
    await worker.stop()
    await worker.stop()

    assert worker.active_requests == 0
    with pytest.raises(RuntimeError, match="not running"):
        _ = worker.state


async def test_stopping_ends_requests_under_way(session: aiohttp.ClientSession) -> None:
    async with MockWorker(timing=SLOW) as worker:
        answer = await session.post(worker.url + CHAT, json=HELLO)
        await worker.stop()

        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
        assert worker.requests[0].outcome is Outcome.STOPPED


async def test_stopping_does_not_wait_for_hanging_requests() -> None:
    async with MockWorker() as worker:
        worker.faults.add(Hang(path="/health"))
        _, writer = await asyncio.open_connection("127.0.0.1", worker.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        await worker.requests.wait_for(lambda one: True)
    writer.close()
    await writer.wait_closed()

    assert worker.requests[0].outcome is Outcome.STOPPED


async def test_an_abrupt_stop_resets_connections_and_closes_the_port() -> None:
    async with MockWorker(timing=SLOW) as worker:
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", worker.port)
        idle.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle_reader.readuntil(b"\r\n\r\n")
        await worker.stop_abruptly()

        with pytest.raises(ConnectionResetError):
            await idle_reader.read()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", worker.port)
        idle.close()
        with pytest.raises(ConnectionResetError):
            await idle.wait_closed()


async def test_a_restarted_worker_keeps_its_port_its_log_and_its_faults(
    session: aiohttp.ClientSession,
) -> None:
    async with MockWorker() as worker:
        url = worker.url
        await session.get(f"{url}/health")
        worker.faults.add(Hang(path="/never"))
        await worker.stop_abruptly()
        await worker.restart()

        assert worker.url == url
        assert (await session.get(f"{url}/health")).status == 200
        assert [record.path for record in worker.requests] == ["/health", "/health"]
        assert len(worker.faults) == 1


async def test_a_restarted_worker_has_lost_its_cache(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        long = {"messages": [{"role": "user", "content": "word " * 40}]}
        await (await session.post(worker.url + CHAT, json=long)).read()
        assert len(worker.state.pacers[0].engine.cache) > 0
        await worker.restart()

        assert len(worker.state.pacers[0].engine.cache) == 0


async def test_the_reported_load_can_be_overridden(session: aiohttp.ClientSession) -> None:
    async def reported() -> list[Any]:
        async with session.get(f"{worker.url}/v1/loads") as answer:
            loads: list[Any] = (await answer.json())["loads"]
            return loads

    worker = MockWorker(dp_size=2)
    worker.load_override = LoadOverride(waiting_requests=8, token_usage=0.85)
    async with worker:
        await worker.restart()
        assert [load["num_waiting_reqs"] for load in await reported()] == [8, 8]
        assert (await reported())[0]["token_usage"] == 0.85
        worker.load_override = None
        assert [load["num_waiting_reqs"] for load in await reported()] == [0, 0]


async def test_an_idle_connection_is_closed_after_its_time() -> None:
    async with MockWorker(keep_alive_s=0.01) as worker:
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")

        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        await writer.wait_closed()


async def test_long_headers_are_read(session: aiohttp.ClientSession) -> None:
    async with MockWorker() as worker:
        await session.get(f"{worker.url}/health", headers={"X-Long": "x" * 30_000})

        assert worker.requests[0].header("x-long") == "x" * 30_000


async def test_the_representation_tells_whether_it_runs() -> None:
    worker = MockWorker(model=["a", "b"], flavour="vllm")

    assert repr(worker) == "<MockWorker vllm a stopped>"
    async with worker:
        assert repr(worker) == f"<MockWorker vllm a {worker.url}>"


@pytest.mark.parametrize("arguments", [{"model": []}, {"dp_size": 0}, {"flavour": "trt"}])
async def test_impossible_settings_are_rejected(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"model|dp_size|trt"):
        MockWorker(**arguments)
