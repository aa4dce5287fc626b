"""A real process: settings files, SIGHUP, log files, and what they do to running streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from smg_mock_worker import EngineTiming, MockWorker

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [one.getsockname()[1] for one in sockets]


class Launched:
    """A gateway process with a settings file."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        port, metrics_port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self.file = directory / "smg.yaml"
        self.settings = {
            "host": "127.0.0.1",
            "port": port,
            "prometheus-host": "127.0.0.1",
            "prometheus-port": metrics_port,
            "log-json": True,
            "policy": "round_robin",
            "shutdown-grace-period-secs": 0,
            **settings,
        }
        self.lines: list[dict[str, Any]] = []
        self.text = ""
        self._new_line = asyncio.Event()
        self.write({})

    def write(self, changed: dict[str, Any]) -> None:
        """Put other settings into the file, as editors do: a new file under the old name."""
        self.settings |= changed
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(self.settings))  # JSON is YAML.
        draft.rename(self.file)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """The process, listening; it must end cleanly."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "smg_gateway", "launch", "--config", str(self.file)),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(process))
            try:
                await self.logged("gateway listening")
                await self.logged("worker registered")
                yield process
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(10):
                    assert await process.wait() == 0
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()
            await reading

    async def logged(self, event: str) -> dict[str, Any]:
        """The next log record of this kind, which is forgotten then."""
        async with asyncio.timeout(15):
            while True:
                for record in self.lines:
                    if record["event"].startswith(event):
                        self.lines.remove(record)
                        return record
                self._new_line.clear()
                await self._new_line.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.text += line.decode()
            self.lines.append(json.loads(line))
            self._new_line.set()


async def metrics(http: aiohttp.ClientSession, launched: Launched) -> str:
    async with http.get(launched.metrics_url) as answer:
        return await answer.text()


async def test_sighup_takes_over_the_file_under_running_streams(
    tmp_path: Path, http: Any, chat: Any
) -> None:
    timing = EngineTiming(inter_token_latency_s=0.005)
    async with MockWorker(timing=timing) as worker, MockWorker(timing=timing) as other:
        launched = Launched(tmp_path, {"worker-urls": [worker.url], "api-key": "first-secret"})
        first = {"authorization": "Bearer first-secret"}
        second = {"authorization": "Bearer second-secret"}

        async def stream(headers: dict[str, str]) -> str:
            body = chat(stream=True, max_tokens=60)
            async with http.post(launched.url + CHAT, json=body, headers=headers) as answer:
                return str(await answer.text())

        async with launched.running() as process, asyncio.TaskGroup() as group:
            running = [group.create_task(stream(first)) for _ in range(10)]
            async with asyncio.timeout(5):
                while worker.active_requests < 10:
                    await asyncio.sleep(0.005)
            launched.write({
                "worker-urls": [other.url],
                "api-key": "second-secret",
                "log-level": "debug",
                "queue-size": 7,
            })
            process.send_signal(signal.SIGHUP)
            changed = await launched.logged("settings changed")
            await launched.logged("worker registered")
            assert all([(await task).endswith("data: [DONE]\n\n") for task in running])
            assert (await stream(second)).endswith("data: [DONE]\n\n")
            assert (await launched.logged("worker chosen"))["level"] == "debug"
            async with http.post(launched.url + CHAT, json=chat(), headers=first) as answer:
                assert answer.status == 401
            assert 'smg_config_reloads_total{result="applied"} 1.0' in await metrics(http, launched)

        assert changed["changes"] == [
            f"worker-urls: ('{worker.url}',) -> ('{other.url}',)",
            "log-level: info -> debug",
            "queue-size: 100 -> 7",
            "api-key: *** -> ***",
        ]
        assert len(other.requests.to(CHAT)) == 1
        assert "secret" not in launched.text


async def test_a_file_that_cannot_be_taken_over_leaves_the_gateway_as_it_was(
    tmp_path: Path, worker: Any, http: Any, chat: Any
) -> None:
    launched = Launched(tmp_path, {"worker-urls": [worker.url]})
    async with launched.running() as process:
        launched.file.write_text("port: [")
        process.send_signal(signal.SIGHUP)
        refused = await launched.logged("settings refused")
        assert refused["reason"].startswith(f"{launched.file}:1: ")

        launched.write({"port": 1, "queue-size": 3})
        process.send_signal(signal.SIGHUP)
        refused = await launched.logged("settings refused")
        assert refused["reason"] == "--port cannot change without a restart"

        async with http.post(launched.url + CHAT, json=chat()) as answer:
            assert answer.status == 200


async def test_a_changed_file_is_noticed_without_a_signal(tmp_path: Path, worker: Any) -> None:
    launched = Launched(tmp_path, {"worker-urls": [worker.url]})
    async with launched.running():
        launched.write({"retry-max-retries": 2})
        changed = await launched.logged("settings changed")
    assert changed["changes"] == ["retry-max-retries: 5 -> 2"]


async def test_log_files_hold_what_standard_error_shows(
    tmp_path: Path, worker: Any, http: Any, chat: Any
) -> None:
    directory = tmp_path / "logs"
    launched = Launched(tmp_path, {"worker-urls": [worker.url], "log-dir": str(directory)})
    async with launched.running():
        async with http.post(launched.url + CHAT, json=chat()) as answer:
            assert answer.status == 200
        shown = await metrics(http, launched)
        assert 'smg_log_dropped_lines{sink="smg-log-file"} 0.0' in shown
        assert 'smg_log_dropped_lines{sink="smg-log-stderr"} 0.0' in shown

    (file,) = directory.iterdir()
    assert file.name.startswith("smg.20") and file.suffix == ".log"
    assert file.read_text() == launched.text
    assert "gateway stopped" in launched.text
