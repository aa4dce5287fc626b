"""Laws about what workers send: splitting changes nothing, garbage does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

quick = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    database=None,
)

BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.%d\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: " + b"%d\r\n\r\n" % len(BODY) + BODY
)
MODELS = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
ANSWERS: dict[str, bytes] = {
    "length": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ndata: x\n\n",
    "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"2\r\nda\r\n7;e=1\r\nta: x\n\n\r\n0\r\nt: u\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\n\r\ndata: x\n\n",
    "old": b"HTTP/1.0 200 OK\r\n\r\ndata: x\n\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ndata: x\n\n",
}


def split(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % len(data) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole


def relay(start: Any, pieces: Sequence[bytes], version: int = 1) -> bytes:
    """What a client gets when the worker answers in these pieces and then closes."""
    trouble: list[object] = []
    serving: set[asyncio.Task[None]] = set()
    got = b""

    async def worker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            while (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
                writer.write(MODELS)
            await reader.readexactly(len(BODY))
            for piece in pieces:
                if writer.is_closing():
                    break
                writer.write(piece)
                await asyncio.sleep(0.001)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The gateway has closed the connection.
        finally:
            writer.close()

    async def run() -> None:
        nonlocal got
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: trouble.append(context))
        server = await asyncio.start_server(worker, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        given_settings: dict[str, Any] = {"disable_retries": True, "disable_circuit_breaker": True}
        async with start(url, **given_settings) as running:
            got = await ask(running)
            await running.settled()
        server.close()
        await asyncio.gather(*serving)

    async def ask(running: Any) -> bytes:
        answer: bytes = await running.raw(REQUEST % version)
        return answer

    with capture_logs() as logs, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    trouble += [line for line in logs if line["log_level"] == "error" or "exc_info" in line]
    assert trouble == []
    return got


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("kind", sorted(ANSWERS))
@settings(quick, max_examples=8)
@given(places=st.lists(st.integers(0, 9999), max_size=6))
def test_an_answer_in_any_pieces_is_the_same_answer(
    start: Any, kind: str, version: int, places: list[int]
) -> None:
    head, _, body = relay(start, split(ANSWERS[kind], places), version).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert (unchunked(body) if b"chunked" in head else body) == b"data: x\n\n"
    assert version or b"chunked" not in head


@settings(quick, max_examples=60)
@given(
    kind=st.sampled_from(sorted(ANSWERS)),
    cuts=st.lists(
        st.tuples(st.integers(0, 999), st.integers(0, 12), st.binary(max_size=12)), max_size=4
    ),
    places=st.lists(st.integers(0, 999), max_size=3),
)
def test_a_garbled_answer_ends_without_harm(
    start: Any, kind: str, cuts: list[tuple[int, int, bytes]], places: list[int]
) -> None:
    sent = ANSWERS[kind]
    for place, length, put in cuts:
        at = place % (len(sent) + 1)
        sent = sent[:at] + put + sent[at + length :]

    assert relay(start, split(sent or b"\n", places)).startswith(b"HTTP/1.1 ")


@quick
@given(sent=st.binary(min_size=1, max_size=300))
def test_noise_from_a_worker_is_an_error_of_the_gateway(start: Any, sent: bytes) -> None:
    assert relay(start, [sent]).startswith(b"HTTP/1.1 500 ")
