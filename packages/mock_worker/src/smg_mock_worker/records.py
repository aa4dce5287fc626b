"""What a worker was asked: a bounded log of requests for assertions."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, overload

__all__ = ("Outcome", "RecordedRequest", "RequestLog")


class Outcome(StrEnum):
    """How a request ended.

    `completed`: the whole answer was written, error answers of the engine included.
    `disconnected`: the client went away first. `faulted`: an injected fault ended it.
    `stopped`: the worker was stopped. `failed`: a defect of the simulator itself.
    """

    PENDING = "pending"
    COMPLETED = "completed"
    DISCONNECTED = "disconnected"
    FAULTED = "faulted"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(slots=True, kw_only=True, eq=False)
class RecordedRequest:
    """One request as it came, and how it ended.

    `headers` keep order, case and repetitions; `path` is without, `query` is the raw query string.
    `received_at` is Unix time in seconds. `status` is None while nothing was answered;
    `chunks_sent` counts the pieces of a streamed answer.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    received_at: float
    status: int | None = None
    chunks_sent: int = 0
    outcome: Outcome = Outcome.PENDING

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def as_json(self) -> dict[str, Any]:
        """For the admin route; bytes of the body that are not UTF-8 are replaced."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "body": self.body.decode("utf-8", "replace"),
            "received_at": self.received_at,
            "status": self.status,
            "chunks_sent": self.chunks_sent,
            "outcome": self.outcome,
        }


class RequestLog(Sequence[RecordedRequest]):
    """The newest requests, oldest first: at most `max_requests`, and `max_body_bytes` of bodies."""

    def __init__(self, max_requests: int = 10_000, max_body_bytes: int = 64 * 2**20) -> None:
        self._max_requests = max_requests
        self._max_body_bytes = max_body_bytes
        self._body_bytes = 0
        self._records: deque[RecordedRequest] = deque()
        self._waiters: set[asyncio.Future[None]] = set()

    def __repr__(self) -> str:
        return f"<RequestLog of {len(self)} requests>"

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(tuple(self._records))

    @overload
    def __getitem__(self, index: int) -> RecordedRequest: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordedRequest]: ...

    def __getitem__(self, index: int | slice) -> RecordedRequest | Sequence[RecordedRequest]:
        if isinstance(index, slice):
            return tuple(self._records)[index]
        return self._records[index]

    def to(self, path: str) -> list[RecordedRequest]:
        """The requests for exactly that path, oldest first."""
        return [record for record in self._records if record.path == path]

    def add(self, record: RecordedRequest) -> None:
        """Append; the oldest make room."""
        self._records.append(record)
        self._body_bytes += len(record.body)
        while len(self._records) > self._max_requests or (
            self._body_bytes > self._max_body_bytes and len(self._records) > 1
        ):
            self._body_bytes -= len(self._records.popleft().body)
        self._wake()

    def settle(self, record: RecordedRequest, outcome: Outcome) -> None:
        """Note how a request ended."""
        record.outcome = outcome
        self._wake()

    def clear(self) -> None:
        """Forget all requests."""
        self._records.clear()
        self._body_bytes = 0

    async def wait_for(self, condition: Callable[[RecordedRequest], bool]) -> RecordedRequest:
        """The oldest request that fulfils `condition`, now or as soon as there is one."""
        while True:
            for record in self:
                if condition(record):
                    return record
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
