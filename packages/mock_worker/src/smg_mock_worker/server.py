"""The HTTP shell: a simulated engine that listens."""

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from smg_mock_worker.answers import Answerer, answer_words
from smg_mock_worker.delivery import reset_transport
from smg_mock_worker.engine import DEFAULT_CACHE_BLOCKS, Engine, EngineTiming
from smg_mock_worker.errors import Flavour
from smg_mock_worker.exchange import ServedModel
from smg_mock_worker.faults import Faults
from smg_mock_worker.handover import Handovers, Role
from smg_mock_worker.information import LoadOverride, WorkerFacts
from smg_mock_worker.pacer import EnginePacer
from smg_mock_worker.prefix_cache import PrefixCache
from smg_mock_worker.records import RequestLog
from smg_mock_worker.service import Service
from smg_mock_worker.state import WorkerState
from smg_mock_worker.tokens import Vocabulary

__all__ = ("DEFAULT_KEEP_ALIVE_S", "MockWorker")

# The largest request body that is read; real engines set no limit.
MAX_BODY_BYTES = 512 * 2**20
# The longest request line and header field, as uvicorn's parsers have it.
MAX_HEADER_BYTES = 65_536
# Long enough never to surprise a client; real engines close after 5 s.
DEFAULT_KEEP_ALIVE_S = 3_600.0
# How long a stop waits for connections whose requests have ended.
SHUTDOWN_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists between a start and a stop."""

    state: WorkerState
    service: Service
    protocols: web.Server
    listener: asyncio.Server


class MockWorker:
    """A simulated inference engine that listens on `host:port`.

    Use it as an async context manager, or call `start` and `stop`. `model` gives the served id or
    ids; `flavour` is `sglang` or `vllm`; port 0 lets the system choose. The prefix cache holds
    `cache_blocks` blocks of 16 tokens (0 = none) per data-parallel rank. `seed` drives the faults'
    probabilities. An answer has `answer_tokens` tokens if the request sets no limit; `answerer`, if
    given, turns the rendered prompt into the answer's text (None = as if there were no answerer).
    With the `role` "prefill" prompts are computed for others to continue, with "decode" prompts
    are fetched from where they were computed, as SGLang and vLLM do it.
    A connection is closed after `keep_alive_s` without a request. The log keeps
    `max_recorded_requests`.

    `requests`, `faults` and `load_override` outlive stops and restarts; the engine and its cache do
    not. Raises `ValueError` for settings out of range.
    """

    def __init__(
        self,
        *,
        model: str | Sequence[str] = "mock-model",
        timing: EngineTiming | None = None,
        flavour: Flavour | str = Flavour.SGLANG,
        host: str = "127.0.0.1",
        port: int = 0,
        cache_blocks: int = DEFAULT_CACHE_BLOCKS,
        seed: int = 0,
        max_model_len: int = 32_768,
        answer_tokens: int = 32,
        answerer: Answerer | None = None,
        dp_size: int = 1,
        role: Role | None = None,
        keep_alive_s: float = DEFAULT_KEEP_ALIVE_S,
        max_recorded_requests: int = 10_000,
    ) -> None:
        names = (model,) if isinstance(model, str) else tuple(model)
        if not names:
            raise ValueError("a worker serves at least one model")
        if dp_size < 1:
            raise ValueError("dp_size must be at least 1")
        self.requests = RequestLog(max_recorded_requests)
        self.faults = Faults(seed)
        self._served = ServedModel(
            names=names,
            flavour=Flavour(flavour),
            max_model_len=max_model_len,
            answer_tokens=answer_tokens,
            answerer=answerer,
        )
        self._timing = timing or EngineTiming()
        self._cache_blocks = cache_blocks
        self._dp_size = dp_size
        self._role = role
        self._handovers = Handovers()
        self._keep_alive_s = keep_alive_s
        self._load_override: LoadOverride | None = None
        self._host = host
        self._port = port
        self._running: _Running | None = None

    def __repr__(self) -> str:
        where = self.url if self._running else "stopped"
        return f"<MockWorker {self._served.flavour} {self._served.names[0]} {where}>"

    @property
    def port(self) -> int:
        """The port; 0 before the first start if the system is to choose."""
        return self._port

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def state(self) -> WorkerState:
        """The running worker's inner state; raises `RuntimeError` when it is stopped."""
        if self._running is None:
            raise RuntimeError("the worker is not running")
        return self._running.state

    @property
    def active_requests(self) -> int:
        """How many requests are being handled now, those to `/_mock/` aside."""
        return self._running.state.active_requests if self._running else 0

    @property
    def load_override(self) -> LoadOverride | None:
        """Numbers that are reported instead of the engine's own load."""
        return self._running.state.load_override if self._running else self._load_override

    @load_override.setter
    def load_override(self, override: LoadOverride | None) -> None:
        self._load_override = override
        if self._running is not None:
            self._running.state.load_override = override

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises `OSError` if the address is taken, `RuntimeError` if already running."""
        if self._running is not None:
            raise RuntimeError("the worker is running already")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.create_server((self._host, self._port), family=family, backlog=1024)
        self._port = sock.getsockname()[1]
        state = self._make_state()
        service = Service(state)
        protocols = web.Server(
            service.handle,
            request_factory=_make_request,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=self._keep_alive_s,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        listener = await asyncio.get_running_loop().create_server(protocols, sock=sock)
        self._running = _Running(state, service, protocols, listener)

    async def restart(self) -> None:
        """Start again on the same port with a fresh engine; a running worker is stopped first."""
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """Close the port and every connection; unfinished requests are cancelled. May be repeated."""
        await self._stop(abruptly=False)

    async def stop_abruptly(self) -> None:
        """Die as a killed process does: the port closes and every connection is reset."""
        await self._stop(abruptly=True)

    async def _stop(self, *, abruptly: bool) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        self._load_override = running.state.load_override
        running.listener.close()
        if abruptly:
            for connection in running.protocols.connections:
                reset_transport(connection.transport)
        await running.service.stop()
        running.protocols.pre_shutdown()
        await running.protocols.shutdown(SHUTDOWN_TIMEOUT_S)
        await running.listener.wait_closed()
        for pacer in running.state.pacers:
            pacer.close()

    def _make_state(self) -> WorkerState:
        facts = WorkerFacts(
            served=self._served,
            host=self._host,
            port=self._port,
            max_running_requests=self._timing.max_running_requests,
            dp_size=self._dp_size,
            tp_size=1,
            started_at=int(time.time()),
        )
        engines = [
            Engine(self._timing, cache=PrefixCache(self._cache_blocks))
            for _ in range(self._dp_size)
        ]
        return WorkerState(
            facts=facts,
            pacers=[EnginePacer(engine) for engine in engines],
            faults=self.faults,
            requests=self.requests,
            vocabulary=Vocabulary(answer_words()),
            role=self._role,
            handovers=self._handovers,
            load_override=self._load_override,
        )


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES
    )
