"""A running gateway that follows a source: workers come, change and go under traffic."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from smg_gateway.discovery import DiscoveredWorker
from smg_gateway.workers import WorkerSpec, WorkerStatus, worker_id
from smg_gateway.workers.jobs import JobType
from smg_mock_worker import AnswerStatus, EngineTiming, MockWorker

pytestmark = pytest.mark.anyio

REGISTERED = 'smg_discovery_registrations_total{result="success",source="file"}'
FAILED = 'smg_discovery_registrations_total{result="failed",source="file"}'
REMOVED = 'smg_discovery_deregistrations_total{reason="reconciled",source="file"}'
WANTED = 'smg_discovery_workers_discovered{source="file"}'
SYNCED = 'smg_discovery_sync_duration_seconds_count{source="file"}'

NOBODY = "http://127.0.0.1:9"


async def test_workers_come_and_go_as_the_source_wants(
    start: Any, follow: Any, source: Any, ask: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start() as running, follow(running.gateway, source) as fleet:
        source.publish(worker.url)
        await fleet.until_urls(worker.url)
        assert (await ask(running))[::2] == (200, worker.url)
        source.publish(worker.url, other.url)
        await fleet.until_urls(worker.url, other.url)
        source.publish(other.url)
        await fleet.until_urls(other.url)
        assert (await ask(running))[::2] == (200, other.url)
        source.publish()
        await fleet.until_urls()
        await fleet.until_metric(WANTED, 0)

        assert fleet.metric(REGISTERED) == 2
        assert fleet.metric(REMOVED) == 2
        assert fleet.metric(FAILED) is None
        assert (fleet.metric(SYNCED) or 0) >= 4


async def test_registered_workers_carry_the_marks_of_their_source(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    found = DiscoveredWorker(id="w-0", url=worker.url, model_id="llama")
    async with start() as running, follow(running.gateway, source) as fleet:
        source.publish(found)
        await fleet.until_urls(worker.url)

        labels = fleet.at(worker.url).labels
        assert labels["smg.ai/discovery-provider"] == "file"
        assert labels["smg.ai/discovery-id"] == "w-0"
        assert labels["smg.ai/discovery-spec-hash"] == found.fingerprint
        assert labels["served_model_name"] == "llama"
        assert fleet.at(worker.url).models == ("llama",)


async def test_a_worker_that_changes_is_registered_anew_and_serves_meanwhile(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    changed = DiscoveredWorker(
        id=worker.url, url=worker.url, worker_type="prefill", bootstrap_port=8998
    )
    async with start() as running, follow(running.gateway, source) as fleet:
        sizes: list[int] = []
        source.publish(worker.url)
        await fleet.until_urls(worker.url)
        running.gateway.registry.on_change(lambda old, new: sizes.append(len(new.workers)))
        source.publish(changed)
        await fleet.until(lambda: fleet.at(worker.url).worker_type == "prefill")
        await fleet.until_metric(REGISTERED, 2)

        assert fleet.at(worker.url).spec.bootstrap_port == 8998
        assert set(sizes) == {1}, "it was never away"
        assert fleet.metric(REMOVED) is None


async def test_another_instance_at_the_same_url_is_removed_and_added(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    first = DiscoveredWorker(id="1", url=worker.url, instance="pod-1")
    second = DiscoveredWorker(id="2", url=worker.url, instance="pod-2")
    async with start() as running, follow(running.gateway, source) as fleet:
        source.publish(first)
        await fleet.until_urls(worker.url)
        await fleet.until_metric(REGISTERED, 1)
        source.publish(second)
        await fleet.until_metric(REGISTERED, 2)

        assert fleet.at(worker.url).labels["smg.ai/discovery-id"] == "2"
        assert fleet.metric(REMOVED) == 1


async def test_of_several_changes_in_quick_succession_the_last_one_counts(
    start: Any, follow: Any, source: Any, worker: MockWorker, other: MockWorker
) -> None:
    async with start() as running, follow(running.gateway, source) as fleet:
        for _ in range(20):
            source.publish(worker.url)
            source.publish()
            await asyncio.sleep(0.01)
        source.publish(worker.url, other.url)
        await fleet.until_urls(worker.url, other.url)
        await fleet.until_metric(WANTED, 2)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_was_wanted_in_between_the_last_wish_is_fulfilled(
    start: Any, follow: Any, source: Any, worker: MockWorker, other: MockWorker, seed: int
) -> None:
    rng, urls = Random(seed), [worker.url, other.url, NOBODY]
    async with start() as running, follow(running.gateway, source) as fleet:
        for _ in range(15):
            source.publish(
                *(
                    DiscoveredWorker(
                        id=url,
                        url=url,
                        instance=rng.choice("ab"),
                        worker_type=rng.choice(["regular", "decode"]),
                    )
                    for url in urls
                    if rng.random() < 0.6
                )
            )
            await asyncio.sleep(rng.choice([0, 0.1, 0.11, 0.15]))
        last = DiscoveredWorker(id="last", url=worker.url, worker_type="prefill")
        source.publish(last)
        await fleet.until(
            lambda: (
                [each.labels["smg.ai/discovery-id"] for each in fleet.workers] == ["last"]
                and not running.gateway.fleet.jobs.is_open(other.url, JobType.ADD)
            )
        )
        await fleet.until_metric(WANTED, 1)

        assert not running.gateway.fleet.jobs.is_open(NOBODY, JobType.ADD)
        assert fleet.urls == {worker.url}


async def test_a_worker_that_flaps_is_there_in_the_end(
    start: Any, follow: Any, source: Any, ask: Any, worker: MockWorker
) -> None:
    async with start() as running:
        async with follow(running.gateway, source, drain_settle_s=0.05) as fleet:
            for _ in range(3):
                source.publish(worker.url)
                await fleet.until_urls(worker.url)
                source.publish()
                await fleet.until_urls()
            source.publish(worker.url)
            await fleet.until_urls(worker.url)

            assert (await ask(running))[0] == 200


async def test_a_worker_that_is_not_up_yet_is_awaited_and_given_up_when_unwanted(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    async with start() as running, follow(running.gateway, source) as fleet:
        jobs = running.gateway.fleet.jobs
        source.publish(NOBODY, worker.url)
        await fleet.until_urls(worker.url)
        assert len(jobs) == 1
        source.publish(worker.url)
        await fleet.until_metric(WANTED, 1)

        assert len(jobs) == 0
        assert jobs.status(NOBODY) is None
        assert fleet.metric(REMOVED) is None, "it never was one"


async def test_a_registration_under_way_takes_over_what_has_changed_since(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    worker.faults.add(AnswerStatus(code=503, path="/health"))
    changed = DiscoveredWorker(id="x", url=worker.url, worker_type="decode")
    async with start() as running, follow(running.gateway, source) as fleet:
        source.publish(worker.url)
        await worker.requests.wait_for(lambda request: request.path == "/health")
        source.publish(changed)
        await fleet.until_metric(SYNCED, 2)
        worker.faults.clear()
        await fleet.until_urls(worker.url)

        assert fleet.at(worker.url).worker_type == "decode"
        assert len(running.gateway.registry.snapshot.workers) == 1


async def test_a_registration_that_failed_is_tried_again(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    worker.faults.add(AnswerStatus(code=503, path="/health"))
    async with start(worker_startup_timeout_secs=0) as running:
        async with follow(running.gateway, source, resync_s=0.05) as fleet:
            source.publish(worker.url)
            async with asyncio.timeout(5):
                while (fleet.metric(FAILED) or 0) < 2:
                    await asyncio.sleep(0.01)
            worker.faults.clear()
            await fleet.until_urls(worker.url)
            await fleet.until_metric(REGISTERED, 1)


async def test_a_worker_that_was_lost_comes_back(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    async with start() as running, follow(running.gateway, source) as fleet:
        source.publish(worker.url)
        await fleet.until_metric(REGISTERED, 1)
        first = fleet.at(worker.url)
        running.gateway.fleet.remove(worker_id(worker.url))
        await fleet.until(lambda: (running.gateway.registry.find(worker.url) or first) is not first)
        await fleet.until_metric(REGISTERED, 2)

        assert fleet.metric(REMOVED) is None
        assert fleet.metric(FAILED) is None


async def test_requests_in_flight_survive_the_removal_of_their_worker(
    start: Any, follow: Any, source: Any, http: Any, chat: Any
) -> None:
    timing = EngineTiming(inter_token_latency_s=0.01)
    async with MockWorker(timing=timing) as slow, start() as running:
        async with follow(running.gateway, source) as fleet, asyncio.TaskGroup() as group:
            source.publish(slow.url)
            await fleet.until_urls(slow.url)

            async def stream() -> str:
                url = running.url + "/v1/chat/completions"
                async with http.post(url, json=chat(stream=True, max_tokens=40)) as answer:
                    return str(await answer.text())

            streams = [group.create_task(stream()) for _ in range(5)]
            async with asyncio.timeout(5):
                while slow.active_requests < 5:
                    await asyncio.sleep(0.005)
            source.publish()
            await fleet.until_urls()
            changed = [(await each).endswith("data: [DONE]\n\n") for each in streams]

            assert all(changed)


async def test_workers_of_others_are_never_touched(
    start: Any, follow: Any, source: Any, worker: MockWorker, other: MockWorker
) -> None:
    forged = {"smg.ai/discovery-provider": "file", "smg.ai/discovery-id": "x"}
    async with MockWorker() as third, start(worker) as running:
        running.gateway.fleet.add(WorkerSpec(url=other.url, labels=forged))
        async with follow(running.gateway, source) as fleet:
            await fleet.until_urls(worker.url, other.url)
            before = {fleet.at(worker.url), fleet.at(other.url)}
            changed = DiscoveredWorker(id="1", url=worker.url, worker_type="decode")
            source.publish(changed, other.url, third.url)
            await fleet.until_urls(worker.url, other.url, third.url)
            assert fleet.metric(FAILED) == 2
            source.publish()
            await fleet.until_urls(worker.url, other.url)

            assert {fleet.at(worker.url), fleet.at(other.url)} == before


async def test_a_worker_that_an_operator_has_replaced_is_theirs_from_then_on(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    async with start() as running, follow(running.gateway, source) as fleet:
        source.publish(worker.url)
        await fleet.until_urls(worker.url)
        running.gateway.fleet.replace(worker_id(worker.url), WorkerSpec(url=worker.url, cost=2))
        await fleet.until(lambda: fleet.at(worker.url).spec.cost == 2)
        source.publish()
        await fleet.until_metric(WANTED, 0)

        assert fleet.urls == {worker.url}
        assert fleet.at(worker.url).status is WorkerStatus.READY


async def test_a_worker_that_cannot_be_spoken_to_is_left_out_and_the_others_come(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    async with start() as running, follow(running.gateway, source, resync_s=0.02) as fleet:
        source.publish("grpc://127.0.0.1:9", worker.url)
        await fleet.until_urls(worker.url)
        async with asyncio.timeout(5):
            while (fleet.metric(SYNCED) or 0) < 5:
                await asyncio.sleep(0.01)

        assert fleet.metric(FAILED) == 1, "every pass tries, the first one counts"


async def test_a_full_job_queue_is_waited_for(start: Any, follow: Any, source: Any) -> None:
    async with MockWorker() as a, MockWorker() as b, MockWorker() as c:
        async with start(job_queue_capacity=1) as running:
            async with follow(running.gateway, source) as fleet:
                source.publish(a.url, b.url, c.url)
                await fleet.until_urls(a.url, b.url, c.url)
                source.publish()
                await fleet.until_urls()


async def test_ranks_of_an_engine_come_and_go_together(
    start: Any, follow: Any, source: Any
) -> None:
    async with MockWorker(dp_size=2) as engine, start(dp_aware=True) as running:
        async with follow(running.gateway, source) as fleet:
            ranks = (f"{engine.url}@0", f"{engine.url}@1")
            source.publish(engine.url)
            await fleet.until_urls(*ranks)
            source.publish(DiscoveredWorker(id="1", url=engine.url, model_id="llama"))
            await fleet.until(
                lambda: fleet.urls == set(ranks) and fleet.at(ranks[0]).models == ("llama",)
            )
            source.publish()
            await fleet.until_urls()


async def test_two_that_claim_one_url_are_one_worker(
    start: Any, follow: Any, source: Any, worker: MockWorker
) -> None:
    async with start() as running, follow(running.gateway, source) as fleet:
        source.publish(
            DiscoveredWorker(id="a", url=worker.url), DiscoveredWorker(id="b", url=worker.url)
        )
        await fleet.until_urls(worker.url)
        await fleet.until_metric(WANTED, 1)

        assert fleet.at(worker.url).labels["smg.ai/discovery-id"] == "a"
