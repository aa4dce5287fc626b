"""Discovery by settings: what `smg launch --discovery-provider file` comes to."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from smg_gateway.app import Gateway
from smg_gateway.settings import ConfigError, Settings, needing_restart
from smg_gateway.settings.changes import changes
from smg_gateway.wiring import discovery_config, fleet_config, relay_config, static_workers
from smg_mock_worker import MockWorker

pytestmark = pytest.mark.anyio

ERRORS = 'smg_discovery_snapshot_errors_total{reason="invalid",source="file"}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workers.json"


def write(path: Path, *workers: str | dict[str, Any]) -> None:
    entries = [each if isinstance(each, dict) else {"url": each} for each in workers]
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"version": 1, "workers": entries}))
    draft.replace(path)


def overwrite(path: Path, text: str) -> None:
    path.write_text(text)


def by_file(path: Path, **others: Any) -> dict[str, Any]:
    return {
        "discovery_provider": "file",
        "discovery_file": str(path),
        "discovery_check_interval_secs": 1,
        **others,
    }


async def test_a_gateway_follows_its_manifest(
    start: Any, watch_fleet: Any, ask: Any, path: Path, worker: MockWorker, other: MockWorker
) -> None:
    async with start(**by_file(path)) as running:
        fleet = watch_fleet(running.gateway)
        assert (await ask(running))[0] == 404
        write(path, worker.url)
        await fleet.until_urls(worker.url)
        assert (await ask(running))[::2] == (200, worker.url)
        write(path, worker.url, other.url)
        await fleet.until_urls(worker.url, other.url)
        overwrite(path, '{"version": 1, "workers": [')
        async with asyncio.timeout(10):
            while not fleet.metric(ERRORS):
                await asyncio.sleep(0.01)
        assert fleet.urls == {worker.url, other.url}
        write(path, other.url)
        await fleet.until_urls(other.url)
        assert (await ask(running))[::2] == (200, other.url)


async def test_reading_the_manifest_does_not_block_the_loop(
    start: Any, watch_fleet: Any, path: Path, worker: MockWorker
) -> None:
    write(path, worker.url)
    with blockbuster_ctx("smg_gateway"):
        async with start(**by_file(path)) as running:
            await watch_fleet(running.gateway).until_urls(worker.url)


async def test_a_request_without_a_model_is_refused_as_with_igw(
    start: Any, watch_fleet: Any, ask: Any, path: Path, worker: MockWorker
) -> None:
    write(path, worker.url)
    async with start(**by_file(path)) as running:
        await watch_fleet(running.gateway).until_urls(worker.url)

        assert (await ask(running, None))[0] == 400


async def test_urls_that_the_settings_name_are_not_used(
    watch_fleet: Any, path: Path, worker: MockWorker, other: MockWorker
) -> None:
    write(path, worker.url)
    gateway = Gateway(Settings(**by_file(path, worker_urls=(other.url,))))
    fleet = watch_fleet(gateway)
    async with gateway.lifespan():
        await fleet.until_urls(worker.url)

        assert not other.requests.to("/v1/models")


async def test_changed_settings_leave_discovered_workers_alone(
    start: Any, watch_fleet: Any, ask: Any, path: Path, worker: MockWorker, other: MockWorker
) -> None:
    write(path, worker.url)
    async with start(**by_file(path)) as running:
        gateway, fleet = running.gateway, watch_fleet(running.gateway)
        await fleet.until_urls(worker.url)
        before = fleet.at(worker.url)
        changed = Settings(**by_file(path, worker_urls=(other.url,), policy="random"))
        gateway.reconfigure(changed)
        await gateway.follow_workers()

        assert fleet.at(worker.url) is before
        assert fleet.urls == {worker.url}
        assert (await ask(running))[::2] == (200, worker.url)
        write(path, worker.url, other.url)
        await fleet.until_urls(worker.url, other.url)


async def test_a_worker_that_fails_its_probes_is_forgotten_and_comes_back(
    start: Any, watch_fleet: Any, path: Path
) -> None:
    write(path)
    probing = {
        "health_check_interval_secs": 1,
        "health_failure_threshold": 1,
        "health_success_threshold": 1,
    }
    async with start(**by_file(path, **probing)) as running:
        fleet = watch_fleet(running.gateway)
        config = running.gateway.fleet.config
        assert config.removes_failed
        async with MockWorker() as engine:
            port = engine.port
            write(path, engine.url)
            await fleet.until_urls(engine.url)
        await fleet.until_urls()
        async with MockWorker(port=port) as engine:
            await fleet.until_urls(engine.url)


async def test_pairs_are_served_by_the_legs_that_the_manifest_lists(
    start: Any, watch_fleet: Any, ask: Any, path: Path
) -> None:
    async with MockWorker(role="prefill") as prefill, MockWorker(role="decode") as decode:
        write(
            path,
            {"url": prefill.url, "worker_type": "prefill", "bootstrap_port": prefill.port},
            {"url": decode.url, "worker_type": "decode"},
        )
        async with start(**by_file(path, pd_disaggregation=True)) as running:
            await watch_fleet(running.gateway).until_urls(prefill.url, decode.url)

            assert (await ask(running))[0] == 200
            assert prefill.requests.to("/v1/chat/completions")
            assert decode.requests.to("/v1/chat/completions")


async def test_nothing_is_left_of_discovery_when_the_gateway_stops(
    watch_fleet: Any, path: Path, worker: MockWorker
) -> None:
    write(path, worker.url, "http://127.0.0.1:9")
    before = asyncio.all_tasks()
    gateway = Gateway(Settings(**by_file(path)))
    fleet = watch_fleet(gateway)
    async with gateway.lifespan():
        await fleet.until_urls(worker.url)

    # Tasks of the simulated engine's connections end when it notices.
    left = [task for task in asyncio.all_tasks() - before if "smg_gateway" in repr(task)]
    assert not left
    assert len(gateway.fleet.jobs) == 0


async def test_a_gateway_without_the_kubernetes_client_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio", None)

    with pytest.raises(ConfigError, match=r"pip install 'smg-gateway\[kubernetes\]'"):
        Gateway(Settings(service_discovery=True, selector=(("app", "engine"),)))


async def test_discovery_means_igw_no_static_workers_and_the_removal_of_failed_ones() -> None:
    discovering = Settings(
        service_discovery=True, selector=(("a", "b"),), worker_urls=("http://a",)
    )
    kept = Settings(service_discovery=True, selector=(("a", "b"),), remove_unhealthy_workers=False)

    assert relay_config(discovering).requires_model
    assert static_workers(discovering) == []
    assert fleet_config(discovering).removes_failed
    assert not fleet_config(kept).removes_failed
    assert not fleet_config(Settings()).removes_failed


async def test_kubernetes_settings_become_rules_for_pods() -> None:
    settings = Settings(
        discovery_provider="kubernetes",
        pd_disaggregation=True,
        selector=(("app", "engine"),),
        prefill_selector=(("role", "prefill"),),
        decode_selector=(("role", "decode"),),
        service_discovery_port=8000,
        service_discovery_namespace="inference",
        model_id_from="label:model",
        kv_connector_annotation="connector",
        kv_engine_id_annotation="engine",
    )
    config: Any = discovery_config(settings)

    assert config.namespace == "inference"
    assert config.rules.roles == (
        ("prefill", (("role", "prefill"),)),
        ("decode", (("role", "decode"),)),
    )
    assert config.rules.port == 8000
    assert config.rules.model_id_from == "label:model"
    assert config.rules.kv_connector_annotation == "connector"
    assert config.rules.kv_engine_id_annotation == "engine"


async def test_where_workers_are_found_cannot_change_while_the_gateway_runs() -> None:
    old = Settings(discovery_provider="file", discovery_file="a")
    new = Settings(discovery_provider="file", discovery_file="b")

    assert needing_restart(changes(old, new)) == ["--discovery-file"]
