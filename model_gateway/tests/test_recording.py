"""Recording of traffic: what a replay needs, and nothing that anybody said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from smg_gateway.observability.recording import (
    BLOCK_CHARACTERS,
    INLINE_BYTES,
    MAX_WAITING_LINES,
    TraceLine,
    TraceRecorder,
)
from smg_mock_worker import AnswerStatus, MockWorker

from .conftest import Start

CHAT = "/v1/chat/completions"
SECRET = "the cook's secret is nutmeg, and nobody shall ever learn of it. "
Body = Callable[..., dict[str, Any]]


def lines_of(path: Path) -> list[TraceLine]:
    return msgspec.json.Decoder(TraceLine).decode_lines(path.read_bytes())


@pytest.mark.anyio
async def test_a_line_per_answered_request_and_no_text(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body, tmp_path: Path
) -> None:
    file = tmp_path / "trace.jsonl"
    prompt = SECRET * 20
    async with start(worker, record_trace=str(file)) as running:
        for stream in (False, True):
            body = chat(prompt, stream=stream, max_tokens=7)
            headers = {"x-smg-routing-key": "alice@example.org"}
            async with http.post(running.url + CHAT, json=body, headers=headers) as answer:
                assert answer.status == 200
                await answer.read()
        await running.settled()
    whole, streamed = lines_of(file)
    assert whole.model == "mock-model"
    assert whole.chars == len(prompt)
    assert len(whole.blocks) == len(prompt) // BLOCK_CHARACTERS
    assert whole.blocks == streamed.blocks
    assert whole.output_tokens == 7
    assert streamed.output_tokens is not None and 7 <= streamed.output_tokens <= 10
    assert whole.key == streamed.key is not None
    written = file.read_text()
    assert "nutmeg" not in written and "alice" not in written


@pytest.mark.anyio
async def test_refused_and_failed_requests_leave_no_line(
    start: Start, worker: MockWorker, http: aiohttp.ClientSession, chat: Body, tmp_path: Path
) -> None:
    file = tmp_path / "trace.jsonl"
    async with start(worker, record_trace=str(file), retry_max_retries=1) as running:
        worker.faults.add(AnswerStatus(code=500))
        for body in (chat(), {"model": "mock-model"}):
            async with http.post(running.url + CHAT, json=body) as answer:
                assert answer.status >= 400
    assert file.read_bytes() == b""


def recorder_at(path: Path) -> TraceRecorder:
    return TraceRecorder(path / "trace.jsonl")


def test_blocks_agree_exactly_as_far_as_prompts_do(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    shared = "a" * (3 * BLOCK_CHARACTERS)
    one = recorder.begin("m", shared + "b" * BLOCK_CHARACTERS, None, None).line.blocks
    two = recorder.begin("m", shared + "c" * BLOCK_CHARACTERS, None, None).line.blocks
    assert one[:3] == two[:3]
    assert one[3] != two[3]
    assert len(set(one)) == 4, "equal blocks behind different beginnings differ"


def test_two_recordings_cannot_be_compared(tmp_path: Path) -> None:
    text = "x" * BLOCK_CHARACTERS
    one = recorder_at(tmp_path).begin("m", text, None, "key").line
    two = recorder_at(tmp_path).begin("m", text, None, "key").line
    assert one.blocks != two.blocks
    assert one.key != two.key


def test_tokens_are_counted_as_tokens(tmp_path: Path) -> None:
    line = recorder_at(tmp_path).begin("m", "", list(range(130)), None).line
    assert (line.input_tokens, line.block_size, len(line.blocks)) == (130, 64, 2)


@pytest.mark.anyio
async def test_large_prompts_are_hashed_by_the_time_they_are_written(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    text = "y" * INLINE_BYTES
    recording = recorder.begin("m", text, None, None)
    assert recording.line.blocks == []
    recorder.end(recording)
    task = asyncio.ensure_future(recorder.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (line,) = lines_of(tmp_path / "trace.jsonl")
    assert len(line.blocks) == len(text) // BLOCK_CHARACTERS


def test_waiting_lines_are_bounded_and_losses_counted(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path)
    for _ in range(MAX_WAITING_LINES + 3):
        recorder.end(recorder.begin("m", "", None, None))
    assert recorder.dropped == 3


def test_usage_reported_by_the_worker_beats_the_number_of_events(tmp_path: Path) -> None:
    recording = recorder_at(tmp_path).begin("m", "", None, None)
    recording.see(b'data: {"a":1}\n')
    recording.see(b"\ndata: {}\n\n")
    recording.finish()
    assert recording.line.output_tokens == 2
    recording.see(b'data: {"usage":{"prompt_tokens":9,"completion_tokens":41}}\n\n')
    recording.finish()
    assert recording.line.output_tokens == 41


def test_an_unwritable_file_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        TraceRecorder(tmp_path / "no" / "such" / "folder")
