"""Laws about what clients send: splitting, order, and that garbage does no harm."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smg_mock_worker import MockWorker
from structlog.testing import capture_logs

quick = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    database=None,
)

BODY = b'{"model":"mock-model","messages":[{"role":"user","content":"hi"}],"max_tokens":1}'
POST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nx-request-id: %b\r\ncontent-type: application/json\r\n"
)
WITH_LENGTH = POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
IN_CHUNKS = (
    POST
    + b"transfer-encoding: chunked\r\n\r\n5;x=y\r\n"
    + BODY[:5]
    + b"\r\n%x\r\n" % len(BODY[5:])
    + BODY[5:]
    + b"\r\n0\r\ntrailer: t\r\n\r\n"
)
KINDS: dict[str, tuple[bytes, int]] = {
    "relayed": (WITH_LENGTH, 200),
    "relayed in chunks": (IN_CHUNKS, 200),
    "refused": (POST + b"content-length: 2\r\n\r\n{}", 400),
    "probe": (b"GET /liveness HTTP/1.1\r\nx-request-id: %b\r\n\r\n", 200),
    "probe by HEAD": (b"HEAD /liveness HTTP/1.1\r\nx-request-id: %b\r\n\r\n", 200),
    "unknown": (b"GET /nowhere HTTP/1.1\r\nx-request-id: %b\r\n\r\n", 404),
    "wrong method": (b"GET /v1/chat/completions HTTP/1.1\r\nx-request-id: %b\r\n\r\n", 405),
}
CLOSING = b"GET /liveness HTTP/1.1\r\nx-request-id: last\r\nconnection: close\r\n\r\n"

Scenario = Callable[[Any], Coroutine[Any, Any, None]]


def play(start: Any, scenario: Scenario) -> None:
    """Run against a gateway of its own; no error may reach the event loop or the log."""
    trouble: list[object] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: trouble.append(context))
        async with MockWorker() as worker, start(worker) as running:
            await scenario(running)
            await running.settled()

    with capture_logs() as logs, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    trouble += [line for line in logs if line["log_level"] == "error" or "exc_info" in line]
    assert trouble == []


async def talk(running: Any, pieces: Sequence[bytes], *, eof: bool = False) -> bytes:
    """Send in these pieces; everything answered until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.listener.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if eof and not writer.is_closing():
            writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


def split(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % len(data) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def ids_and_statuses(answers: bytes) -> list[tuple[bytes, int]]:
    heads = re.findall(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n", answers, re.DOTALL)
    ids = re.findall(rb"x-request-id: (\S+)\r\n", answers)
    return list(zip(ids, map(int, heads), strict=True))


@quick
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), max_size=12),
    places=st.lists(st.integers(0, 9999), max_size=8),
)
def test_pipelined_requests_in_any_pieces_get_their_answers_in_order(
    start: Any, kinds: list[str], places: list[int]
) -> None:
    sent = b"".join(KINDS[kind][0] % (b"id-%d" % n) for n, kind in enumerate(kinds)) + CLOSING
    expected = [(b"id-%d" % n, KINDS[kind][1]) for n, kind in enumerate(kinds)]

    async def scenario(running: Any) -> None:
        answers = await talk(running, split(sent, places))
        assert ids_and_statuses(answers) == [*expected, (b"last", 200)]

    play(start, scenario)


@quick
@given(
    kind=st.sampled_from(sorted(KINDS)),
    cuts=st.lists(
        st.tuples(st.integers(0, 999), st.integers(0, 12), st.binary(max_size=12)), max_size=4
    ),
    places=st.lists(st.integers(0, 999), max_size=3),
)
def test_garbled_requests_end_without_harm(
    start: Any, kind: str, cuts: list[tuple[int, int, bytes]], places: list[int]
) -> None:
    sent = KINDS[kind][0] % b"id"
    for place, length, put in cuts:
        at = place % (len(sent) + 1)
        sent = sent[:at] + put + sent[at + length :]

    async def scenario(running: Any) -> None:
        await talk(running, split(sent or b"\r\n", places), eof=True)
        assert ids_and_statuses(await talk(running, [CLOSING])) == [(b"last", 200)]

    play(start, scenario)


@quick
@given(sent=st.binary(min_size=1, max_size=300))
def test_noise_ends_without_harm(start: Any, sent: bytes) -> None:
    async def scenario(running: Any) -> None:
        await talk(running, [sent], eof=True)
        assert ids_and_statuses(await talk(running, [CLOSING])) == [(b"last", 200)]

    play(start, scenario)
