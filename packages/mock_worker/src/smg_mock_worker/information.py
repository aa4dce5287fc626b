"""What a worker tells about itself: models, server arguments, loads, metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from smg_mock_worker.engine import EngineLoad
from smg_mock_worker.errors import Flavour
from smg_mock_worker.exchange import ServedModel

__all__ = (
    "LoadOverride",
    "WorkerFacts",
    "loads_report",
    "metrics_text",
    "model_info",
    "models_list",
    "old_load_report",
    "server_info",
)

# The versions whose routes and fields are imitated.
ENGINE_VERSIONS = {Flavour.SGLANG: "0.5.6", Flavour.VLLM: "0.12.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """The fixed facts that a worker reports; `started_at` is Unix time in seconds."""

    served: ServedModel
    host: str
    port: int
    max_running_requests: int
    dp_size: int
    tp_size: int
    started_at: int

    @property
    def version(self) -> str:
        """The version that the engine claims."""
        return ENGINE_VERSIONS[self.served.flavour]


class LoadOverride(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers to report instead of the engine's own, per data-parallel rank; None = the truth.

    The fields are those of `EngineLoad`.
    """

    running_requests: int | None = None
    waiting_requests: int | None = None
    waiting_uncached_tokens: int | None = None
    used_tokens: int | None = None
    token_usage: float | None = None
    generation_tokens_per_s: float | None = None
    cache_hit_rate: float | None = None

    def apply(self, load: EngineLoad) -> EngineLoad:
        """`load` with the given numbers put over it."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return replace(load, **{key: value for key, value in given.items() if value is not None})


def models_list(facts: WorkerFacts) -> dict[str, Any]:
    """The answer of `/v1/models`."""
    served = facts.served
    return {"object": "list", "data": [model_entry(facts, name) for name in served.names]}


def model_entry(facts: WorkerFacts, name: str) -> dict[str, Any]:
    """One model of `/v1/models`."""
    served = facts.served
    return {
        "id": name,
        "object": "model",
        "created": facts.started_at,
        "owned_by": served.flavour.value,
        "root": served.names[0],
        "parent": None,
        "max_model_len": served.max_model_len,
    }


def model_info(facts: WorkerFacts) -> dict[str, Any]:
    """SGLang's `/get_model_info`."""
    model = facts.served.names[0]
    return {
        "model_path": model,
        "tokenizer_path": model,
        "is_generation": True,
        "preferred_sampling_params": None,
        "weight_version": "default",
        "has_image_understanding": False,
        "has_audio_understanding": False,
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
    }


def server_info(facts: WorkerFacts, loads: Sequence[EngineLoad]) -> dict[str, Any]:
    """SGLang's `/get_server_info`: server arguments and the state of each rank."""
    model = facts.served.names[0]
    return {
        "model_path": model,
        "served_model_name": model,
        "tokenizer_path": model,
        "tokenizer_mode": "auto",
        "host": facts.host,
        "port": facts.port,
        "tp_size": facts.tp_size,
        "dp_size": facts.dp_size,
        "pp_size": 1,
        "context_length": facts.served.max_model_len,
        "max_running_requests": facts.max_running_requests or None,
        "max_total_num_tokens": loads[0].capacity_tokens,
        "max_req_input_len": facts.served.max_model_len - 1,
        "page_size": 1,
        "schedule_policy": "fcfs",
        "disaggregation_mode": "null",
        "enable_metrics": True,
        "is_embedding": False,
        "weight_version": "default",
        "status": "ready",
        "version": facts.version,
        "internal_states": [
            {
                "last_gen_throughput": load.generation_tokens_per_s,
                "effective_max_running_requests_per_dp": facts.max_running_requests or None,
            }
            for load in loads
        ],
    }


