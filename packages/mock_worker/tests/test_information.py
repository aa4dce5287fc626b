import re

import pytest
from smg_mock_worker.engine import Engine, EngineLoad, EngineTiming
from smg_mock_worker.exchange import ServedModel
from smg_mock_worker.information import (
    LoadOverride,
    WorkerFacts,
    loads_report,
    metrics_text,
    model_info,
    models_list,
    old_load_report,
    server_info,
)

SAMPLE = re.compile(r'([a-z:_]+)\{model_name="mock-model",(?:dp_rank|engine)="(\d)"\} (\S+)')


@pytest.fixture
def facts(served: ServedModel) -> WorkerFacts:
    return WorkerFacts(
        served=served,
        host="127.0.0.1",
        port=30000,
        max_running_requests=4,
        dp_size=1,
        tp_size=1,
        started_at=1_700_000_000,
    )


@pytest.fixture
def load() -> EngineLoad:
    """One request running, one waiting."""
    timing = EngineTiming(max_running_requests=1, inter_token_latency_s=0.5)
    engine = Engine(timing, capacity_tokens=100)
    engine.submit(range(10), range(5), now=0.0)
    engine.submit(range(20, 30), range(5), now=0.0)
    return engine.load(0.5)


def test_every_served_model_is_listed(facts: WorkerFacts) -> None:
    models = models_list(facts)["data"]

    assert [model["id"] for model in models] == ["mock-model", "org/other"]
    assert models[0]["owned_by"] == "sglang"
    assert models[0]["max_model_len"] == 1_000
    assert models[0]["created"] == 1_700_000_000


def test_model_and_server_info_name_the_model(facts: WorkerFacts, load: EngineLoad) -> None:
    assert model_info(facts)["model_path"] == "mock-model"
    info = server_info(facts, [load])
    assert (info["model_path"], info["served_model_name"]) == ("mock-model", "mock-model")
    assert (info["port"], info["dp_size"], info["max_running_requests"]) == (30000, 1, 4)
    assert info["version"] == facts.version
    assert info["internal_states"][0]["last_gen_throughput"] == 2.0


def test_the_loads_report_has_one_entry_per_rank(facts: WorkerFacts, load: EngineLoad) -> None:
    report = loads_report(facts, [load, load], ["core"], "now")

    assert (report["dp_rank_count"], report["timestamp"]) == (2, "now")
    assert [entry["dp_rank"] for entry in report["loads"]] == [0, 1]
    assert report["loads"][0] == {
        "dp_rank": 0,
        "timestamp": "now",
        "num_running_reqs": 1,
        "num_waiting_reqs": 1,
        "num_waiting_uncached_tokens": 10,
        "num_total_reqs": 2,
        "num_used_tokens": 12,
        "max_total_num_tokens": 100,
        "token_usage": 0.12,
        "gen_throughput": 2.0,
        "cache_hit_rate": 0.0,
        "utilization": 0.25,
        "max_running_requests": 4,
    }
    assert report["aggregate"]["total_reqs"] == 4


def test_more_sections_are_included_on_demand(facts: WorkerFacts, load: EngineLoad) -> None:
    def sections(*include: str) -> set[str]:
        return set(loads_report(facts, [load], include, "now")["loads"][0])

    assert sections("core", "queues") - sections("core") == {"queues"}
    assert sections("all") - sections("core") == {"queues", "memory"}


def test_the_older_report_is_a_list(load: EngineLoad) -> None:
    assert old_load_report([load]) == [
        {"dp_rank": 0, "num_reqs": 2, "num_waiting_reqs": 1, "num_tokens": 12}
    ]


def test_metrics_speak_the_engines_language(
    facts: WorkerFacts, vllm: ServedModel, load: EngineLoad
) -> None:
    sglang = {name: float(value) for name, _, value in SAMPLE.findall(metrics_text(facts, [load]))}
    assert sglang["sglang:num_running_reqs"] == sglang["sglang:num_queue_reqs"] == 1
    assert sglang["sglang:token_usage"] == 0.12

    vllm_facts = WorkerFacts(
        served=vllm,
        host="",
        port=0,
        max_running_requests=0,
        dp_size=2,
        tp_size=1,
        started_at=0,
    )
    samples = SAMPLE.findall(metrics_text(vllm_facts, [load, load]))
    assert ("vllm:num_requests_waiting", "1", "1") in samples
    assert ("vllm:kv_cache_usage_perc", "0", "0.12") in samples


def test_each_metric_is_declared_once(facts: WorkerFacts, load: EngineLoad) -> None:
    lines = metrics_text(facts, [load, load]).splitlines()
    declared = [line.split()[2] for line in lines if line.startswith("# TYPE")]

    assert len(declared) == len(set(declared))
    assert {line.partition("{")[0] for line in lines if line[0] != "#"} == set(declared)


def test_an_override_replaces_only_what_it_names(load: EngineLoad) -> None:
    shown = LoadOverride(waiting_requests=8, token_usage=0.85).apply(load)

    assert (shown.waiting_requests, shown.token_usage) == (8, 0.85)
    assert shown.running_requests == load.running_requests
