"""Probes, stalls and what they do to routing, seen through a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from smg_gateway.workers import Stall, Worker, WorkerStatus
from smg_mock_worker import AnswerStatus, EngineTiming, FlapHealth, MockWorker

pytestmark = pytest.mark.anyio

DOWN = AnswerStatus(code=503, path="/health")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def probe(gateway: Any, worker: Worker, times: int = 1) -> None:
    """Probe out of turn."""
    for _ in range(times):
        await gateway.fleet.patrol._probes.visit(worker)


async def test_failed_probes_take_a_worker_out_and_good_ones_bring_it_back(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start(worker, other) as running:
        gateway, control = running.gateway, connect(running)
        known = gateway.registry.find(worker.url)
        worker.faults.add(DOWN)
        statuses = []
        for _ in range(3):
            await probe(gateway, known)
            statuses.append(known.status)
        assert statuses == [WorkerStatus.READY, WorkerStatus.READY, WorkerStatus.NOT_READY]
        assert {(await control.chat("mock-model"))[2] for _ in range(4)} == {other.url}
        await probe(gateway, known, 6)
        _, listing = await control.call("GET", "/workers")
        shown = {each["url"]: (each["status"], each["is_healthy"]) for each in listing["workers"]}
        assert shown[worker.url] == ("failed", False)

        worker.faults.clear()
        known.breaker.config = type(known.breaker.config)(failure_threshold=1)
        known.breaker.record_failure(0.0)
        await probe(gateway, known, 2)
        assert len({(await control.chat("mock-model"))[2] for _ in range(4)}) == 2
        readmitted = f'smg_worker_cb_health_readmissions_total{{worker="{worker.url}"}}'
        assert running.metric(readmitted) == 1
        failures = 'smg_worker_health_checks_total{result="failure",worker_type="regular"}'
        assert running.metric(failures) == 9


async def test_answers_that_flap_never_take_a_worker_out(start: Any, worker: MockWorker) -> None:
    async with start(worker) as running:
        known = running.gateway.registry.find(worker.url)
        worker.faults.add(FlapHealth(pattern=[False, False, True], path="/health"))
        await probe(running.gateway, known, 12)
        assert known.status is WorkerStatus.READY


async def test_a_workers_own_thresholds_hold_for_it_alone(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start(other) as running:
        gateway = running.gateway
        await connect(running).add(worker.url, health={"failure_threshold": 1})
        for each in (worker, other):
            each.faults.add(DOWN)
            await probe(gateway, gateway.registry.find(each.url))
        assert gateway.registry.find(worker.url).status is WorkerStatus.NOT_READY
        assert gateway.registry.find(other.url).status is WorkerStatus.READY


async def test_a_failed_worker_is_removed_where_that_is_wanted(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    settings = {"remove_unhealthy_workers": True, "health_failure_threshold": 1}
    async with start(**settings) as running:
        control = connect(running)
        worker_id = await control.add(worker.url, health={"drain_settle_secs": 0})
        known = running.gateway.registry.find(worker.url)
        worker.faults.add(DOWN)
        await probe(running.gateway, known, 2)
        assert (await control.call("GET", f"/workers/{worker_id}"))[0] == 200
        await probe(running.gateway, known)
        await control.until_gone(worker_id)
        worker.faults.clear()
        assert await control.add(worker.url) == worker_id


async def test_a_worker_without_checks_is_there_at_once_and_stays(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    worker.faults.add(DOWN)
    async with start() as running:
        await connect(running).add(worker.url, health={"disable_health_check": True})
        known = running.gateway.registry.find(worker.url)
        assert known.status is WorkerStatus.READY
        assert len(running.gateway.fleet.patrol._probes._schedule) == 0


async def test_probes_come_by_themselves_each_interval(start: Any, worker: MockWorker) -> None:
    async with start(worker, health_check_interval_secs=1, health_failure_threshold=1) as running:
        known = running.gateway.registry.find(worker.url)
        worker.faults.add(DOWN)
        await until(lambda: known.status is WorkerStatus.NOT_READY)
        worker.faults.clear()
        await until(lambda: known.status is WorkerStatus.READY)


async def test_a_worker_that_cannot_be_reached_is_avoided_until_it_answers(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start(worker, other, worker_stall_secs=0) as running:
        gateway, control = running.gateway, connect(running)
        known = gateway.registry.find(worker.url)
        await worker.stop_abruptly()
        for _ in range(2):
            assert (await control.chat("mock-model"))[0] == 200
        gateway.fleet.patrol.look()
        assert known.stalled is Stall.UNREACHABLE
        stalled = f'smg_worker_stalled{{reason="unreachable",worker="{worker.url}"}}'
        assert running.metric(stalled) == 1
        faults = known.faults
        for _ in range(4):
            assert (await control.chat("mock-model"))[2] == other.url
        assert known.faults == faults
        _, listing = await control.call("GET", "/workers")
        assert {each.get("stalled") for each in listing["workers"]} == {None, "unreachable"}

        await worker.restart()
        await until(lambda: known.stalled is None)
        assert running.metric(stalled) == 0
        assert len({(await control.chat("mock-model"))[2] for _ in range(4)}) == 2


async def test_a_fleet_that_cannot_be_reached_is_tried_all_the_same(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start(worker, worker_stall_secs=0) as running:
        control = connect(running)
        known = running.gateway.registry.find(worker.url)
        known.stalled = Stall.UNREACHABLE
        assert (await control.chat("mock-model"))[0] == 200
        fallbacks = 'smg_worker_liveness_fallback_total{stage="selection"}'
        assert running.metric(fallbacks) == 1


async def test_a_stream_that_moves_shows_that_its_worker_lives(
    start: Any, http: Any, chat: Any
) -> None:
    timing = EngineTiming(inter_token_latency_s=0.01)
    async with MockWorker(timing=timing) as engine, start(engine) as running:
        known = running.gateway.registry.find(engine.url)
        url = running.url + "/v1/chat/completions"
        async with http.post(url, json=chat(stream=True, max_tokens=200)) as answer:
            await answer.content.readline()
            assert known.pool.streams() == (1, True)
            seen = []
            for _ in range(20):
                await answer.content.readline()
                seen.append(known.pool.streams())
            assert {streams for streams, _ in seen} == {1}
            assert (1, True) in seen
        await running.settled()
        assert known.pool.streams() == (0, False)
