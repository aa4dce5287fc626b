"""The programs under test as processes of their own: the gateway, and engines that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.02


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port chosen by the system, kept free while no process listens on it.

    The socket is bound and never listens: with SO_REUSEADDR others may listen on its port, but the
    system gives it neither to another server nor to an outgoing connection, so that a port whose
    process was killed refuses connections until the process is started again.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, 0))
        yield holder.getsockname()[1]


def smg(*words: str) -> list[str]:
    """The words that run the `smg` command in this environment."""
    return [sys.executable, "-m", "smg_gateway", *words]


def plain_environment() -> dict[str, str]:
    """This process's environment without settings for the gateway."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SMG_")}


def spawn(
    command: Sequence[str],
    output: IO[bytes] | int,
    errors: int | None = subprocess.STDOUT,
    **environment: str,
) -> subprocess.Popen[bytes]:
    """Start a process without input; `output` takes its errors too, unless `errors` is None."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=plain_environment() | environment,
    )


async def get(url: str) -> tuple[int, str]:
    """Status and text of a GET request on a connection of its own."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


class Metrics:
    """One scrape of the gateway's metrics."""

    def __init__(self, text: str) -> None:
        self._samples = [
            sample for family in text_string_to_metric_families(text) for sample in family.samples
        ]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all series of `name` that have these labels; 0 when there is none."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by_worker(self, name: str) -> dict[str, float]:
        """The value of each worker's series, by the worker's URL."""
        return {
            sample.labels["worker"]: sample.value
            for sample in self._samples
            if sample.name == name and "worker" in sample.labels
        }


class GatewayProcess:
    """A running `smg launch`."""

    def __init__(self, port: int, metrics_port: int, words: Sequence[str], log: Path) -> None:
        self.url = f"http://{HOST}:{port}"
        self.port = port
        self._metrics_url = f"http://{HOST}:{metrics_port}/metrics"
        self._log = log
        self._signals_sent = 0
        listening = ["--host", HOST, "--port", str(port)]
        listening += ["--prometheus-host", HOST, "--prometheus-port", str(metrics_port)]
        with log.open("wb") as output:
            self._process = spawn(smg("launch", *listening, *words), output)

    @property
    def api(self) -> str:
        """The base URL for an OpenAI client."""
        return self.url + "/v1"

    @property
    def running(self) -> bool:
        """Whether the process has not exited yet."""
        return self._process.poll() is None

    def log(self) -> str:
        """Everything the process has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._signals_sent += 1
        self._process.send_signal(number)

    def open_files(self) -> int:
        """How many files and sockets the process has open; 0 where the system does not tell."""
        folder = Path(f"/proc/{self._process.pid}/fd")
        return len(list(folder.iterdir())) if folder.exists() else 0

    async def readiness(self) -> tuple[int, str]:
        """Status and body of `/readiness`; (0, "") while nobody listens."""
        try:
            return await get(self.url + "/readiness")
        except aiohttp.ClientConnectionError:
            return 0, ""

    async def until_ready(self, workers: int) -> None:
        """Wait until that many workers are registered; raises RuntimeError if the process exits."""
        sign = f'"total_workers":{workers}' if workers else "insufficient healthy workers"
        async with asyncio.timeout(START_TIMEOUT_S):
            while sign not in (await self.readiness())[1]:
                if not self.running:
                    raise RuntimeError(f"the gateway has exited:\n{self.log()}")
                await asyncio.sleep(POLL_S)

    async def until_refusing(self) -> None:
        """Wait until new connections are refused; raises RuntimeError if the process exits."""
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while (await self.readiness())[0]:
                await asyncio.sleep(POLL_S)
        if not self.running:
            raise RuntimeError(f"the gateway has exited:\n{self.log()}")

    async def metrics(self) -> Metrics:
        """The metrics as they are now."""
        _, text = await get(self._metrics_url)
        return Metrics(text)

    async def until_health(self, worker: str, healthy: bool) -> None:
        """Wait until the gateway takes the worker with that URL for healthy, or for sick."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while (await self.metrics()).by_worker("smg_worker_health")[worker] != healthy:
                await asyncio.sleep(POLL_S)

    async def until_drained(self) -> None:
        """Wait until no request is under way, neither with a client nor with a worker."""
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while True:
                now = await self.metrics()
                if not now.total("smg_http_connections_active") and not any(
                    now.by_worker("smg_worker_requests_active").values()
                ):
                    return
                await asyncio.sleep(POLL_S)

    async def exit_code(self) -> int:
        """Wait for the process to exit; raises subprocess.TimeoutExpired when it does not."""
        return await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)

    async def stop(self) -> int:
        """Make the process exit without waiting for requests; its exit code.

        The second signal, whichever it is, means hurry; more than two are never sent.
        """
        for number in (signal.SIGTERM, signal.SIGINT)[self._signals_sent :]:
            if self.running:
                self.signal(number)
        return await self.exit_code()

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()


@asynccontextmanager
async def running_gateway(
    log: Path,
    workers: Sequence[str],
    *words: str,
    policy: str = "round_robin",
    registered: int | None = None,
) -> AsyncIterator[GatewayProcess]:
    """A gateway in front of `workers`; `words` are further flags.

    Entering waits until all workers are registered, or as many as `registered` says; 0 waits for
    the gateway alone.

    Leaving checks what must hold for every gateway in every test: it exits with 0 when it is told
    to, unless the test has ended it already, and it has never logged a traceback.
    """
    with reserved_port() as port, reserved_port() as metrics_port:
        flags = ["--policy", policy, "--worker-urls", *workers, *words]
        gateway = GatewayProcess(port, metrics_port, flags, log)
        try:
            await gateway.until_ready(len(workers) if registered is None else registered)
            yield gateway
            code = await gateway.stop()
        finally:
            gateway.kill()
            print(gateway.log())  # Captured; shown with a test that fails.
    assert code == 0
    assert "Traceback" not in gateway.log()


class EngineProcess:
    """`smg-mock-worker` on a port that stays its own while it is down."""

    def __init__(self, port: int, *words: str) -> None:
        self.url = f"http://{HOST}:{port}"
        self._command = [sys.executable, "-m", "smg_mock_worker", "--port", str(port), *words]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start and wait until it listens."""
        self._process = spawn(self._command, subprocess.PIPE, errors=None)
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        if b"ready" not in line:
            raise RuntimeError(f"the engine did not start: {self._command}")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, for example SIGSTOP to freeze the engine in mid-answer."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the process with SIGKILL; may be repeated."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@asynccontextmanager
async def running_engines(count: int, *words: str) -> AsyncIterator[list[EngineProcess]]:
    """That many simulated engines, each in a process of its own; `words` are their flags."""
    with contextlib.ExitStack() as ports:
        engines = [
            EngineProcess(ports.enter_context(reserved_port()), *words) for _ in range(count)
        ]
        try:
            for engine in engines:
                await engine.start()
            yield engines
        finally:
            for engine in engines:
                engine.kill()
