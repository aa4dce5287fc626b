"""A gateway that finds its workers among the pods of a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from smg_gateway.app import Gateway
from smg_gateway.settings import Settings
from smg_mock_worker import EngineTiming, MockWorker

pytestmark = pytest.mark.anyio

REGULAR: dict[str, Any] = {"service_discovery": True, "selector": (("app", "engine"),)}
PORTS = "smg.ai/worker-ports"


def notes(*engines: MockWorker, **others: str) -> dict[str, str]:
    return {PORTS: ",".join(str(engine.port) for engine in engines), **others}


@pytest.fixture
def in_cluster(start: Any, kubeconfig: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts gateways that have access to the cluster."""
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    return start


async def test_ready_pods_take_requests_and_terminating_ones_get_no_more(
    in_cluster: Any, watch_fleet: Any, ask: Any, cluster: Any, pod: Any, worker: MockWorker
) -> None:
    cluster.put(pod(ip="127.0.0.1", ready="False", annotations=notes(worker)))
    async with in_cluster(**REGULAR) as running:
        fleet = watch_fleet(running.gateway)
        await cluster.until(lambda: cluster.watching)
        assert not fleet.urls
        cluster.put(pod(ip="127.0.0.1", annotations=notes(worker)))
        await fleet.until_urls(worker.url)
        assert (await ask(running))[::2] == (200, worker.url)
        labels = fleet.at(worker.url).labels
        assert labels["smg.ai/discovery-provider"] == "kubernetes"
        assert labels["smg.ai/discovery-id"] == f"uid-engine-0:{worker.port}"
        assert labels["smg.ai/pod-name"] == "engine-0"
        cluster.put(pod(ip="127.0.0.1", deleted=True, annotations=notes(worker)))
        await fleet.until_urls()
        assert (await ask(running))[0] == 404


async def test_streams_outlive_their_pod_leaving(
    in_cluster: Any, watch_fleet: Any, http: Any, chat: Any, cluster: Any, pod: Any
) -> None:
    timing = EngineTiming(inter_token_latency_s=0.01)
    async with MockWorker(timing=timing) as slow:
        cluster.put(pod(ip="127.0.0.1", annotations=notes(slow)))
        async with in_cluster(**REGULAR) as running, asyncio.TaskGroup() as group:
            fleet = watch_fleet(running.gateway)
            await fleet.until_urls(slow.url)

            async def stream() -> str:
                url = running.url + "/v1/chat/completions"
                async with http.post(url, json=chat(stream=True, max_tokens=60)) as answer:
                    return str(await answer.text())

            running_stream = group.create_task(stream())
            async with asyncio.timeout(5):
                while not slow.active_requests:
                    await asyncio.sleep(0.005)
            cluster.delete("engine-0")
            await fleet.until_urls()

            assert (await running_stream).endswith("data: [DONE]\n\n")


async def test_a_pod_with_several_engines_is_several_workers(
    in_cluster: Any,
    watch_fleet: Any,
    cluster: Any,
    pod: Any,
    worker: MockWorker,
    other: MockWorker,
) -> None:
    cluster.put(pod(ip="127.0.0.1", annotations=notes(worker, other)))
    async with in_cluster(**REGULAR, model_id_from="namespace") as running:
        fleet = watch_fleet(running.gateway)
        await fleet.until_urls(worker.url, other.url)

        assert fleet.at(worker.url).models == ("default",)


async def test_prefill_and_decode_pods_serve_requests_together(
    in_cluster: Any, watch_fleet: Any, ask: Any, cluster: Any, pod: Any
) -> None:
    async with MockWorker(role="prefill") as prefill, MockWorker(role="decode") as decode:
        bootstrap = {"sglang.ai/bootstrap-port": str(prefill.port)}
        cluster.put(
            pod(
                "p",
                ip="127.0.0.1",
                labels={"app": "engine", "role": "prefill"},
                annotations=notes(prefill, **bootstrap),
            )
        )
        cluster.put(
            pod(
                "d",
                ip="127.0.0.1",
                labels={"app": "engine", "role": "decode"},
                annotations=notes(decode),
            )
        )
        async with in_cluster(
            service_discovery=True,
            pd_disaggregation=True,
            prefill_selector=(("app", "engine"), ("role", "prefill")),
            decode_selector=(("app", "engine"), ("role", "decode")),
        ) as running:
            fleet = watch_fleet(running.gateway)
            await fleet.until_urls(prefill.url, decode.url)

            assert fleet.at(prefill.url).spec.bootstrap_port == prefill.port
            assert (await ask(running))[0] == 200
            assert prefill.requests.to("/v1/chat/completions")


async def test_a_gateway_serves_on_while_the_api_server_is_away(
    in_cluster: Any, watch_fleet: Any, ask: Any, cluster: Any, pod: Any, worker: MockWorker
) -> None:
    errors = 'smg_discovery_snapshot_errors_total{reason="unreadable",source="kubernetes"}'
    cluster.put(pod(ip="127.0.0.1", annotations=notes(worker)))
    async with in_cluster(**REGULAR) as running:
        fleet = watch_fleet(running.gateway)
        await fleet.until_urls(worker.url)
        await cluster.stop()
        async with asyncio.timeout(5):
            while not fleet.metric(errors):
                await asyncio.sleep(0.01)

        assert (await ask(running))[::2] == (200, worker.url)


async def test_nothing_is_left_of_discovery_when_the_gateway_stops(
    kubeconfig: str,
    monkeypatch: pytest.MonkeyPatch,
    watch_fleet: Any,
    cluster: Any,
    pod: Any,
    worker: MockWorker,
) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    cluster.put(pod(ip="127.0.0.1", annotations=notes(worker)))
    before = asyncio.all_tasks()
    gateway = Gateway(Settings(**REGULAR))
    async with gateway.lifespan():
        await watch_fleet(gateway).until_urls(worker.url)
        await cluster.until(lambda: cluster.watching)

    left = [task for task in asyncio.all_tasks() - before if "smg_gateway" in repr(task)]
    assert not left
