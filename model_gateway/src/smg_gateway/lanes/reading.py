"""Looking into large bodies away from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec
from smg_protocols import RequestInvalid

from ..dialects import RelayRoute, RequestView
from .client import Job
from .request import InboundRequest

INLINE_BYTES = 256 * 1024
"""A body up to this size is read in well under a millisecond; a larger one leaves the loop."""

READER_THREADS = 2


class Read(NamedTuple):
    """What one look at a body gave: the routing view and the bytes for the worker."""

    view: RequestView
    model: str | None
    body: bytes


def with_model(body: bytes, model: str) -> bytes:
    """The same JSON object with another `model`; all other values keep their bytes."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    fields["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(fields)


class Reading:
    """A request whose body is being read in a thread; then the job that follows from it."""

    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left
        self._ended = False
        self._gone = False
        self._job: Job | None = None

    async def run(
        self,
        read: Callable[[], Read],
        executor: ThreadPoolExecutor,
        go_on: Callable[[Read], Job | None],
        refuse: Callable[[RequestInvalid], None],
        crash: Callable[[Exception], None],
    ) -> None:
        """Read, then go on or refuse, unless the client has left meanwhile."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(executor, read)
        except RequestInvalid as invalid:
            self._ended = True
            if not self._gone:
                refuse(invalid)
            return
        except Exception as error:  # noqa: BLE001 - else the client would wait for ever
            self._ended = True
            if not self._gone:
                crash(error)
            return
        self._ended = True
        if not self._gone:
            self._job = go_on(found)

    def client_left(self) -> None:
        if self._job is not None:
            self._job.client_left()
        elif not (self._gone or self._ended):
            self._left()
        self._gone = True

    def pause(self) -> None:
        if self._job is not None:
            self._job.pause()

    def resume(self) -> None:
        if self._job is not None:
            self._job.resume()


class BodyReaders:
    """The threads for large bodies and the requests that wait for them."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="smg-intake")
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(
        self,
        read: Callable[[], Read],
        go_on: Callable[[Read], Job | None],
        refuse: Callable[[RequestInvalid], None],
        crash: Callable[[Exception], None],
        left: Callable[[], None],
    ) -> Job:
        """Read in a thread, then go on with the result on the loop.

        One of the callbacks is called, `left` when the client goes before there is a result.
        """
        reading = Reading(left)
        run = reading.run(read, self._executor, go_on, refuse, crash)
        task = asyncio.get_running_loop().create_task(run)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return reading

    async def close(self) -> None:
        """Cancel what waits and let the threads go."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._executor.shutdown(wait=False, cancel_futures=True)


def read_body(request: InboundRequest, route: RelayRoute, aliases: Callable[[str], str]) -> Read:
    """One look at a body; raises `RequestInvalid`."""
    view = route.read(request.body, request.fields.get(b"content-type"))
    body = route.upstream_body(view) if route.upstream_body else request.body
    model = view.model
    if model is not None:
        meant = aliases(model)
        if meant != model:
            body = with_model(body, meant)
            model = meant
    return Read(view, model, body)
