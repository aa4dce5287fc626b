"""Traffic recorded by a gateway is a trace for the simulator."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import aiohttp
import pytest
from smg_mock_worker import MockWorker

from e2e_test.conftest import StartGateway
from e2e_test.processes import plain_environment, smg


@pytest.mark.anyio
async def test_a_recording_replays_with_the_prefixes_that_were_shared(
    launch: StartGateway, engine: MockWorker, tmp_path: Path
) -> None:
    recording, report = tmp_path / "trace.jsonl", tmp_path / "report.json"
    system = "You are a most helpful assistant, and you answer in rhyme. " * 40
    async with (
        launch([engine.url], "--record-trace", str(recording)) as gateway,
        aiohttp.ClientSession() as client,
    ):
        for turn in range(6):
            question = {"model": "mock-model", "prompt": system + f"Turn {turn}.", "max_tokens": 3}
            async with client.post(gateway.api + "/completions", json=question) as answer:
                assert answer.status == 200
    words = smg("simulate", str(recording), "--workers", "1", "--json", str(report), "--quiet")
    done = await asyncio.to_thread(
        subprocess.run,
        words,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(report.read_text())["results"]
    assert result["completed"] == 6
    assert result["hit_rate"] > 0.6, "all but the first found the system prompt cached"
    assert "rhyme" not in recording.read_text()
