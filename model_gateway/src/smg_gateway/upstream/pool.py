"""The connection pool of one worker."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .connection import Receiver, UpstreamConnection
from .errors import UpstreamError, UpstreamFault
from .origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Bounds of a pool; times in seconds."""

    max_connections: int = 8192
    max_waiting: int = 8192
    idle_timeout_s: float = 3.0
    """Idle connections are closed after this long; 0 keeps them."""
    connect_timeout_s: float = 10.0
    max_idle: int = 8192
    """Idle connections that are kept."""


class PoolStatistics(NamedTuple):
    """How many connections are in which state, and how many requests wait for one."""

    idle: int
    open: int
    connecting: int
    waiting: int


class Pool:
    """Keep-alive connections to one worker.

    `acquire` never blocks: the receiver is called back, at once when an idle connection is there.
    The most recently used connection is taken first, so that a quiet pool shrinks.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        limits: PoolLimits,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.origin = origin
        self._limits = limits
        self._clock = clock
        self._tls = tls if origin.tls else None
        self._idle: deque[UpstreamConnection] = deque()
        self._open: set[UpstreamConnection] = set()
        self._waiting: deque[Receiver] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False

    def __repr__(self) -> str:
        s = self.statistics()
        return (
            f"<Pool {self.origin.host}:{self.origin.port} idle={s.idle} open={s.open} "
            f"connecting={s.connecting} waiting={s.waiting}>"
        )

    def statistics(self) -> PoolStatistics:
        """Current counts."""
        return PoolStatistics(
            len(self._idle), len(self._open), len(self._connecting), len(self._waiting)
        )

    @property
    def is_busy(self) -> bool:
        """Whether a connection is open or on its way."""
        return bool(self._open or self._connecting)

    def streams(self) -> tuple[int, bool]:
        """Responses under way, and whether one of them has grown since the call before."""
        count, moved = 0, False
        for connection in self._open:
            if connection.streaming:
                count += 1
                seen = (connection.uses, connection.reads)
                if seen != connection.seen:
                    connection.seen = seen
                    moved = True
        return count, moved

    def acquire(self, receiver: Receiver, *, fresh: bool = False) -> None:
        """Get `receiver` a connection; `fresh` refuses one that was used before."""
        if not fresh:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed:
                    receiver.connected(connection)
                    return
        elif self._idle:
            # Make room: what is idle is no use to somebody who wants a fresh connection.
            oldest = self._idle.popleft()
            self._open.discard(oldest)
            oldest.abort()
        if self._closed:
            receiver.connect_failed(UpstreamError(UpstreamFault.CONNECT, "pool is closed"))
        elif len(self._open) + len(self._connecting) < self._limits.max_connections:
            self._connect(receiver)
        elif len(self._waiting) < self._limits.max_waiting:
            self._waiting.append(receiver)
        else:
            receiver.connect_failed(
                UpstreamError(UpstreamFault.CONNECT, "too many requests wait for a connection")
            )

    def forget(self, receiver: Receiver) -> None:
        """Drop a receiver that waits for a connection and no longer wants one."""
        if receiver in self._waiting:
            self._waiting.remove(receiver)

    def release(self, connection: UpstreamConnection, *, reusable: bool) -> None:
        """Take back a connection whose response has ended."""
        if not reusable or self._closed or connection.closed:
            connection.abort()
        elif self._waiting:
            self._waiting.popleft().connected(connection)
        elif len(self._idle) >= self._limits.max_idle:
            connection.abort()
        else:
            connection.idle_since = self._clock()
            self._idle.append(connection)

    def connection_closed(self, connection: UpstreamConnection) -> None:
        """A connection is gone; called by the connection itself."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting and not self._closed:
            self._connect(self._waiting.popleft())

    def sweep(self) -> None:
        """Close connections that have been idle too long."""
        if not self._limits.idle_timeout_s:
            return
        oldest = self._clock() - self._limits.idle_timeout_s
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().abort()

    def close(self) -> None:
        """Close what is idle, refuse what waits, and let busy connections finish."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()
        while self._waiting:
            self._waiting.popleft().connect_failed(
                UpstreamError(UpstreamFault.CONNECT, "pool is closed")
            )

    async def aclose(self) -> None:
        """Close, and also abort what is busy or connecting."""
        self.close()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for connection in list(self._open):
            connection.abort()

    def _connect(self, receiver: Receiver) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._open_connection(receiver))
        self._connecting.add(task)
        task.add_done_callback(self._connect_ended)

    def _connect_ended(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        # A failed attempt frees a place; whoever waits for one must not wait for ever.
        free = len(self._open) + len(self._connecting) < self._limits.max_connections
        if self._waiting and free and not self._closed:
            self._connect(self._waiting.popleft())

    async def _open_connection(self, receiver: Receiver) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self),
                    self.origin.host,
                    self.origin.port,
                    ssl=self._tls,
                    server_hostname=self.origin.host if self._tls else None,
                )
        except TimeoutError:
            receiver.connect_failed(UpstreamError(UpstreamFault.CONNECT, "connect timed out"))
            return
        except (OSError, UnicodeError) as error:
            receiver.connect_failed(UpstreamError(UpstreamFault.CONNECT, _reason(error)))
            return
        if connection.closed:
            receiver.connect_failed(UpstreamError(UpstreamFault.CONNECT, "closed on connect"))
            return
        self._open.add(connection)
        if self._closed:
            connection.abort()
            receiver.connect_failed(UpstreamError(UpstreamFault.CONNECT, "pool is closed"))
            return
        receiver.connected(connection)


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failure: {error.reason or error}"
    if isinstance(error, UnicodeError):
        return "the host name cannot be encoded"
    return error.strerror or str(error) or type(error).__name__
