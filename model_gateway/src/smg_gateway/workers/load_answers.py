"""What engines say about their load, in the forms they say it; anything else is None."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import Any

import msgspec
from smg_policies import LoadReport

from .spec import MAX_RANKS


class Disaggregation(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine that does only one leg of a request adds; None where it says nothing."""

    role: str = ""
    kv_transfer_latency_ms: float | None = None
    kv_transfer_speed_gb_s: float | None = None
    prefill_queue_reqs: float | None = None
    decode_queue_reqs: float | None = None


class RankLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The load of one data-parallel rank; None where the engine says nothing."""

    dp_rank: int = 0
    num_running_reqs: int = 0
    num_waiting_reqs: int | None = None
    num_waiting_uncached_tokens: int | None = None
    num_used_tokens: int | None = None
    max_total_num_tokens: int | None = None
    token_usage: float | None = None
    gen_throughput: float | None = None
    cache_hit_rate: float | None = None
    utilization: float | None = None
    max_running_requests: int | None = None
    disaggregation: Disaggregation | None = None


def report_of(loads: Sequence[RankLoad]) -> LoadReport:
    """What policies see of these ranks: sums, and the mean of the KV cache usage."""
    usages = [load.token_usage for load in loads if load.token_usage is not None]
    return LoadReport(
        running_requests=sum(load.num_running_reqs for load in loads),
        waiting_requests=_total([load.num_waiting_reqs for load in loads]),
        waiting_uncached_tokens=_total([load.num_waiting_uncached_tokens for load in loads]),
        used_tokens=_total([load.num_used_tokens for load in loads]),
        token_usage=sum(usages) / len(usages) if usages else None,
        throughput=sum(load.gen_throughput or 0.0 for load in loads),
    )


def _total(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


# --- SGLang: /loads and /v1/loads ------------------------------------------------------------


def read_loads(body: bytes) -> tuple[RankLoad, ...] | None:
    """SGLang's load answer: an object with a list `loads`, one entry per rank."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    rows = answer.get("loads") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_RANKS:
        return None
    if not all(isinstance(row, dict) and "num_running_reqs" in row for row in rows):
        return None
    return tuple(_rank_load(row, place) for place, row in enumerate(rows))


def _rank_load(row: Mapping[str, Any], place: int) -> RankLoad:
    rank = count(row.get("dp_rank"))
    return RankLoad(
        dp_rank=place if rank is None else rank,
        num_running_reqs=count(row.get("num_running_reqs")) or 0,
        num_waiting_reqs=count(row.get("num_waiting_reqs")),
        num_waiting_uncached_tokens=count(row.get("num_waiting_uncached_tokens")),
        num_used_tokens=count(row.get("num_used_tokens")),
        max_total_num_tokens=count(row.get("max_total_num_tokens")),
        token_usage=amount(row.get("token_usage")),
        gen_throughput=amount(row.get("gen_throughput")),
        cache_hit_rate=amount(row.get("cache_hit_rate")),
        utilization=amount(row.get("utilization")),
        max_running_requests=count(row.get("max_running_requests")),
        disaggregation=_disaggregation(row.get("disaggregation")),
    )


def _disaggregation(block: object) -> Disaggregation | None:
    if not isinstance(block, dict):
        return None
    mode = block.get("mode")
    if not isinstance(mode, str) or mode in ("", "null"):
        return None
    return Disaggregation(
        role=mode[:32],
        kv_transfer_latency_ms=amount(block.get("kv_transfer_latency_ms")),
        kv_transfer_speed_gb_s=amount(block.get("kv_transfer_speed_gb_s")),
        prefill_queue_reqs=_queues(block, "prefill"),
        decode_queue_reqs=_queues(block, "decode"),
    )


def _queues(block: Mapping[str, Any], leg: str) -> float | None:
    """What waits for a leg: SGLang counts its queues one by one."""
    whole = amount(block.get(f"{leg}_queue_reqs"))
    if whole is not None:
        return whole
    names = ("prealloc", "inflight", "transfer", "retracted")
    parts = [amount(block.get(f"{leg}_{name}_queue_reqs")) for name in names]
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def count(value: object) -> int | None:
    """A number of things, if `value` is one: engines are not trusted to send what they should."""
    number = amount(value)
    return None if number is None else int(number)


def amount(value: object) -> float | None:
    """A finite number that is not negative, if `value` is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 2**63 and value >= 0 and isfinite(value) else None


# --- Prometheus gauges ------------------------------------------------------------------------

_GAUGES: Mapping[str, str] = MappingProxyType({
    "sglang:num_running_reqs": "num_running_reqs",
    "sglang:num_queue_reqs": "num_waiting_reqs",
    "sglang:num_used_tokens": "num_used_tokens",
    "sglang:max_total_num_tokens": "max_total_num_tokens",
    "sglang:token_usage": "token_usage",
    "sglang:gen_throughput": "gen_throughput",
    "sglang:cache_hit_rate": "cache_hit_rate",
    "vllm:num_requests_running": "num_running_reqs",
    "vllm:num_requests_waiting": "num_waiting_reqs",
    "vllm:kv_cache_usage_perc": "token_usage",
    "vllm:gpu_cache_usage_perc": "token_usage",
})
_COUNTS = frozenset({
    "num_running_reqs",
    "num_waiting_reqs",
    "num_used_tokens",
    "max_total_num_tokens",
})
_SAMPLE = re.compile(
    r"^((?:sglang|vllm):\w+)(\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?[ \t]+([^\s]+)", re.MULTILINE
)
_RANK = re.compile(r"[{,](?:dp_rank|engine)=\"(\d{1,4})\"")


def read_gauges(body: bytes) -> tuple[RankLoad, ...] | None:
    """SGLang's or vLLM's `/metrics`, one entry per rank that the labels name."""
    ranks: dict[int, dict[str, Any]] = {}
    for sample in _SAMPLE.finditer(body.decode("utf-8", "replace")):
        name = _GAUGES.get(sample[1])
        value = _gauge(sample[3]) if name is not None else None
        if name is None or value is None:
            continue
        found = _RANK.search(sample[2] or "")
        rank = int(found[1]) if found else 0
        if rank in ranks or len(ranks) < MAX_RANKS:
            ranks.setdefault(rank, {})[name] = int(value) if name in _COUNTS else value
    if not any("num_running_reqs" in figures for figures in ranks.values()):
        return None
    return tuple(RankLoad(dp_rank=rank, **ranks[rank]) for rank in sorted(ranks))


def _gauge(text: str) -> float | None:
    try:
        return amount(float(text))
    except ValueError:
        return None


# --- the forms --------------------------------------------------------------------------------

Reader = Callable[[bytes], tuple[RankLoad, ...] | None]

FORMS: Mapping[str, tuple[str, Reader]] = MappingProxyType({
    "loads": ("/loads?model={model}", read_loads),
    "v1_loads": ("/v1/loads?include=core,disagg,queues,memory", read_loads),
    "metrics": ("/metrics", read_gauges),
})
"""How a worker may be asked, in this order: target and reader of the answer."""
