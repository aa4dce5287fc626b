"""Connections to workers that misbehave at the level of bytes; real sockets, scripted answers."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smg_gateway.upstream import (
    Pool,
    PoolLimits,
    UpstreamError,
    UpstreamFault,
    fetch,
    parse_origin,
)

pytestmark = pytest.mark.anyio


class Script:
    """A server that answers each request with the next script, piece by piece."""

    def __init__(self, *answers: Sequence[bytes], close_after: bool = False) -> None:
        self.answers = list(answers)
        self.close_after = close_after
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while self.answers:
                await reader.readuntil(b"\r\n\r\n")
                for piece in self.answers.pop(0):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.001)
                if self.close_after:
                    break
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The client has gone.
        finally:
            self.open.discard(writer)
            writer.close()


@asynccontextmanager
async def pool_for(script: Script, **limits: float) -> AsyncIterator[Pool]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pool = Pool(
        parse_origin(f"http://127.0.0.1:{port}"),
        limits=PoolLimits(**limits),  # type: ignore[arg-type]
        clock=time.monotonic,
    )
    try:
        yield pool
    finally:
        await pool.aclose()
        server.close()
        for writer in list(script.open):
            writer.close()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_one_connection_serves_request_after_request() -> None:
    script = Script([OK], [OK], [OK])
    async with pool_for(script) as pool:
        for _ in range(3):
            assert (await fetch(pool, b"GET", b"/", timeout_s=2)).body == b"ok"
        assert pool.statistics().idle == 1
    assert script.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
        [
            b"HTTP/1.1 200 OK\r\ntransfer-",
            b"encoding: chunked\r\n\r",
            b"\n1\r\no\r\n1",
            b"\r\nk\r\n0\r\n\r\n",
        ],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + OK],
        [b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", OK],
        [bytes([byte]) for byte in OK],
    ],
)
async def test_answers_in_any_pieces_are_the_same_answer(answer: list[bytes]) -> None:
    script = Script(answer, [OK])
    async with pool_for(script) as pool:
        assert (await fetch(pool, b"GET", b"/", timeout_s=2)).body == b"ok"
        assert (await fetch(pool, b"GET", b"/", timeout_s=2)).body == b"ok"
    assert script.connections == 1


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async with pool_for(Script([b"HTTP/1.1 200 OK\r\n\r\no", b"k"], close_after=True)) as pool:
        assert (await fetch(pool, b"GET", b"/", timeout_s=2)).body == b"ok"
        assert pool.statistics() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ([b"SSH-2.0-OpenSSH\r\n"], UpstreamFault.PROTOCOL),
        ([OK + b"HTTP/1.1 200 OK\r\n"], UpstreamFault.PROTOCOL),
        ([OK + b"garbage"], UpstreamFault.PROTOCOL),
        (
            [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n"],
            UpstreamFault.PROTOCOL,
        ),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"a" * 300_000], UpstreamFault.PROTOCOL),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"], UpstreamFault.BROKEN),
        ([b"HTTP/1.1 200 OK\r\ncontent-le"], UpstreamFault.BROKEN),
        ([b""], UpstreamFault.DROPPED),
    ],
)
async def test_bad_answers_have_their_fault(answer: list[bytes], fault: UpstreamFault) -> None:
    async with pool_for(Script(answer, close_after=True)) as pool:
        with pytest.raises(UpstreamError) as raised:
            await fetch(pool, b"GET", b"/", timeout_s=2)
        assert raised.value.fault is fault
        assert pool.statistics() == (0, 0, 0, 0)


async def test_a_connection_that_talks_while_idle_is_not_used_again() -> None:
    script = Script([OK, b"HTTP/1.1 408 Request Timeout\r\n\r\n"], [OK])
    async with pool_for(script) as pool:
        await fetch(pool, b"GET", b"/", timeout_s=2)
        async with asyncio.timeout(2):
            while pool.statistics().open:
                await asyncio.sleep(0.001)
        assert (await fetch(pool, b"GET", b"/", timeout_s=2)).body == b"ok"
    assert script.connections == 2


async def test_an_idle_connection_the_worker_closed_costs_no_request() -> None:
    script = Script([OK], [OK], close_after=True)
    async with pool_for(script) as pool:
        await fetch(pool, b"GET", b"/", timeout_s=2)
        assert (await fetch(pool, b"GET", b"/", timeout_s=2)).body == b"ok"
    assert script.connections == 2


async def test_an_answer_past_its_time_closes_the_connection() -> None:
    async with pool_for(Script([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"])) as pool:
        with pytest.raises(UpstreamError) as raised:
            await fetch(pool, b"GET", b"/", timeout_s=0.05)
        assert raised.value.fault is UpstreamFault.TIMEOUT
        async with asyncio.timeout(2):
            while pool.statistics().open:
                await asyncio.sleep(0.001)


async def test_a_refused_connection_is_told() -> None:
    pool = Pool(parse_origin("http://127.0.0.1:1"), limits=PoolLimits(), clock=time.monotonic)
    with pytest.raises(UpstreamError) as raised:
        await fetch(pool, b"GET", b"/", timeout_s=2)
    assert raised.value.fault is UpstreamFault.CONNECT


async def test_connections_are_bounded_and_the_others_wait_their_turn() -> None:
    script = Script(*[[OK] for _ in range(20)])
    async with pool_for(script, max_connections=2) as pool:
        answers = await asyncio.gather(*(fetch(pool, b"GET", b"/", timeout_s=5) for _ in range(20)))
        assert [answer.body for answer in answers] == [b"ok"] * 20
        assert pool.statistics().open == 2
    assert script.connections == 2


async def test_waiting_requests_are_bounded_too() -> None:
    script = Script(*[[OK] for _ in range(9)])
    async with pool_for(script, max_connections=1, max_waiting=1) as pool:
        answers = await asyncio.gather(
            *(fetch(pool, b"GET", b"/", timeout_s=5) for _ in range(3)), return_exceptions=True
        )
    assert sum(isinstance(answer, UpstreamError) for answer in answers) == 1


async def test_a_body_beyond_the_bound_is_not_read() -> None:
    big = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000
    async with pool_for(Script([big])) as pool:
        with pytest.raises(UpstreamError) as raised:
            await fetch(pool, b"GET", b"/", timeout_s=2, max_body_bytes=1000)
        assert raised.value.fault is UpstreamFault.TOO_LARGE


async def test_idle_connections_are_swept_after_their_time() -> None:
    now = 0.0
    script = Script([OK])
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    origin = parse_origin(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    pool = Pool(origin, limits=PoolLimits(idle_timeout_s=3), clock=lambda: now)
    await fetch(pool, b"GET", b"/", timeout_s=2)
    now = 2.9
    pool.sweep()
    assert pool.statistics().idle == 1
    now = 3.1
    pool.sweep()
    assert pool.statistics().idle == 0
    await pool.aclose()
    server.close()


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=200),
    chunk=st.integers(1, 60),
    cuts=st.lists(st.integers(1, 400), max_size=8),
)
def test_any_cutting_of_a_chunked_answer_gives_the_same_body(
    body: bytes, chunk: int, cuts: list[int]
) -> None:
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[i : i + chunk]), body[i : i + chunk])
        for i in range(0, len(body), chunk)
    )
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    edges = [0, *sorted({cut for cut in cuts if cut < len(wire)}), len(wire)]
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]

    async def run() -> bytes:
        async with pool_for(Script(pieces)) as pool:
            return (await fetch(pool, b"GET", b"/", timeout_s=5)).body

    assert asyncio.run(run()) == body