def loads_report(
    facts: WorkerFacts, loads: Sequence[EngineLoad], include: Sequence[str], timestamp: str
) -> dict[str, Any]:
    """SGLang's `/v1/loads`; `include` names the optional sections."""
    wanted = set(include)
    everything = "all" in wanted
    entries: list[dict[str, Any]] = []
    for rank, load in enumerate(loads):
        entry: dict[str, Any] = {
            "dp_rank": rank,
            "timestamp": timestamp,
            "num_running_reqs": load.running_requests,
            "num_waiting_reqs": load.waiting_requests,
            "num_waiting_uncached_tokens": load.waiting_uncached_tokens,
            "num_total_reqs": load.running_requests + load.waiting_requests,
            "num_used_tokens": load.used_tokens,
            "max_total_num_tokens": load.capacity_tokens,
            "token_usage": round(load.token_usage, 4),
            "gen_throughput": round(load.generation_tokens_per_s, 2),
            "cache_hit_rate": round(load.cache_hit_rate, 4),
            "utilization": round(_utilization(facts, load), 4),
            "max_running_requests": facts.max_running_requests,
        }
        if everything or "memory" in wanted:
            entry["memory"] = {"token_capacity": load.capacity_tokens}
        if everything or "queues" in wanted:
            entry["queues"] = {
                "waiting": load.waiting_requests,
                "grammar": 0,
                "paused": 0,
                "retracted": 0,
            }
        entries.append(entry)
    return {
        "timestamp": timestamp,
        "version": facts.version,
        "dp_rank_count": len(entries),
        "loads": entries,
        "aggregate": {
            "total_running_reqs": sum(load.running_requests for load in loads),
            "total_waiting_reqs": sum(load.waiting_requests for load in loads),
            "total_reqs": sum(load.running_requests + load.waiting_requests for load in loads),
            "avg_token_usage": round(sum(load.token_usage for load in loads) / len(loads), 4),
        },
    }


def _utilization(facts: WorkerFacts, load: EngineLoad) -> float:
    limit = facts.max_running_requests
    return min(1.0, load.running_requests / limit) if limit else load.token_usage


def old_load_report(loads: Sequence[EngineLoad]) -> list[dict[str, Any]]:
    """SGLang's older `/get_load`."""
    return [
        {
            "dp_rank": rank,
            "num_reqs": load.running_requests + load.waiting_requests,
            "num_waiting_reqs": load.waiting_requests,
            "num_tokens": load.used_tokens,
        }
        for rank, load in enumerate(loads)
    ]


def metrics_text(facts: WorkerFacts, loads: Sequence[EngineLoad]) -> str:
    """The Prometheus exposition in the engine's own metric names."""
    model = _escape_label(facts.served.names[0])
    lines: list[str] = []
    vllm = facts.served.flavour is Flavour.VLLM
    table = _vllm_metrics if vllm else _sglang_metrics
    rank_label = "engine" if vllm else "dp_rank"
    rows = [table(load) for load in loads]
    for number, (name, kind, _) in enumerate(rows[0]):
        lines += (f"# HELP {name} Simulated.", f"# TYPE {name} {kind}")
        lines += [
            f'{name}{{model_name="{model}",{rank_label}="{rank}"}} {row[number][2]}'
            for rank, row in enumerate(rows)
        ]
    return "\n".join(lines) + "\n"


def _sglang_metrics(load: EngineLoad) -> list[tuple[str, str, float]]:
    return [
        ("sglang:num_running_reqs", "gauge", load.running_requests),
        ("sglang:num_queue_reqs", "gauge", load.waiting_requests),
        ("sglang:num_used_tokens", "gauge", load.used_tokens),
        ("sglang:max_total_num_tokens", "gauge", load.capacity_tokens),
        ("sglang:token_usage", "gauge", load.token_usage),
        ("sglang:gen_throughput", "gauge", load.generation_tokens_per_s),
        ("sglang:cache_hit_rate", "gauge", load.cache_hit_rate),
        ("sglang:prompt_tokens_total", "counter", load.prompt_tokens_total),
        ("sglang:cached_tokens_total", "counter", load.cached_tokens_total),
        ("sglang:generation_tokens_total", "counter", load.generated_tokens_total),
        ("sglang:num_requests_total", "counter", load.finished_requests_total),
    ]


def _vllm_metrics(load: EngineLoad) -> list[tuple[str, str, float]]:
    return [
        ("vllm:num_requests_running", "gauge", load.running_requests),
        ("vllm:num_requests_waiting", "gauge", load.waiting_requests),
        ("vllm:kv_cache_usage_perc", "gauge", load.token_usage),
        ("vllm:gpu_cache_usage_perc", "gauge", load.token_usage),
        ("vllm:prefix_cache_queries_total", "counter", load.prompt_tokens_total),
        ("vllm:prefix_cache_hits_total", "counter", load.cached_tokens_total),
        ("vllm:prompt_tokens_total", "counter", load.prompt_tokens_total),
        ("vllm:generation_tokens_total", "counter", load.generated_tokens_total),
    ]


def _escape_label(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
