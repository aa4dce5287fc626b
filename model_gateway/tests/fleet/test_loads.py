"""Load reports: how they are got, what policies make of them, and who is left out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from smg_gateway.app import Gateway
from smg_mock_worker import AnswerStatus, LoadOverride, MockWorker

pytestmark = pytest.mark.anyio


def load(**figures: Any) -> LoadOverride:
    return LoadOverride(**figures)


async def poll(gateway: Gateway) -> None:
    await gateway.fleet.loads.poll_all()


def asked(worker: MockWorker) -> list[str]:
    """Load questions that the worker got, in order."""
    paths = ("/loads", "/v1/loads", "/metrics")
    return [each.path for each in worker.requests if each.path in paths]


async def test_the_form_that_a_worker_answers_is_remembered(start: Any, http: Any) -> None:
    async with MockWorker() as sglang, MockWorker(flavour="vllm") as vllm:
        sglang.faults.add(AnswerStatus(code=404, path="/loads"))
        vllm.load_override = load(running_requests=3, waiting_requests=2, token_usage=0.25)
        async with start(sglang, vllm) as running:
            for _ in range(2):
                await poll(running.gateway)
            assert asked(sglang) == ["/loads", "/v1/loads", "/v1/loads"]
            assert asked(vllm) == ["/loads", "/v1/loads", "/metrics", "/metrics"]
            assert sglang.requests.to("/loads")[0].query == "model=mock-model"
            assert sglang.requests.to("/v1/loads")[0].query == ("include=core,disagg,queues,memory")
            report = running.gateway.registry.find(vllm.url).report
            assert (report.running_requests, report.waiting_requests) == (3, 2)
            assert report.token_usage == 0.25

            sglang.faults.clear()
            sglang.faults.add(AnswerStatus(code=500, path="/v1/loads"))
            await poll(running.gateway)
            assert asked(sglang)[-2:] == ["/v1/loads", "/loads"]


async def test_a_report_is_new_with_each_poll_and_gone_when_there_are_no_more(
    start: Any, worker: MockWorker
) -> None:
    async with start(worker) as running:
        known = running.gateway.registry.find(worker.url)
        assert known.report is None
        await poll(running.gateway)
        first = known.report
        await poll(running.gateway)
        assert known.report is not None
        assert known.report is not first
        for path in ("/loads", "/v1/loads", "/metrics"):
            worker.faults.add(AnswerStatus(code=200, body='{"loads": 5}', path=path))
        for _ in range(2):
            await poll(running.gateway)
            assert known.report is not None
        await poll(running.gateway)
        assert known.report is None


async def test_each_rank_gets_its_own_figures(start: Any, connect: Any) -> None:
    async with MockWorker(dp_size=2) as engine:
        engine.load_override = load(waiting_requests=3)
        async with start(dp_aware=True) as running:
            control = connect(running)
            _, body = await control.call("POST", "/workers", json={"url": engine.url})
            await control.until(body["worker_id"], lambda info: info["status"] == "ready")
            await poll(running.gateway)
            workers = running.gateway.registry.snapshot.workers
            assert [[each.dp_rank for each in w.engine_loads] for w in workers] == [[0], [1]]
            assert [w.report.waiting_requests for w in workers] == [3, 3]
            assert len(asked(engine)) == 1
            label = f'{{dp_rank="1",model="mock-model",worker="{engine.url}@1"}}'
            assert running.metric("smg_engine_waiting_requests" + label) == 3


async def test_the_shortest_expected_wait_wins_under_least_load(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    worker.load_override = load(waiting_uncached_tokens=0, generation_tokens_per_s=50)
    other.load_override = load(waiting_uncached_tokens=5000, generation_tokens_per_s=50)
    async with start(worker, other, policy="least_load") as running:
        await poll(running.gateway)
        control = connect(running)
        used = [(await control.chat("mock-model"))[2] for _ in range(14)]
        # Each request counts as 1024 tokens until the next report; ties go either way.
        assert set(used[:5]) == {worker.url}
        assert Counter(used[5:])[other.url] in (4, 5)


@pytest.mark.parametrize("metric", ["expected_wait", "requests", "least_requests"])
async def test_power_of_two_avoids_the_worker_that_reports_most(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker, metric: str
) -> None:
    worker.load_override = load(running_requests=7, waiting_requests=5, token_usage=0.7)
    settings = {"policy": "power_of_two", "power_of_two_load_metric": metric}
    async with start(worker, other, **settings) as running:
        await poll(running.gateway)
        control = connect(running)
        assert {(await control.chat("mock-model"))[2] for _ in range(6)} == {other.url}


async def test_overloaded_workers_are_left_out_until_they_report_less(
    start: Any, connect: Any, http: Any
) -> None:
    async with MockWorker() as calm, MockWorker() as queued, MockWorker() as full:
        queued.load_override = load(waiting_requests=8)
        full.load_override = load(token_usage=0.8)
        calm.load_override = load(waiting_requests=7, token_usage=0.79)
        async with start(calm, queued, full) as running:
            await poll(running.gateway)
            control = connect(running)
            assert {(await control.chat("mock-model"))[2] for _ in range(6)} == {calm.url}
            assert running.metric('smg_workers_overloaded{model="mock-model"}') == 2
            _, listing = await control.call("GET", "/workers")
            flags = {w["url"]: w.get("overloaded", False) for w in listing["workers"]}
            assert flags == {calm.url: False, queued.url: True, full.url: True}

            queued.load_override = full.load_override = None
            await poll(running.gateway)
            assert len({(await control.chat("mock-model"))[2] for _ in range(6)}) == 3
            assert running.metric('smg_workers_overloaded{model="mock-model"}') == 0


async def test_when_all_are_overloaded_the_least_loaded_takes_the_request(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    worker.load_override = other.load_override = load(waiting_requests=9)
    async with start(worker, other) as running:
        await poll(running.gateway)
        control = connect(running)
        running.gateway.registry.find(worker.url).load += 1
        assert {(await control.chat("mock-model"))[2] for _ in range(4)} == {other.url}
        running.gateway.registry.find(worker.url).load -= 1
        fallback = 'smg_worker_overload_fallback_total{stage="selection"}'
        assert running.metric(fallback) == 4


async def test_shedding_says_when_the_next_reports_come(
    start: Any, http: Any, chat: Any, worker: MockWorker
) -> None:
    worker.load_override = load(waiting_requests=9)
    settings = {"worker_overload_shed": True, "load_monitor_interval": 2}
    async with start(worker, **settings) as running:
        await poll(running.gateway)
        async with http.post(running.url + "/v1/chat/completions", json=chat()) as answer:
            assert answer.status == 503
            assert answer.headers["retry-after"] == "2"
            error = (await answer.json())["error"]
            assert error["code"] == "worker_overload_protection_shed"
            assert error["message"] == "All workers for model 'mock-model' are overloaded"
        assert running.metric('smg_worker_overload_shed_total{stage="selection"}') == 1
        assert not worker.requests.to("/v1/chat/completions")


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        ({"disable_worker_overload_protection": True}, {}),
        ({"worker_overload_waiting_requests": 10}, {}),
        ({}, {"overload": {"waiting_requests": 10}}),
    ],
)
async def test_limits_can_be_raised_for_all_or_for_one(
    start: Any, connect: Any, worker: MockWorker, settings: Any, spec: Any
) -> None:
    worker.load_override = load(waiting_requests=9)
    async with start(**settings) as running:
        await connect(running).add(worker.url, **spec)
        await poll(running.gateway)
        assert not running.gateway.registry.find(worker.url).overloaded


async def test_nobody_is_asked_where_nobody_needs_it(start: Any, worker: MockWorker) -> None:
    settings = {"disable_load_monitoring": True, "disable_worker_overload_protection": True}
    async with start(worker, **settings) as running:
        await poll(running.gateway)
    assert asked(worker) == []


async def test_loads_are_told_as_they_were_and_asked_anew(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    worker.load_override = load(running_requests=2, waiting_requests=1, token_usage=0.5)
    async with start(worker) as running:
        control = connect(running)
        status, body = await control.call("GET", "/loads")
        assert (status, body["loads"], "aggregate" in body) == (200, [], False)
        await poll(running.gateway)
        worker.load_override = load(running_requests=9)
        _, known = await control.call("GET", "/loads")
        _, fresh = await control.call("GET", "/get_loads")
        assert known["loads"][0]["worker"] == worker.url
        assert known["loads"][0]["num_total_reqs"] == 3
        assert known["aggregate"]["total_running_reqs"] == 2
        assert known["aggregate"]["avg_token_usage"] == 0.5
        assert known["dp_rank_count"] == 1
        assert fresh["aggregate"]["total_running_reqs"] == 9


async def test_a_worker_that_left_shows_minus_one_in_every_engine_gauge(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start() as running:
        control = connect(running)
        worker_id = await control.add(worker.url, health={"drain_settle_secs": 0})
        await poll(running.gateway)
        series = f'{{dp_rank="0",model="mock-model",worker="{worker.url}"}}'
        assert running.metric("smg_engine_token_usage" + series) >= 0
        polls = f'smg_engine_load_polls_total{{mode="poll",worker="{worker.url}"}}'
        assert running.metric(polls) == 1
        await control.call("DELETE", f"/workers/{worker_id}")
        await control.until_gone(worker_id)
        names = ("running_requests", "waiting_requests", "token_usage", "gen_throughput")
        assert {running.metric(f"smg_engine_{name}{series}") for name in names} == {-1}
        assert running.metric(f'smg_worker_http2{{worker="{worker.url}"}}') == -1
