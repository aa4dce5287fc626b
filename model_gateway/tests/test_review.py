"""Hostile peers on both sides: what one connection does must not reach another, nor stay behind."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from blockbuster import blockbuster_ctx

pytestmark = pytest.mark.anyio

BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
GOOD = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
LAST = GOOD.replace(b"host: x", b"host: x\r\nconnection: close")
EMPTY = HEAD + b"content-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def worker_that(answer: Answer) -> AsyncIterator[str]:
    """The URL of a worker that registers as usual and then handles each POST by `answer`."""
    open_writers: set[asyncio.StreamWriter] = set()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        open_writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    writer.write(OK)
                else:
                    await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The gateway has closed the connection.
        finally:
            open_writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in list(open_writers):
            writer.transport.abort()
        await asyncio.gather(*serving)


def bytes_then_nothing(*pieces: bytes) -> Answer:
    """Read the request, write these pieces, go on with the next request."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)

    return answer


@asynccontextmanager
async def client_of(
    running: Any,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection to the gateway, gone at the end whatever happens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.listener.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], timeout_s: float = 4.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


async def test_hundreds_of_pipelined_refusals_behind_a_relayed_request(start: Any) -> None:
    async with worker_that(bytes_then_nothing(OK)) as url, start(url) as running:
        answers = await running.raw(GOOD + EMPTY * 300 + LAST)
    assert statuses(answers) == [200, *[400] * 300, 200]


async def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(
    start: Any, worker: Any
) -> None:
    async with start(worker) as running:
        async with client_of(running) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nx: " + b"a" * 4_000_000)
            async with asyncio.timeout(3):
                answer = await reader.read(100)
    assert statuses(answer) == [431]


async def test_a_trailer_without_an_end_is_refused(start: Any, worker: Any) -> None:
    async with start(worker) as running:
        async with client_of(running) as (reader, writer):
            writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"a" * 4_000_000)
            async with asyncio.timeout(3):
                answer = await reader.read(100)
    assert statuses(answer) == [431]


@pytest.mark.parametrize("prefix", [b"\r\n", b"\r\n\r\n", b"\n\r\n\r\n\n"])
async def test_empty_lines_before_a_response_are_no_part_of_it(start: Any, prefix: bytes) -> None:
    async with worker_that(bytes_then_nothing(prefix + OK)) as url, start(url) as running:
        answer = await running.raw(LAST)
    assert answer.endswith(b"\r\n\r\n{}")
    assert statuses(answer) == [200]


async def test_an_interim_response_with_a_body_is_refused(start: Any) -> None:
    sly = b"HTTP/1.1 150 x\r\ncontent-length: 6\r\n\r\na\r\n\r\nb" + OK
    async with (
        worker_that(bytes_then_nothing(sly)) as url,
        start(url, disable_retries=True) as running,
    ):
        answer = await running.raw(LAST)
    assert statuses(answer) in ([500], [200])
    assert b"b" + OK[:8] not in answer


async def test_a_coding_that_only_ends_like_chunked_is_not_relayed_as_chunks(start: Any) -> None:
    sly = b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    async with (
        worker_that(bytes_then_nothing(sly)) as url,
        start(url, disable_retries=True) as running,
    ):
        async with client_of(running) as (reader, writer):
            writer.write(GOOD)
            try:
                async with asyncio.timeout(1):
                    answer = await reader.read(4096)
            except TimeoutError:
                answer = b""
    assert b"\r\n\r\n0\r\n\r\nHTTP/1.1" not in answer


async def test_the_reason_of_an_earlier_response_is_not_used_again(start: Any) -> None:
    answers = iter([b"HTTP/1.1 299 Mine", b"HTTP/1.1 299"])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        writer.write(next(answers) + b"\r\ncontent-length: 0\r\n\r\n")

    async with worker_that(answer) as url, start(url) as running:
        got = await running.raw(GOOD + LAST)
    assert got.count(b"Mine") == 1


async def test_an_offer_to_upgrade_does_not_lose_the_body(start: Any) -> None:
    got = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        got = await reader.readexactly(len(BODY))
        writer.write(OK)

    offer = GOOD.replace(
        b"host: x",
        b"host: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c"
        b"\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA",
    )
    async with worker_that(answer) as url, start(url) as running:
        answers = await running.raw(offer)
    assert statuses(answers) == [200]
    assert got == BODY


async def test_an_unwanted_answer_that_never_ends_does_not_keep_its_connection(start: Any) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        writer.write(b"HTTP/1.1 503 no\r\ncontent-length: 10\r\n\r\n1")
        await reader.read()

    async with (
        worker_that(answer) as url,
        start(url, retry_max_retries=2, request_timeout_secs=1) as running,
    ):
        answers = await running.raw(LAST)
        pool = running.gateway.registry.snapshot.workers[0].pool
        await until(lambda: pool.statistics().open == pool.statistics().idle, 3)
    assert statuses(answers)


