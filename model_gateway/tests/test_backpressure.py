"""A client that does not read holds the worker back; nothing is buffered without bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from smg_gateway.app import Gateway
from smg_gateway.settings import Settings

pytestmark = pytest.mark.anyio

BODY = b'{"model":"any","stream":true,"messages":[{"role":"user","content":"x"}]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
) + BODY
CHUNK = b"data: %b\n\n" % (b"a" * 8000)
BOUND_BYTES = 32 * 1024 * 1024
"""Socket buffers of both hops (several MiB each on loopback) and the gateway's own, with room."""


class Firehose:
    """A worker that streams for ever, as fast as it is read."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"POST"):
                    await reader.readexactly(len(BODY))
                    await self._flood(writer)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The gateway has closed the connection.
        finally:
            writer.close()

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        chunk = b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK)
        try:
            while True:
                writer.write(chunk)
                await writer.drain()
                self.sent_bytes += len(chunk)
        finally:
            self.ended.set()


@asynccontextmanager
async def firehose() -> AsyncIterator[tuple[Firehose, str]]:
    hose = Firehose()
    server = await asyncio.start_server(hose.serve, "127.0.0.1", 0)
    try:
        yield hose, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def stalls_with_bounded_buffers(hose: Firehose, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(REQUEST)
    await reader.readuntil(b"\r\n\r\n")
    before = -1
    async with asyncio.timeout(20):
        while before != hose.sent_bytes:
            before = hose.sent_bytes
            await asyncio.sleep(0.3)
    assert 0 < hose.sent_bytes < BOUND_BYTES

    async with asyncio.timeout(20):
        while hose.sent_bytes < before + 4 * BOUND_BYTES:
            await reader.read(1 << 20)

    writer.transport.abort()
    async with asyncio.timeout(5):
        await hose.ended.wait()


async def test_on_the_gateways_own_server(start: Any) -> None:
    async with firehose() as (hose, url), start(url) as running:
        await stalls_with_bounded_buffers(hose, running.listener.port)
        await running.settled()


async def test_under_a_foreign_server(anyio_backend: object) -> None:
    async with firehose() as (hose, url):
        gateway = Gateway(Settings(worker_urls=(url,), policy="round_robin"))
        config = uvicorn.Config(gateway, host="127.0.0.1", port=0, log_level="warning")
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            async with asyncio.timeout(5):
                while not server.started or not gateway.registry.snapshot.workers:
                    await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            try:
                await stalls_with_bounded_buffers(hose, port)
            finally:
                server.should_exit = True


async def test_a_connection_paused_by_a_slow_client_serves_the_next_one(
    start: Any, http: Any
) -> None:
    """The worker's last bytes fill the client's buffer; its connection must not stay paused."""
    big = b"a" * 4_000_000
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = b"{}"
                if head.startswith(b"POST"):
                    await reader.readexactly(len(BODY))
                    body, served = big, served + 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with start(url) as running:
        for _ in range(8):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", running.listener.port, limit=1024
            )
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(5):
                assert await reader.readexactly(len(big)) == big
            writer.close()
        await running.settled()
        (worker,) = running.gateway.registry.snapshot.workers
        assert worker.pool.statistics().open == worker.pool.statistics().idle == 1
    assert served == 8
    server.close()


async def test_a_client_that_pipelines_without_reading_is_answered_no_further(
    start: Any, worker: Any
) -> None:
    async with start(worker, request_timeout_secs=30) as running:
        _reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.listener.port, limit=1024
        )
        request = REQUEST.replace(b'"any"', b'"mock-model"').replace(
            b"content-length: %d" % len(BODY), b"content-length: %d" % (len(BODY) + 7)
        )
        for _ in range(4000):
            writer.write(request)
        before = -1
        async with asyncio.timeout(30):
            while before != len(worker.requests):
                before = len(worker.requests)
                await asyncio.sleep(0.5)
        assert before < 4000
        writer.transport.abort()
        await running.settled()
