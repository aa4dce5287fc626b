"""What goes over the wire, byte by byte, with real sockets."""

import asyncio

import msgspec
import pytest
from smg_mock_worker.engine import EngineTiming
from smg_mock_worker.faults import (
    AddLatency,
    AnswerGarbage,
    AnswerStatus,
    CloseMidStream,
    Fault,
    Hang,
    OverstateLength,
    ResetConnection,
    ResetMidStream,
    StallMidStream,
    UnderstateLength,
)
from smg_mock_worker.records import Outcome
from smg_mock_worker.server import MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def chat_request(*, stream: bool, version: str = "HTTP/1.1", max_tokens: int = 4) -> bytes:
    body = msgspec.json.encode({
        "messages": [{"role": "user", "content": "hello"}],
        "stream": stream,
        "max_tokens": max_tokens,
    })
    head = f"POST {CHAT} {version}\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Wire:
    """A client's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()

    async def chunk(self) -> bytes:
        """One chunk of a chunked body."""
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def rest(self) -> tuple[bytes, bool]:
        """Everything up to the end of the connection, and whether it was reset."""
        received = bytearray()
        try:
            while piece := await self.reader.read(65_536):
                received += piece
        except ConnectionResetError:
            return bytes(received), True
        return bytes(received), False

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionResetError:
            return


async def send(worker: MockWorker, request: bytes) -> Wire:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", worker.port))
    wire.writer.write(request)
    return wire


async def exchange(fault: Fault, *, stream: bool) -> tuple[bytes, bool, Outcome, int]:
    """What a client receives under a fault, whether it was reset, and what the worker noted."""
    async with MockWorker() as worker:
        worker.faults.add(fault)
        wire = await send(worker, chat_request(stream=stream))
        received, was_reset = await wire.rest()
        await wire.close()
        record = await worker.requests.wait_for(lambda one: one.outcome is not Outcome.PENDING)
        return received, was_reset, record.outcome, record.chunks_sent


async def test_a_stream_comes_in_one_chunk_per_frame() -> None:
    async with MockWorker() as worker:
        wire = await send(worker, chat_request(stream=True))
        head = await wire.head()
        chunks = [await wire.chunk() for _ in range(8)]
        await wire.close()

    assert head.startswith("http/1.1 200 ok\r\n")
    assert "content-type: text/event-stream; charset=utf-8\r\n" in head
    assert all(chunk.endswith(b"\n\n") and chunk.count(b"data: ") == 1 for chunk in chunks[:7])
    assert chunks[6] == b"data: [DONE]\n\n"
    assert chunks[7] == b""


async def test_the_head_of_a_stream_does_not_wait_for_the_first_token() -> None:
    async with MockWorker(timing=EngineTiming(prefill_tokens_per_s=0.001)) as worker:
        wire = await send(worker, chat_request(stream=True))

        assert (await wire.head()).startswith("http/1.1 200 ok")
        await wire.close()


async def test_tokens_are_flushed_when_they_are_due() -> None:
    timing = EngineTiming(inter_token_latency_s=3_600)
    async with MockWorker(timing=timing) as worker:
        wire = await send(worker, chat_request(stream=True))
        await wire.head()
        opening, first = await wire.chunk(), await wire.chunk()

        assert b'"role":"assistant"' in opening
        assert b'"content":"' in first
        assert worker.active_requests == 1
        await wire.close()


async def test_a_connection_is_kept_alive_after_a_stream() -> None:
    async with MockWorker() as worker:
        wire = await send(worker, chat_request(stream=True))
        await wire.reader.readuntil(b"\r\n0\r\n\r\n")
        wire.writer.write(chat_request(stream=False))

        assert (await wire.head()).startswith("http/1.1 200 ok")
        await wire.close()


async def test_an_old_client_gets_the_stream_without_chunks_up_to_the_close() -> None:
    async with MockWorker() as worker:
        wire = await send(worker, chat_request(stream=True, version="HTTP/1.0"))
        received, was_reset = await wire.rest()
        await wire.close()

    head, _, body = received.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.startswith(b"data: {")
    assert body.endswith(b"data: [DONE]\n\n")
    assert not was_reset


async def test_a_client_that_goes_away_stops_the_generation() -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=0.001)) as worker:
        wire = await send(worker, chat_request(stream=True, max_tokens=30_000))
        await wire.head()
        await wire.chunk()
        await wire.close()
        record = await worker.requests.wait_for(lambda one: one.outcome is Outcome.DISCONNECTED)

        assert record.chunks_sent >= 1
        assert worker.state.loads()[0].running_requests == 0


async def test_a_client_that_does_not_wait_for_a_whole_answer_stops_it_too() -> None:
    async with MockWorker(timing=EngineTiming(inter_token_latency_s=3_600)) as worker:
        wire = await send(worker, chat_request(stream=False))
        await worker.requests.wait_for(lambda one: True)
        await wire.close()
        await worker.requests.wait_for(lambda one: one.outcome is Outcome.DISCONNECTED)

        assert worker.state.loads()[0].running_requests == 0


async def test_a_client_that_asks_first_is_told_to_continue() -> None:
    request = chat_request(stream=False)
    head, _, body = request.partition(b"\r\n\r\n")
    async with MockWorker() as worker:
        wire = await send(worker, head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert (await wire.head()).startswith("http/1.1 100 continue")
        wire.writer.write(body)

        assert (await wire.head()).startswith("http/1.1 200 ok")
        await wire.close()


async def test_a_status_fault_answers_with_headers_and_an_error_body() -> None:
    async with MockWorker() as worker:
        worker.faults.add(AnswerStatus(code=503, headers={"Retry-After": "7"}))
        wire = await send(worker, chat_request(stream=True))
        head = await wire.head()
        await wire.close()

    assert head.startswith("http/1.1 503 service unavailable")
    assert "retry-after: 7\r\n" in head
    assert "content-type: application/json\r\n" in head


async def test_a_status_fault_may_bring_its_own_body_and_type() -> None:
    fault = AnswerStatus(code=429, body="slow down", headers={"Content-Type": "text/plain"})
    async with MockWorker() as worker:
        worker.faults.add(fault)
        wire = await send(worker, chat_request(stream=False))
        head = await wire.head()
        body = await wire.reader.readexactly(9)
        await wire.close()

    assert head.count("content-type") == 1
    assert "content-type: text/plain" in head
    assert body == b"slow down"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reset_before_the_answer_leaves_nothing(stream: bool) -> None:
    assert await exchange(ResetConnection(), stream=stream) == (b"", True, Outcome.FAULTED, 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_garbage_comes_instead_of_http(stream: bool) -> None:
    received, was_reset, outcome, _ = await exchange(AnswerGarbage(text="\xffwhat?"), stream=stream)

    assert (received, was_reset, outcome) == (b"\xffwhat?", False, Outcome.FAULTED)


@pytest.mark.parametrize("after_chunks", [0, 1, 3])
async def test_a_stream_is_reset_after_so_many_chunks(after_chunks: int) -> None:
    fault = ResetMidStream(after_chunks=after_chunks)
    received, was_reset, outcome, chunks_sent = await exchange(fault, stream=True)

    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.count(b"data: ") == chunks_sent == after_chunks
    assert (was_reset, outcome) == (True, Outcome.FAULTED)


@pytest.mark.parametrize("after_chunks", [0, 3])
async def test_a_stream_is_closed_after_so_many_chunks_without_an_end(after_chunks: int) -> None:
    fault = CloseMidStream(after_chunks=after_chunks)
    received, was_reset, outcome, chunks_sent = await exchange(fault, stream=True)

    assert received.count(b"data: ") == chunks_sent == after_chunks
    assert not received.endswith(b"0\r\n\r\n")
    assert (was_reset, outcome) == (False, Outcome.FAULTED)


async def test_a_stream_shorter_than_the_fault_is_left_alone() -> None:
    async with MockWorker() as worker:
        worker.faults.add(ResetMidStream(after_chunks=100))
        wire = await send(worker, chat_request(stream=True))
        await wire.reader.readuntil(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        await wire.close()

        assert worker.requests[0].outcome is Outcome.COMPLETED


@pytest.mark.parametrize(("fault", "reset"), [(ResetMidStream(), True), (CloseMidStream(), False)])
async def test_a_whole_answer_breaks_off_in_the_middle_of_its_body(
    fault: Fault, reset: bool
) -> None:
    received, was_reset, outcome, _ = await exchange(fault, stream=False)

    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert 0 < len(body) == length // 2
    assert (was_reset, outcome) == (reset, Outcome.FAULTED)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stalled_answer_falls_silent_until_the_client_goes(stream: bool) -> None:
    async with MockWorker() as worker:
        worker.faults.add(StallMidStream(after_chunks=2))
        wire = await send(worker, chat_request(stream=stream))
        await wire.head()
        if stream:
            assert [await wire.chunk(), await wire.chunk()]
        else:
            await wire.reader.readexactly(20)
        assert worker.requests[0].outcome is Outcome.PENDING
        await wire.close()
        await worker.requests.wait_for(lambda one: one.outcome is Outcome.DISCONNECTED)


async def test_a_hanging_request_never_gets_an_answer() -> None:
    async with MockWorker() as worker:
        worker.faults.add(Hang())
        wire = await send(worker, chat_request(stream=False))
        await worker.requests.wait_for(lambda one: True)
        await wire.close()
        record = await worker.requests.wait_for(lambda one: one.outcome is Outcome.DISCONNECTED)

    assert record.status is None


@pytest.mark.parametrize("stream", [True, False])
async def test_an_overstated_length_is_never_reached(stream: bool) -> None:
    received, was_reset, outcome, _ = await exchange(OverstateLength(by_bytes=64), stream=stream)

    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert length == len(body) + 64
    assert (was_reset, outcome) == (False, Outcome.FAULTED)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_understated_length_leaves_bytes_on_an_open_connection(stream: bool) -> None:
    async with MockWorker() as worker:
        worker.faults.add(UnderstateLength(by_bytes=4, count=1))
        wire = await send(worker, chat_request(stream=stream))
        head = await wire.head()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        await wire.reader.readexactly(length)
        surplus = await wire.reader.readexactly(4)
        wire.writer.write(chat_request(stream=False))
        again = await wire.head()
        await wire.close()

    assert surplus == (b"E]\n\n" if stream else b"0}}}")
    assert again.startswith("http/1.1 200 ok")


async def test_latency_comes_before_the_answer() -> None:
    async with MockWorker() as worker:
        worker.faults.add(AddLatency(seconds=0.05))
        before = asyncio.get_running_loop().time()
        wire = await send(worker, chat_request(stream=False))
        await wire.head()
        await wire.close()

        assert asyncio.get_running_loop().time() - before >= 0.05
        assert worker.requests[0].outcome is Outcome.COMPLETED