async def test_a_connection_with_an_unsent_request_is_not_used_again(start: Any) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 no\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    big = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 30_000_000}]})
    async with worker_that(answer) as url, start(url) as running:
        await running.raw(
            HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(big) + big.encode()
        )
        pool = running.gateway.registry.snapshot.workers[0].pool
        assert all(c._transport.get_write_buffer_size() == 0 for c in pool._idle)


async def test_no_frame_is_put_into_a_body_of_a_given_length(start: Any) -> None:
    event = b"data: x\n\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 18\r\n\r\n"
            + event
        )
        await asyncio.sleep(2.0)
        writer.write(event)

    async with worker_that(answer) as url, start(url, sse_keepalive_secs=1) as running:
        got = await running.raw(GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert got.partition(b"\r\n\r\n")[2] == event * 2


async def test_valid_requests_before_a_malformed_one_are_answered(start: Any) -> None:
    async with worker_that(bytes_then_nothing(OK)) as url, start(url) as running:
        answers = await running.raw(GOOD + GOOD + b"NONSENSE\r\n\r\n")
    assert statuses(answers)[:2] == [200, 200]


async def test_wrong_keys_are_refused_before_the_body_is_taken(start: Any, worker: Any) -> None:
    async with start(worker, api_key="right") as running:
        async with client_of(running) as (reader, writer):
            writer.write(HEAD + b"authorization: Bearer wrong\r\ncontent-length: 100000000\r\n\r\n")
            async with asyncio.timeout(2):
                answer = await reader.read(100)
    assert statuses(answer) == [401]


async def test_a_huge_model_name_is_no_metric_label(start: Any) -> None:
    body = b'{"model":"%b","messages":[{"role":"user","content":"hi"}]}' % (b"a" * 100_000)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(body))
        writer.write(OK)

    async with worker_that(answer) as url, start(url) as running:
        await running.raw(
            HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        assert b"a" * 1000 not in running.gateway.telemetry.exposition.render()


async def test_invented_methods_are_no_metric_labels(start: Any, worker: Any) -> None:
    async with start(worker) as running:

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            pass

        for number in range(50):
            await running.gateway(
                {
                    "type": "http",
                    "method": f"M{number}",
                    "path": "/x",
                    "headers": [],
                    "query_string": b"",
                    "raw_path": b"/x",
                    "root_path": "",
                },
                receive,
                send,
            )
        page = running.gateway.telemetry.exposition.render()
    assert page.count(b'smg_http_requests_total{method="M') < 10


async def test_a_policy_that_fails_in_its_upkeep_does_not_stop_the_clock(
    start: Any, worker: Any
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        worker_that(hang) as url,
        start(url, request_timeout_secs=2, disable_retries=True) as running,
    ):

        def fail(now: float) -> None:
            raise RuntimeError("broken policy")

        running.gateway.lane.selector._shared.sweep = fail
        answers = await running.raw(LAST)
    assert statuses(answers) == [504]


async def test_an_interrupted_stream_to_an_old_client_is_visibly_incomplete(start: Any) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async with worker_that(answer) as url, start(url) as running:
        with pytest.raises(ConnectionError):
            await running.raw(GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"))


async def test_a_request_offered_early_with_expect_gets_its_go_ahead(start: Any) -> None:
    release = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        await release.wait()
        writer.write(OK)

    asking = HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY)
    async with worker_that(answer) as url, start(url) as running:
        async with client_of(running) as (reader, writer):
            writer.write(GOOD + asking)
            await until(lambda: running.gateway.active_requests == 1)
            release.set()
            async with asyncio.timeout(2):
                await reader.readuntil(b"{}")
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                writer.write(BODY)
                await reader.readuntil(b"{}")


async def test_an_event_end_split_over_two_reads_still_takes_keep_alive_frames(start: Any) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n9\r\ndata: x\n\n\r"
        )
        await asyncio.sleep(0.05)
        writer.write(b"\n")
        await asyncio.sleep(2)
        writer.write(b"0\r\n\r\n")

    async with worker_that(answer) as url, start(url, sse_keepalive_secs=1) as running:
        got = await running.raw(LAST)
    assert got.partition(b"data: x")[2].count(b":") >= 1


# --- what must not stay behind ------------------------------------------------------------


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def pool_of(running: Any) -> Any:
    return running.gateway.registry.snapshot.workers[0].pool


async def test_a_client_that_leaves_while_its_request_waits_for_a_connection_leaves_nothing(
    start: Any,
) -> None:
    async with worker_that(hangs) as url, start(url) as running:
        pool = pool_of(running)
        pool._limits = dataclasses.replace(pool._limits, max_connections=1)
        async with client_of(running) as (_, first), client_of(running) as (_, second):
            first.write(GOOD)
            second.write(GOOD)
            await until(lambda: pool.statistics().waiting == 1)
            second.transport.abort()
            await until(lambda: pool.statistics().waiting == 0)
        await running.settled()
        await until(lambda: pool.statistics().open == 0)


