"""Questions and commands for all engines at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from smg_gateway.admin import fanout
from smg_gateway.admin.engine_metrics import merge_pages
from smg_mock_worker import AnswerStatus, Hang, MockWorker

pytestmark = pytest.mark.anyio


async def test_caches_of_all_engines_are_flushed_by_the_route_that_each_knows(
    start: Any, connect: Any
) -> None:
    async with MockWorker(dp_size=2) as sglang, MockWorker(flavour="vllm") as vllm:
        async with start(dp_aware=True) as running:
            control = connect(running)
            assert await control.call("POST", "/flush_cache") == (
                200,
                {
                    "status": "success",
                    "message": "No workers available for cache flush",
                    "workers_flushed": 0,
                    "total_http_workers": 0,
                    "total_grpc_workers": 0,
                    "total_zmq_workers_skipped": 0,
                    "total_workers": 0,
                },
            )
            for engine in (sglang, vllm):
                _, body = await control.call("POST", "/workers", json={"url": engine.url})
                await control.until(body["worker_id"], lambda info: info["status"] == "ready")
            status, body = await control.call("POST", "/flush_cache")
            assert status == 200
            assert body["message"] == "Successfully flushed cache on all 2 workers"
            assert (body["workers_flushed"], body["total_http_workers"]) == (2, 2)
    assert len(sglang.requests.to("/flush_cache")) == 1
    assert len(vllm.requests.to("/reset_prefix_cache")) == 1


async def test_what_failed_is_told_engine_by_engine(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    worker.faults.add(AnswerStatus(code=400, body="busy", path="/flush_cache"))
    async with start(worker, other) as running:
        status, body = await connect(running).call("POST", "/flush_cache")
        assert (status, body["status"]) == (206, "partial_success")
        assert body["successful"] == [other.url]
        assert body["failed"] == [{"worker": worker.url, "error": "HTTP 400: busy"}]


async def test_an_engine_that_hangs_does_not_hold_up_the_answer(
    start: Any, connect: Any, worker: MockWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "QUESTION_TIMEOUT_S", 0.05)
    worker.faults.add(Hang(path="/flush_cache"))
    async with start(worker) as running:
        status, body = await connect(running).call("POST", "/flush_cache")
        assert status == 206
        assert body["failed"][0]["error"] == "no answer within 0.05 s"


async def test_profiles_start_and_stop_everywhere_or_at_one_engine(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start() as running:
        control = connect(running)
        status, body = await control.call("POST", "/start_profile")
        assert (status, body["message"]) == (404, "No workers available for profiling")
        await control.add(worker.url)
        await control.add(other.url)
        options = {"url": worker.url, "output_dir": "/tmp/p", "num_steps": 3}
        status, body = await control.call("POST", "/start_profile", json=options)
        assert (status, body["workers_profiled"], body["total_workers"]) == (200, 1, 1)
        (sent,) = worker.requests.to("/start_profile")
        assert sent.body == b'{"output_dir":"/tmp/p","num_steps":3}'
        assert not other.requests.to("/start_profile")
        status, body = await control.call("POST", "/stop_profile")
        assert (status, body["successful"]) == (206, [worker.url])
        status, body = await control.call("POST", "/start_profile", json={"url": "http://x"})
        assert (status, body["message"]) == (404, "No worker matching url 'http://x'")
        status, body = await control.call("POST", "/start_profile", data=b"[")
        assert (status, body["error"]["code"]) == (400, "invalid_json")


async def test_metrics_of_all_engines_make_one_valid_page(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start() as running:
        control = connect(running)
        assert await control.call("GET", "/engine_metrics") == (500, "No available workers")
        await control.add(worker.url)
        await control.add(other.url)
        status, page = await control.call("GET", "/engine_metrics")
        assert status == 200
        families = {family.name: family for family in text_string_to_metric_families(page)}
        samples = families["sglang:num_running_reqs"].samples
        assert [sample.labels["worker_addr"] for sample in samples] == [worker.url, other.url]
        assert page.count("# TYPE sglang:num_running_reqs ") == 1
        for engine in (worker, other):
            engine.faults.add(AnswerStatus(code=500, path="/metrics"))
        assert await control.call("GET", "/engine_metrics") == (500, "All backend requests failed")


names = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
labels = st.dictionaries(names.filter(lambda name: name != "worker_addr"), st.text(max_size=4))


@given(st.dictionaries(names, st.lists(labels, min_size=1, max_size=3), max_size=4))
def test_merged_pages_lose_nothing_and_stay_readable(page: dict[str, list[dict[str, str]]]) -> None:
    def line(name: str, found: dict[str, str]) -> str:
        escape = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
        parts = ("".join(escape.get(c, c) for c in v) for v in found.values())
        inside = ",".join(f'{k}="{v}"' for k, v in zip(found, parts, strict=True))
        return f"{name}{{{inside}}} 1" if found else f"{name} 1"

    clean = {
        name: [
            {k: "".join(c for c in v if c.isprintable()) for k, v in each.items()} for each in rows
        ]
        for name, rows in page.items()
    }
    text = "".join(
        f"# TYPE {name} gauge\n" + "".join(line(name, row) + "\n" for row in rows)
        for name, rows in clean.items()
    )
    merged = merge_pages([("http://a", text.encode()), ('http://"b"', text.encode())]).decode()
    found = {
        family.name: [dict(sample.labels) for sample in family.samples]
        for family in text_string_to_metric_families(merged)
    }
    expected = {
        name: [
            {"worker_addr": address, **row}
            for address in ("http://a", 'http://"b"')
            for row in rows
        ]
        for name, rows in clean.items()
    }
    assert found == expected


async def test_only_so_many_engines_are_asked_at_once() -> None:
    at_once = most = 0

    async def ask(worker: Any) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1

    workers: list[Any] = [object()] * 100
    assert len(await fanout.ask_all(workers, ask)) == 100
    assert most == fanout.PARALLEL_QUESTIONS
