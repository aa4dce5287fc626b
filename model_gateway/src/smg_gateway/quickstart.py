"""`smg quickstart`: two simulated engines and a gateway in front of them, ready to try."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .observability.logs import LogFilter, configure_logging
from .server import Server, StartupError
from .settings import QuickstartOptions, Settings
from .upstream import UpstreamError, fetch

HOST = "127.0.0.1"
ENGINES = 2
READY_TIMEOUT_S = 30.0
STATUS_INTERVAL_S = 1.0
STOP_TIMEOUT_S = 5.0

_READY_LINE = re.compile(r"ready at (http://\S+)")
_TOKENS = re.compile(r"^\S*generation_tokens_total\S* (\S+)$", re.MULTILINE)


class QuickstartError(Exception):
    """The demonstration cannot run; the message says why."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A simulated engine in a process of its own."""

    process: asyncio.subprocess.Process
    url: str


def main(options: QuickstartOptions) -> int:
    """Run the demonstration; the exit code."""
    if importlib.util.find_spec("smg_mock_worker") is None:
        print(
            "smg: error: quickstart needs the engine simulator: pip install smg-mock-worker",
            file=sys.stderr,
        )
        return 1
    configure_logging(LogFilter.parse("", "warn"), as_json=False)
    try:
        return asyncio.run(_run(options))
    except (QuickstartError, StartupError) as error:
        print(f"smg: error: {error}", file=sys.stderr)
        return 1


async def _run(options: QuickstartOptions) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(f"starting {ENGINES} simulated engines and a gateway ...", flush=True)
    async with _engines(options.model) as engines, _gateway(options, engines) as server:
        base = f"http://{HOST}:{server.main.port}"
        if options.once:
            return await _complete_once(base, options.model)
        print(_instructions(base, options.model, server.pages[0].port), flush=True)
        await _show_status(server, stop)
    print("stopped", flush=True)
    return 0


@asynccontextmanager
async def _engines(model: str) -> AsyncIterator[Sequence[Engine]]:
    engines: list[Engine] = []
    try:
        for _ in range(ENGINES):
            engines.append(await _start_engine(model))
        yield engines
    finally:
        for engine in engines:
            if engine.process.returncode is None:
                engine.process.terminate()
        for engine in engines:
            await _wait_or_kill(engine.process)


async def _start_engine(model: str) -> Engine:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smg_mock_worker", "--host", HOST, "--port", "0"),
        *("--model", model, "--prefill-tokens-per-s", "20000", "--inter-token-latency-ms", "20"),
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the gateway first; it stops the engines itself.
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            line = (await process.stdout.readline()).decode()
    except TimeoutError:
        line = ""
    found = _READY_LINE.search(line)
    if found is None:
        process.kill()
        await process.wait()
        raise QuickstartError("a simulated engine did not start")
    return Engine(process, found[1])


async def _wait_or_kill(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _gateway(options: QuickstartOptions, engines: Sequence[Engine]) -> AsyncIterator[Server]:
    settings = Settings(
        host=HOST,
        port=_usable_port(options.port),
        prometheus_host=HOST,
        prometheus_port=0,
        worker_urls=tuple(engine.url for engine in engines),
        policy=options.policy,
        shutdown_grace_period_secs=1,
    )
    server = Server(settings)
    serving = asyncio.get_running_loop().create_task(server.run())
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while server.gateway.registry.snapshot.healthy_count() < len(engines):
                if serving.done():
                    serving.result()
                await asyncio.sleep(0.02)
        yield server
    except TimeoutError:
        raise QuickstartError("the gateway did not become ready") from None
    finally:
        server.stop()
        await serving


def _usable_port(wanted: int) -> int:
    """`wanted`, or 0 (the system chooses) when somebody else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            return 0
    return wanted


async def _complete_once(base: str, model: str) -> int:
    """One streamed completion over a plain socket, printed as it arrives."""
    body = json.dumps({
        "model": model,
        "stream": True,
        "max_tokens": 24,
        "messages": [{"role": "user", "content": "Say hello to a new user."}],
    }).encode()
    host, _, port = base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % (base.removeprefix("http://").encode(), len(body))
        + body
    )
    finished = False
    status = (await reader.readline()).split(b" ", 2)[1]
    async for line in reader:
        if line.startswith(b"data: [DONE]"):
            finished = True
        elif line.startswith(b"data: "):
            delta = json.loads(line[6:])["choices"][0]["delta"]
            print(delta.get("content") or "", end="", flush=True)
    writer.close()
    await writer.wait_closed()
    print()
    if status != b"200" or not finished:
        raise QuickstartError(f"the completion failed with status {status.decode()}")
    return 0


def _instructions(base: str, model: str, metrics_port: int) -> str:
    return f"""
The gateway is ready at {base} (metrics at http://{HOST}:{metrics_port}/metrics).

Try it:

  curl -N {base}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hi"}}]}}'

or, after `pip install openai`:

  from openai import OpenAI
  chat = OpenAI(base_url="{base}/v1", api_key="none").chat.completions
  stream = chat.create(model="{model}", messages=[{{"role": "user", "content": "Hi"}}], stream=True)
  for chunk in stream: print(chunk.choices[0].delta.content or "", end="", flush=True)

Press Ctrl-C to stop.
"""


async def _show_status(server: Server, stop: asyncio.Event) -> None:
    """A line per second, rewritten in place on a terminal, printed when it changes elsewhere."""
    in_place = sys.stdout.isatty()
    before = (0.0, 0.0)
    shown = ""
    while not stop.is_set():
        try:
            async with asyncio.timeout(STATUS_INTERVAL_S):
                await stop.wait()
        except TimeoutError:
            pass
        now = (server.gateway.telemetry.requests_total(), await _tokens_total(server))
        requests_per_s, tokens_per_s = (
            (after - earlier) / STATUS_INTERVAL_S
            for after, earlier in zip(now, before, strict=True)
        )
        before = now
        line = (
            f"{requests_per_s:6.1f} requests/s  {tokens_per_s:8.1f} tokens/s  "
            f"{server.gateway.active_requests:4d} active  {now[0]:8.0f} requests in total"
        )
        if in_place:
            print(f"\r{line}", end="", flush=True)
        elif line != shown:
            print(line, flush=True)
        shown = line
    if in_place:
        print()


async def _tokens_total(server: Server) -> float:
    """Tokens generated by all engines so far."""
    total = 0.0
    for worker in server.gateway.registry.snapshot.workers:
        try:
            page = await fetch(worker.pool, b"GET", b"/metrics", timeout_s=STATUS_INTERVAL_S)
        except UpstreamError:
            continue  # A line of status is not worth more than one try.
        total += sum(float(value) for value in _TOKENS.findall(page.body.decode()))
    return total