async def test_a_client_that_leaves_before_a_retry_cancels_it(start: Any) -> None:
    posts = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal posts
        posts += 1
        await reader.readexactly(len(BODY))
        writer.write(b"HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n")

    slow = {"retry_initial_backoff_ms": 300, "retry_max_backoff_ms": 300}
    async with worker_that(answer) as url, start(url, **slow) as running:
        async with client_of(running) as (_, writer):
            writer.write(GOOD)
            await until(lambda: running.metric("smg_worker_retries_total") == 1)
        await running.settled()
        exchanges = running.gateway.lane.active
        assert (posts, len(exchanges)) == (1, 0)


async def test_a_stop_with_everything_in_flight_ends_it_all(start: Any) -> None:
    async with worker_that(hangs) as url:
        async with start(url) as running, client_of(running) as (reader, writer):
            pool = pool_of(running)
            writer.write(GOOD + GOOD + HEAD)
            await until(lambda: pool.statistics().open == 1 and running.gateway.active_requests > 0)
            await running.listener.close()
            assert await reader.read() == b""
            await running.settled()
        assert pool.statistics() == (0, 0, 0, 0)


async def test_a_client_that_does_not_read_stops_the_worker(start: Any) -> None:
    sent = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readexactly(len(BODY))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with worker_that(answer) as url, start(url) as running, client_of(running) as (_, writer):
        cast(asyncio.Transport, writer.transport).pause_reading()
        writer.write(GOOD * 3)
        before = -1
        while sent != before or not sent:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 50_000_000


async def test_relaying_never_blocks_the_event_loop(start: Any) -> None:
    with blockbuster_ctx("smg_gateway"):
        async with worker_that(bytes_then_nothing(OK)) as url, start(url) as running:
            answers = await running.raw(
                GOOD * 3 + b"GET /liveness HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\n" + LAST
            )
    assert statuses(answers) == [200, 200, 200, 200, 404, 200]


# --- second look --------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
async def test_a_chunk_that_is_one_line_end_is_not_the_end_of_an_event(
    start: Any, line_end: bytes
) -> None:
    def chunk(data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(BODY))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n" + chunk(b"data: a") + chunk(line_end)
        )
        await asyncio.sleep(2)
        writer.write(chunk(b"data: b" + line_end * 2) + b"0\r\n\r\n")

    async with worker_that(answer) as url, start(url, sse_keepalive_secs=1) as running:
        got = await running.raw(LAST)
    between = got.partition(b"data: a")[2].partition(b"data: b")[0]
    assert between == b"\r\n" + chunk(line_end) + b"%x\r\n" % (7 + 2 * len(line_end))


@pytest.mark.parametrize("path", [b"/v1/nowhere", b"/v1/realtime/sessions", b"/health"])
async def test_a_body_that_nothing_takes_is_not_collected(
    start: Any, worker: Any, path: bytes
) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n" % path
    async with (
        start(worker, api_key="right") as running,
        client_of(running) as (reader, writer),
    ):
        writer.write(head)
        async with asyncio.timeout(2):
            assert statuses(await reader.read(100))[0] in (401, 404, 405, 413)


async def test_a_huge_model_name_gets_no_policy_of_its_own(start: Any) -> None:
    body = BODY.replace(b'"m"', b'"%b"' % (b"a" * 100_000))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(body))
        writer.write(OK)

    async with worker_that(answer) as url, start(url) as running:
        await running.raw(
            HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        kept = running.gateway.lane.selector._policies
        assert all(len(model or "") < 1000 for model in kept)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 400_000,
        b'{"model":"m","messages":' + b"[" * 400_000,
        b'{"model":"m","messages":[],"tools":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"model":"m","messages":[{"role":"user","content":"\xff' + b"a" * 400_000 + b'"}]}',
        b'{"model":"\\ud800","messages":[{"role":"user","content":"' + b"a" * 400_000 + b'"}]}',
        b'{"model":"\\ud800","messages":[{"role":"user","content":"a"}]}',
    ],
    ids=["array", "open", "deep", "not utf-8", "surrogate", "small surrogate"],
)
async def test_every_hostile_body_gets_an_answer(start: Any, body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(body))
        writer.write(OK)

    async with worker_that(answer) as url, start(url) as running:
        got = await running.raw(
            HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
    assert statuses(got)[0] in (200, 400)


async def test_an_old_client_that_offers_an_upgrade_gets_no_chunks(start: Any) -> None:
    sent = GOOD.replace(b"HTTP/1.1", b"HTTP/1.0").replace(
        b"host: x", b"connection: upgrade\r\nupgrade: h2c"
    )
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    async with worker_that(bytes_then_nothing(chunked)) as url, start(url) as running:
        assert (await running.raw(sent)).endswith(b"\r\n\r\n{}")
