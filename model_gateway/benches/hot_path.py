"""Micro-benchmarks of the relay lane, without sockets: microseconds of CPU per operation.

    python model_gateway/benches/hot_path.py [--repeat 5]

Client and worker sides are transports that keep what is written; what remains is the gateway's own
work. Figures of one run compare with each other, not with those of another day.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import time
from collections.abc import Callable
from random import Random
from typing import Any

from smg_gateway.app import Gateway
from smg_gateway.edge import EdgeConnection, EdgeLimits, Listener
from smg_gateway.observability.logs import LogFilter, configure_logging
from smg_gateway.settings import Settings
from smg_gateway.upstream import UpstreamConnection, UpstreamError
from smg_gateway.workers import ModelCard, WorkerSpec
from smg_gateway.workers.metadata import Metadata
from smg_protocols import Dialect, read_intake

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "omicron",
    "pi",
]


def prompt(words: int) -> str:
    """Text of so many words, always the same."""
    rng = Random(1)
    return " ".join(rng.choice(WORDS) for _ in range(words))


def chat_body(words: int) -> bytes:
    """A chat request with a prompt of so many words."""
    return (
        b'{"max_tokens":64,"messages":[{"content":"You are a helpful assistant.","role":"system"},'
        b'{"content":"%b","role":"user"}],"model":"m","stream":false}' % prompt(words).encode()
    )


class Wire(asyncio.Transport):
    """A transport that counts what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: Any) -> None:
        self.written += len(data)

    def writelines(self, list_of_data: Any) -> None:
        self.written += sum(map(len, list_of_data))

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


def request(body: bytes) -> bytes:
    """The wire bytes of a request as common clients send it."""
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:30000\r\n"
        b"user-agent: bench/1\r\ncontent-length: %d\r\ncontent-type: application/json\r\n"
        b"accept-encoding: gzip\r\n\r\n" % len(body)
    ) + body


ANSWER_BODY = b'{"id":"1","object":"chat.completion","choices":[{"message":{"content":"%b"}}]}' % (
    b"hello " * 60
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"date: Tue, 24 Nov 2026 00:00:00 GMT\r\n\r\n" % len(ANSWER_BODY)
) + ANSWER_BODY
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
EVENT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":" hello"}}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
STREAM_END = b"0\r\n\r\n"


class Bench:
    """A gateway whose client and worker are `Wire`s."""

    def __init__(self, policy: str) -> None:
        self.gateway = Gateway(Settings(policy=policy, log_level="warn"))
        gateway = self.gateway
        self.workers: list[UpstreamConnection] = []
        for port in (1, 2):
            url = f"http://127.0.0.1:{port}"
            spec = WorkerSpec(url=url)
            pool = gateway.fleet.open_pool(spec)
            found = Metadata(cards=(ModelCard(id="m"),))
            gateway.fleet.admit(spec, pool, found, replaces=False)
            connection = UpstreamConnection(pool)
            connection.connection_made(Wire())
            pool.release(connection, reusable=True)
            self.workers.append(connection)
        listener = Listener(
            gateway, host="127.0.0.1", port=0, limits=EdgeLimits(), clock=time.monotonic
        )
        self.client = EdgeConnection(listener, gateway, EdgeLimits())
        self.client.connection_made(Wire())

    def busy(self) -> UpstreamConnection:
        """The worker connection that got the latest request."""
        return next(c for c in self.workers if c._receiver is not None)

    def plain(self, sent: bytes) -> Callable[[], None]:
        """One whole request and its answer."""

        def run() -> None:
            self.client.data_received(sent)
            self.busy().data_received(ANSWER)

        return run

    def stream(self, sent: bytes, chunks: int) -> Callable[[], None]:
        """One streamed request with so many chunks, one read each."""

        def run() -> None:
            self.client.data_received(sent)
            worker = self.busy()
            worker.data_received(STREAM_HEAD)
            for _ in range(chunks):
                worker.data_received(CHUNK)
            worker.data_received(STREAM_END)

        return run


class Taker:
    """Takes a connection from a pool and gives it back at once."""

    def connected(self, connection: UpstreamConnection) -> None:
        connection.release()

    def connect_failed(self, error: UpstreamError) -> None:
        raise error

    def head_received(self, connection: UpstreamConnection, rest: bytes) -> None:
        raise AssertionError("nothing was sent")

    def completed(self) -> None:
        raise AssertionError("nothing was sent")

    def failed(self, error: UpstreamError) -> None:
        raise error


def measure(operation: Callable[[], object], repeat: int, seconds: float = 0.3) -> float:
    """The best of `repeat` rounds, in microseconds of CPU per call."""
    operation()
    best = float("inf")
    for _ in range(repeat):
        calls, began = 0, time.process_time()
        while time.process_time() - began < seconds:
            for _ in range(50):
                operation()
            calls += 50
        best = min(best, (time.process_time() - began) / calls * 1e6)
    return best


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    configure_logging(LogFilter.parse("", "warn"), as_json=False)
    small, large = chat_body(200), chat_body(4000)

    def intake(body: bytes) -> Callable[[], object]:
        return lambda: read_intake(Dialect.CHAT, body, content_type=b"application/json")

    def row(name: str, value: float) -> None:
        print(f"{name:58} {value:8.2f} us")

    row(f"intake: chat body of {len(small)} bytes", measure(intake(small), repeat))
    row(f"intake: chat body of {len(large)} bytes", measure(intake(large), repeat))
    for policy in ("round_robin", "cache_aware"):
        bench = Bench(policy)
        row(f"{policy}: plain request", measure(bench.plain(request(small)), repeat))
        row(f"{policy}: plain request, long prompt", measure(bench.plain(request(large)), repeat))
    bench = Bench("round_robin")
    pool, taker = bench.workers[0].pool, Taker()
    row(
        "pool: take an idle connection and give it back",
        measure(lambda: pool.acquire(taker), repeat),
    )
    empty = measure(bench.stream(request(small), 0), repeat)
    full = measure(bench.stream(request(small), 1000), repeat)
    row("stream: one chunk", (full - empty) / 1000)
    configure_logging(LogFilter.parse("", "info"), as_json=False, stream=io.StringIO())
    logged = Bench("round_robin")
    lines = measure(logged.plain(request(small)), repeat)
    configure_logging(LogFilter.parse("", "warn"), as_json=False)
    silent = Bench("round_robin")
    row("access log: one line", lines - measure(silent.plain(request(small)), repeat))


if __name__ == "__main__":
    asyncio.run(main())
