"""The server in front against bad input: a clean 4xx or a closed connection, never harm."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from .conftest import last_posted

pytestmark = pytest.mark.anyio

BODY = b'{"model":"mock-model","messages":[{"role":"user","content":"hi"}]}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
GOOD = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body_of(answer: bytes) -> Any:
    return msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"content-length: 3, 3\r\n\r\nabc",
        b"content-length: -1\r\n\r\nabc",
        b"content-length: +3\r\n\r\nabc",
        b"content-length: 0x3\r\n\r\nabc",
        b"content-length: 99999999999999999999999\r\n\r\nabc",
        b"transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc",
        b"transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        b"transfer-encoding: gzip\r\n\r\nabc",
        b"transfer-encoding: chunked, identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding : chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"x: a\r\n folded\r\n\r\n",
        b"x: a\0b\r\n\r\n",
        b"x: a\rb\r\n\r\n",
        b"na me: x\r\n\r\n",
    ],
)
async def test_smuggling_shapes_are_refused_and_the_connection_closed(
    start: Any, worker: Any, framing: bytes
) -> None:
    async with start(worker) as running:
        answer = await running.raw(HEAD + framing + GOOD)

        assert status_of(answer) in (400, 413, 501)
        assert b"connection: close" in answer
        assert answer.count(b"HTTP/1.1 ") == 1
        assert set(body_of(answer)["error"]) == {"type", "code", "message", "param"}
        assert status_of(await running.raw(GOOD.replace(b"host: x", b"connection: close"))) == 200

    assert sum(r.method == "POST" for r in worker.requests) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /%b HTTP/1.1\r\n\r\n" % (b"a" * 40_000), 414),
        (b"GET / HTTP/1.1\r\nx: %b\r\n\r\n" % (b"a" * 70_000), 431),
        (b"GET / HTTP/1.1\r\n" + b"x: 1\r\n" * 300 + b"\r\n", 431),
        (b"CONNECT a:80 HTTP/1.1\r\n\r\n", 405),
    ],
)
async def test_heads_that_cannot_be_served_get_their_status(
    start: Any, worker: Any, sent: bytes, status: int
) -> None:
    async with start(worker) as running:
        answer = await running.raw(sent)

    assert status_of(answer) == status
    assert body_of(answer)["error"]["message"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_oversized_body_is_refused_without_being_read(
    start: Any, worker: Any, chunked: bool
) -> None:
    big = b"a" * 2000
    framing = (
        b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(big), big)
        if chunked
        else b"content-length: 2000\r\n\r\n"
    )

    async with start(worker, max_payload_size=1000) as running:
        answer = await running.raw(HEAD + framing)

    assert status_of(answer) == 413
    assert body_of(answer)["error"]["code"] == "request_body_too_large"
    assert b"x-smg-error-code: request_body_too_large" in answer


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"", "invalid_json"),
        (b"\xff\xfe{}", "invalid_json"),
        (b'{"model":"\xc3\x28","messages":[]}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"model":"m","messages":%b1%b}' % (b"[" * 5000, b"]" * 5000), "invalid_json"),
        (b'{"model":1,"messages":[]}', "invalid_type"),
        (b'{"model":"m"}', "missing_required_parameter"),
    ],
)
async def test_bad_json_is_a_400_in_the_openai_envelope(
    start: Any, worker: Any, body: bytes, code: str
) -> None:
    async with start(worker) as running:
        answer = await running.raw(
            HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )

    assert status_of(answer) == 400
    error = body_of(answer)["error"]
    assert error["type"] == "invalid_request_error"
    # How deep a parser goes before it gives up decides between these two.
    assert error["code"] == code or (b"[[[[" in body and error["code"] == "invalid_type")


async def test_a_request_in_single_bytes_is_a_request(start: Any, worker: Any) -> None:
    async with start(worker) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.listener.port)
        for byte in GOOD.replace(b"host: x", b"connection: close"):
            writer.write(bytes([byte]))
            await writer.drain()
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()

    assert status_of(answer) == 200


async def test_a_chunked_request_reaches_the_worker_with_a_length(start: Any, worker: Any) -> None:
    pieces = b"".join(
        b"%x;ext=1\r\n%b\r\n" % (len(BODY[i : i + 7]), BODY[i : i + 7])
        for i in range(0, len(BODY), 7)
    )
    head = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"

    async with start(worker) as running:
        answer = await running.raw(head + pieces + b"0\r\nx-trailer: 1\r\n\r\n")

    assert status_of(answer) == 200
    seen = last_posted(worker)
    assert seen.body == BODY
    assert seen.header("content-length") == str(len(BODY))
    assert seen.header("transfer-encoding") is None


async def test_expect_100_continue_is_answered_before_the_body(start: Any, worker: Any) -> None:
    async with start(worker) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.listener.port)
        writer.write(
            HEAD
            + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY)
        )
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(BODY)
            answer = await reader.read()
        writer.close()

    assert status_of(answer) == 200


async def test_slow_heads_are_cut_off_and_counted(start: Any, worker: Any) -> None:
    async with start(worker, header_read_timeout_secs=1) as running:
        assert await running.raw(b"GET /health HT") == b""
        assert running.metric('smg_http_connection_timeouts_total{reason="header_read"}') == 1


async def test_idle_connections_are_closed_and_counted(start: Any, worker: Any) -> None:
    async with start(worker, idle_connection_timeout_secs=1) as running:
        assert await running.raw(b"") == b""
        assert running.metric('smg_http_connection_timeouts_total{reason="idle"}') == 1


async def test_a_stalled_body_times_out_with_408(start: Any, worker: Any) -> None:
    async with start(worker, stream_body_stall_timeout_secs=1) as running:
        answer = await running.raw(HEAD + b"content-length: 100\r\n\r\nabc")

    assert status_of(answer) == 408
    assert body_of(answer)["error"]["code"] == "request_body_timeout"


async def test_a_half_closed_request_does_no_harm(start: Any, worker: Any) -> None:
    async with start(worker) as running:
        await running.raw(HEAD + b"content-length: 100\r\n\r\nabc", eof=True)
        await running.raw(GOOD, eof=True)
        await running.settled()
        async with asyncio.timeout(5):
            while running.listener.connections:
                await asyncio.sleep(0.005)


async def test_an_offered_upgrade_is_declined_by_a_plain_answer(start: Any, worker: Any) -> None:
    offer = b"GET /health HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nPRI * HTTP/2.0"

    async with start(worker) as running:
        answer = await running.raw(offer)

    assert status_of(answer) == 200
    assert b"connection: close" in answer and answer.endswith(b"OK")


async def test_head_requests_get_a_head(start: Any, worker: Any) -> None:
    async with start(worker) as running:
        answer = await running.raw(b"HEAD /health HTTP/1.1\r\nconnection: close\r\n\r\n")

    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n\r\n") and b"content-length: 2" in answer


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /nope HTTP/1.1", 404, "unknown_url"),
        (b"GET /%ff%00 HTTP/1.1", 404, "unknown_url"),
        (b"GET http://evil/health HTTP/1.1", 404, "unknown_url"),
        (b"GET /v1/chat/completions HTTP/1.1", 405, "method_not_allowed"),
        (b"DELETE /health HTTP/1.1", 405, "method_not_allowed"),
    ],
)
async def test_unknown_paths_and_methods_have_codes(
    start: Any, worker: Any, sent: bytes, status: int, code: str
) -> None:
    async with start(worker) as running:
        answer = await running.raw(sent + b"\r\nhost: x\r\nconnection: close\r\n\r\n")

    assert status_of(answer) == status
    assert body_of(answer)["error"]["code"] == code
    assert b"x-request-id: req-" in answer
