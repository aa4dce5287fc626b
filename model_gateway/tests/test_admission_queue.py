"""Limits as clients meet them: who waits, who is refused, and that no permit is ever lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from smg_gateway.app import Gateway
from smg_gateway.settings import Settings
from smg_mock_worker import (
    CloseMidStream,
    EngineTiming,
    Hang,
    MockWorker,
    Outcome,
    ResetConnection,
)

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
STUCK = "stuck in the worker"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about; fails after five seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def occupied(running: Any, worker: Any, http: Any, chat: Any) -> AsyncIterator[Any]:
    """All permits are held by one request that hangs until the block ends, or is cancelled."""
    rule = Hang(path=CHAT, count=1)
    worker.faults.add(rule)
    async with asyncio.TaskGroup() as group:
        request = http.post(running.url + CHAT, json=chat(STUCK))
        task = group.create_task(request.__aenter__())
        await until(lambda: running.gateway.lane.active and worker.active_requests)
        yield task
        task.cancel()


async def idle(running: Any) -> None:
    """Nothing is under way, nobody waits, and all permits are back."""
    await running.settled()
    await until(lambda: not running.gateway.gate.inflight)
    assert not len(running.gateway.gate)
    await until(lambda: not running.gateway.bodies.used_bytes)


async def test_a_request_beyond_the_limit_waits_for_its_turn(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1) as running:
        async with asyncio.TaskGroup() as group:
            async with occupied(running, worker, http, chat):
                second = group.create_task(http.post(running.url + CHAT, json=chat()).__aenter__())
                await until(lambda: len(running.gateway.gate) == 1)
                assert running.metric("smg_admission_inflight") == 1
                assert running.metric("smg_admission_queue_depth") == 1
            assert (await second).status == 200
        await idle(running)
        assert running.metric('smg_http_rate_limit_total{result="allowed"}') == 2
        assert running.metric("smg_admission_inflight") == 0


async def test_without_a_queue_the_surplus_gets_429_at_once(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1, queue_size=0) as running:
        async with occupied(running, worker, http, chat):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                body = await answer.json()
                assert (answer.status, answer.headers["retry-after"]) == (429, "2")
                assert answer.headers["x-smg-error-code"] == "admission_queue_full"
                assert answer.headers["x-request-id"].startswith("chatcmpl-")
        await idle(running)

        assert body["error"] == {
            "type": "rate_limit_error",
            "code": "admission_queue_full",
            "message": "concurrency limit reached and queuing is disabled",
            "param": None,
        }
        assert running.metric('smg_http_rate_limit_total{result="rejected"}') == 1
        assert running.metric('smg_admission_queue_rejected_total{reason="full"}') == 1


async def test_a_full_queue_refuses_in_the_shape_of_the_api(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1, queue_size=1) as running:
        async with asyncio.TaskGroup() as group, occupied(running, worker, http, chat):
            waiting = group.create_task(http.post(running.url + CHAT, json=chat()).__aenter__())
            await until(lambda: len(running.gateway.gate) == 1)
            async with http.post(running.url + "/v1/messages", json=chat(max_tokens=5)) as answer:
                body = await answer.json()
            waiting.cancel()
            await until(lambda: not len(running.gateway.gate))
        await idle(running)

    assert answer.status == 429
    assert body["type"] == "error"
    assert body["error"] == {
        "type": "rate_limit_error",
        "message": "admission queue is at capacity",
    }


async def test_a_wait_that_takes_too_long_ends_in_503(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1, queue_timeout_secs=1) as running:
        async with occupied(running, worker, http, chat):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                error = (await answer.json())["error"]
        await idle(running)
        assert running.metric('smg_admission_queue_rejected_total{reason="timeout"}') == 1

    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert (error["code"], error["message"]) == (
        "admission_queue_timeout",
        "timed out waiting for an admission slot",
    )


async def test_a_client_that_leaves_the_queue_makes_room_and_reaches_no_worker(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1, queue_size=1) as running:
        async with asyncio.TaskGroup() as group, occupied(running, worker, http, chat):
            leaving = group.create_task(http.post(running.url + CHAT, json=chat()).__aenter__())
            await until(lambda: len(running.gateway.gate) == 1)
            leaving.cancel()
            await until(lambda: not len(running.gateway.gate))
        await idle(running)
        assert len(worker.requests.to(CHAT)) == 1
        assert (
            running.metric(
                f'smg_http_responses_total{{error_code="client_closed_request",path="{CHAT}"'
            )
            == 2
        )


async def test_the_permit_of_a_stream_is_held_to_its_end(start: Any, http: Any, chat: Any) -> None:
    timing = EngineTiming(inter_token_latency_s=0.01)
    async with MockWorker(timing=timing) as worker:
        async with start(worker, max_concurrent_requests=1) as running:
            async with http.post(
                running.url + CHAT, json=chat(stream=True, max_tokens=8)
            ) as answer:
                await answer.content.readany()
                assert running.gateway.gate.inflight == 1
                await answer.read()
            await idle(running)


@pytest.mark.parametrize(
    "fault", [ResetConnection(path=CHAT), CloseMidStream(path=CHAT, after_chunks=2)]
)
async def test_a_failed_request_gives_its_permit_back(
    start: Any, worker: Any, http: Any, chat: Any, fault: Any
) -> None:
    async with start(worker, max_concurrent_requests=1, disable_retries=True) as running:
        worker.faults.add(fault)
        async with http.post(running.url + CHAT, json=chat(stream=True)) as answer:
            try:
                await answer.read()
            except Exception as error:  # noqa: BLE001 - which one depends on where it broke
                assert "payload" in str(error).lower() or "transfer" in str(error).lower()
        await idle(running)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"model":"nobody-has-it","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"nobody-has-it","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 400_000),
        b'{"model":"mock-model","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 400_000),
        b"{%b" % (b" " * 400_000),
    ],
    ids=["invalid", "unknown-model", "large-unknown-model", "large", "large-invalid"],
)
async def test_a_request_that_is_refused_after_admission_gives_its_permit_back(
    start: Any, worker: Any, http: Any, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    async with start(worker, max_concurrent_requests=1, queue_size=0) as running:
        for _ in range(3):
            async with http.post(running.url + CHAT, data=body, headers=headers) as answer:
                assert answer.status in (200, 400, 404)
            await idle(running)


async def test_a_client_that_leaves_while_its_large_body_is_read_gives_its_permit_back(
    start: Any, worker: Any
) -> None:
    body = b'{"model":"mock-model","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 900_000)
    head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    async with start(worker, max_concurrent_requests=1) as running:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", running.listener.port)
            writer.write(head % (CHAT.encode(), len(body)) + body)
            await writer.drain()
            writer.transport.abort()
        await until(lambda: not running.listener.connections)
        await idle(running)


async def test_a_wrong_key_is_refused_before_the_limit(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1, queue_size=0, api_key="k") as running:
        for path in (CHAT, "/v1/realtime/sessions"):
            async with http.post(running.url + path, json=chat()) as answer:
                assert answer.status == 401
        assert running.metric("smg_http_rate_limit_total") == 0


async def test_probes_and_information_need_no_permit_and_data_routes_do(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1, queue_size=0) as running:
        async with occupied(running, worker, http, chat):
            for path in ("/readiness", "/v1/models", "/get_server_info"):
                async with http.get(running.url + path) as answer:
                    assert answer.status == 200
            async with http.post(running.url + "/v1/responses/resp_1/cancel") as answer:
                assert answer.status == 429
        await idle(running)
        async with http.post(running.url + "/v1/responses/resp_1/cancel") as answer:
            assert answer.status == 503
        await idle(running)


async def test_a_data_route_outside_of_the_lane_waits_too_and_its_client_may_leave(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, max_concurrent_requests=1) as running:
        cancel = running.url + "/v1/responses/resp_1/cancel"
        async with asyncio.TaskGroup() as group:
            async with occupied(running, worker, http, chat):
                staying = group.create_task(http.post(cancel).__aenter__())
                leaving = group.create_task(http.post(cancel).__aenter__())
                await until(lambda: len(running.gateway.gate) == 2)
                leaving.cancel()
                await until(lambda: len(running.gateway.gate) == 1)
            assert (await staying).status == 503
        await idle(running)


async def test_a_rate_spaces_requests_out(start: Any, worker: Any, http: Any, chat: Any) -> None:
    async with start(
        worker, max_concurrent_requests=1, rate_limit_tokens_per_second=20, queue_size=5
    ) as running:
        for _ in range(3):
            async with http.post(running.url + CHAT, json=chat()) as answer:
                assert answer.status == 200
        await idle(running)
        assert running.metric('smg_http_rate_limit_total{result="allowed"}') == 3


async def test_under_a_foreign_server_permits_come_back_too(
    worker: Any, http: Any, chat: Any
) -> None:
    gateway = Gateway(
        Settings(worker_urls=(worker.url,), policy="round_robin", max_concurrent_requests=1)
    )
    server = uvicorn.Server(uvicorn.Config(gateway, host="127.0.0.1", port=0, log_level="warning"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve())
        await until(lambda: server.started and bool(gateway.registry.snapshot.workers))
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        worker.faults.add(Hang(path=CHAT, count=1))
        stuck = group.create_task(http.post(url + CHAT, json=chat()).__aenter__())
        await until(lambda: worker.active_requests == 1)
        queued = group.create_task(http.post(url + CHAT, json=chat()).__aenter__())
        leaving = group.create_task(http.post(url + CHAT, json=chat()).__aenter__())
        await until(lambda: len(gateway.gate) == 2)

        leaving.cancel()
        await until(lambda: len(gateway.gate) == 1)
        stuck.cancel()
        assert (await queued).status == 200
        async with http.post(url + CHAT, data=b"{") as answer:
            assert answer.status == 400
        await until(lambda: not gateway.gate.inflight and not gateway.bodies.used_bytes)
        server.should_exit = True


async def test_a_body_held_for_a_request_counts_and_one_that_has_been_answered_does_not(
    start: Any, worker: Any, http: Any, chat: Any
) -> None:
    async with start(worker, body_memory_bytes=5000) as running:
        worker.faults.add(Hang(path=CHAT, count=1))
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(
                http.post(running.url + CHAT, json=chat("x" * 3000)).__aenter__()
            )
            await until(lambda: worker.active_requests == 1)
            for chunked in (False, True):
                body = b'{"model":"mock-model","x":"%b"}' % (b"y" * 3000)
                sent = _pieces(body) if chunked else body
                async with http.post(running.url + CHAT, data=sent) as answer:
                    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
                    assert answer.headers["x-smg-error-code"] == "request_memory_exhausted"
            async with http.post(running.url + CHAT, data=b"y" * 6000) as answer:
                assert answer.status == 413
            holding.cancel()
        await idle(running)
        async with http.post(running.url + CHAT, json=chat("x" * 3000)) as answer:
            assert answer.status == 200
        await idle(running)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), 1000):
        yield body[begin : begin + 1000]


async def test_the_body_of_a_running_stream_is_not_counted(
    start: Any, http: Any, chat: Any
) -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=0.01)) as worker:
        async with start(worker) as running:
            async with http.post(
                running.url + CHAT, json=chat("x" * 3000, stream=True, max_tokens=20)
            ) as answer:
                await answer.content.readany()
                assert running.gateway.bodies.used_bytes == 0
            await worker.requests.wait_for(
                lambda request: request.outcome in (Outcome.DISCONNECTED, Outcome.COMPLETED)
            )
            await idle(running)
