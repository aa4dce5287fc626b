"""A listening socket and its connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from email.utils import formatdate

from .connection import EdgeConnection, EdgeLimits, Handler

SWEEP_S = 1.0
BACKLOG = 2048


class Listener:
    """Accepts connections on one address until told to stop."""

    def __init__(
        self,
        handler: Handler,
        *,
        host: str,
        port: int,
        limits: EdgeLimits,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._handler = handler
        self.host = host
        self.wanted_port = port
        self._limits = limits
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()
        self.clock = clock
        self.connections: set[EdgeConnection] = set()
        self.stopping = False
        self.date = formatdate(usegmt=True).encode()

    @property
    def port(self) -> int:
        """The bound port, also when 0 was asked for."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Bind and accept; raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: EdgeConnection(self, self._handler, self._limits),
            self.host,
            self.wanted_port,
            ssl=self._tls,
            backlog=BACKLOG,
        )
        self._sweeper = loop.create_task(self._sweep())

    def reconfigure(self, limits: EdgeLimits) -> None:
        """Other bounds from now on, also for connections that are open."""
        self._limits = limits
        for connection in self.connections:
            connection.reconfigure(limits)

    def stop_accepting(self) -> None:
        """Close the listening socket and idle connections; let the others finish."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.stop()

    async def drained(self) -> None:
        """Wait until no connection is left."""
        if self.connections:
            self._empty.clear()
            await self._empty.wait()

    def connection_lost(self, connection: EdgeConnection) -> None:
        """A connection is gone; called by the connection itself."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def close(self) -> None:
        """Abort whatever is left."""
        self.stop_accepting()
        for connection in list(self.connections):
            connection.abort()
        await self.drained()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.date = formatdate(usegmt=True).encode()
            now = self.clock()
            for connection in list(self.connections):
                connection.check_deadlines(now)
