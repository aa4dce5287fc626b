"""Nothing is left over: tasks, connections and pools end with the worker or the gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from smg_gateway.app import Gateway
from smg_gateway.settings import Settings
from smg_gateway.workers import WorkerSpec
from smg_mock_worker import AddLatency, MockWorker

pytestmark = pytest.mark.anyio

NOBODY = "http://127.0.0.1:9"


async def test_a_gateway_that_ends_leaves_no_task_behind(worker: MockWorker) -> None:
    before = asyncio.all_tasks()
    worker.faults.add(AddLatency(seconds=30, path="/v1/models"))
    gateway = Gateway(Settings(worker_urls=(worker.url, NOBODY), policy="round_robin"))
    async with gateway.lifespan(), asyncio.timeout(5):
        while len(gateway.fleet.jobs) < 2 or not worker.requests.to("/v1/models"):
            await asyncio.sleep(0.005)
    assert len(gateway.fleet.jobs) == 0
    assert not gateway.fleet._pool_users
    left = {task for task in asyncio.all_tasks() - before if "Gateway" in repr(task)}
    assert not left


async def test_registering_and_removing_again_and_again_keeps_nothing(
    start: Any, connect: Any, worker: MockWorker
) -> None:
    async with start() as running:
        control, fleet = connect(running), running.gateway.fleet
        for _ in range(5):
            worker_id = await control.add(worker.url, health={"drain_settle_secs": 0})
            await control.chat("mock-model")
            await control.call("DELETE", f"/workers/{worker_id}")
            await control.until_gone(worker_id)
        assert not fleet.workers
        assert not fleet._pool_users
        assert len(fleet._closing_pools) <= 1
        assert not fleet.patrol._pulses
        assert not fleet.loads._ranks
        assert len(fleet.jobs) == 0
        assert not fleet.jobs.statuses()
        assert len(fleet.patrol._probes._schedule) == 0


async def test_ranks_let_go_of_their_pool_with_the_last_of_them(start: Any, connect: Any) -> None:
    async with MockWorker(dp_size=2) as engine, start(dp_aware=True) as running:
        control = connect(running)
        spec = {"url": engine.url, "health": {"drain_settle_secs": 0}}
        _, body = await control.call("POST", "/workers", json=spec)
        await control.until(body["worker_id"], lambda info: info["status"] == "ready")
        first, second = running.gateway.registry.snapshot.workers
        await control.call("DELETE", f"/workers/{first.uuid}")
        await control.until_gone(first.uuid)
        assert (await control.chat("mock-model"))[::2] == (200, second.url)
        await control.call("DELETE", f"/workers/{body['worker_id']}")
        await control.until_gone(second.uuid)
        assert not running.gateway.fleet._pool_users


async def test_static_workers_follow_the_configuration_and_others_stay(
    start: Any, connect: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with MockWorker() as third, start(worker) as running:
        fleet = running.gateway.fleet
        await connect(running).add(third.url)
        await fleet.follow([WorkerSpec(url=other.url)])
        async with asyncio.timeout(5):
            while fleet.registry.find(other.url) is None:
                await asyncio.sleep(0.005)
        urls = {each.url for each in running.gateway.registry.snapshot.workers}
        assert urls == {other.url, third.url}
        await fleet.follow([WorkerSpec(url=other.url), WorkerSpec(url=NOBODY)])
        await fleet.follow([WorkerSpec(url=other.url)])
        assert fleet.jobs.status(NOBODY).status == "failed"
