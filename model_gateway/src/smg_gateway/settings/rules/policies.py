"""Parameters of routing policies; those of policies that are not in use are not looked at."""

from __future__ import annotations

import math
from itertools import pairwise

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings
from smg_gateway.settings.routing import BUILT_IN_POLICIES
from smg_gateway.settings.rules.conditions import (
    is_disaggregated,
    is_discovering,
    is_header_name,
    policies_in_use,
    require,
    require_at_least,
    require_positive,
)

__all__ = ("check_overload", "check_policies", "check_session_keys", "check_worker_counts")

SESSION_MEMBERS = (
    "conversation",
    "prompt_cache_key",
    "previous_response_id",
    "session_id",
    "metadata.user_id",
    "user",
)
"""Members of a body that can name a session."""

_SELECTION_POLICIES = ("cache-aware-default",)
_KV_INDEXES = ("positional", "chain")


def check_policies(settings: Settings) -> None:
    """Every policy in use has parameters it can work with."""
    names = policies_in_use(settings)
    _check_names(settings)
    for name in names:
        _check_plugin(name, settings)
    if "cache_aware" in names:
        _check_cache_aware(settings)
    if "manual" in names:
        require_positive("eviction_interval_secs", settings.eviction_interval_secs)
    if "prefix_hash" in names:
        require_positive("prefix_token_count", settings.prefix_token_count)
        factor = settings.prefix_hash_load_factor
        require_at_least("load_factor", factor, 1.0, "Must be finite and >= 1.0")
    if "least_load" in names:
        _check_least_load(settings)
    if "bucket" in names:
        _check_balance(settings)
        _check_bucket_interval(settings.bucket_adjust_interval_secs)


def _check_plugin(name: str, settings: Settings) -> None:
    """What other people wrote must load before anything depends on it."""
    if name in BUILT_IN_POLICIES:
        return
    from smg_policies import PolicyConfig, PolicyInvalid, PolicyUnknown, create_policy

    try:
        create_policy(name, config=PolicyConfig(options=dict(settings.policy_options)))
    except (PolicyInvalid, PolicyUnknown) as error:
        require(False, "policy", name, str(error))


def check_session_keys(settings: Settings) -> None:
    """Every source of a session's key is one that exists."""
    known = ", ".join((*SESSION_MEMBERS, "header:<name>", "harness"))
    for source in settings.session_key_sources:
        header = source.removeprefix("header:")
        holds = source in (*SESSION_MEMBERS, "harness") or (
            header != source and is_header_name(header)
        )
        require(holds, "session_key_sources", source, f"expected one of {known}")


def _check_names(settings: Settings) -> None:
    name = settings.selection_policy
    require(
        name in _SELECTION_POLICIES,
        "selection_policy",
        name,
        f"unknown selection policy '{name}'; known: {', '.join(_SELECTION_POLICIES)}",
    )
    index = settings.kv_index
    require(index in _KV_INDEXES, "kv_index", index, "expected 'positional' or 'chain'")


def _check_cache_aware(settings: Settings) -> None:
    threshold = settings.cache_threshold
    in_range = 0.0 <= threshold <= 1.0
    require(in_range, "cache_threshold", threshold, "Must be between 0.0 and 1.0")
    _check_balance(settings)
    for field in ("balance_token_usage_threshold", "overload_token_usage_threshold"):
        usage: float = getattr(settings, field)
        require(
            math.isfinite(usage) and usage > 0.0,
            field,
            usage,
            "Must be finite and > 0.0 (use >= 1.0 to disable)",
        )
    require_positive("eviction_interval_secs", settings.eviction_interval_secs)
    require_positive("max_tree_size", settings.max_tree_size)
    require_positive("block_size", settings.block_size)
    require_positive("cache_ttl_secs", settings.cache_ttl_secs)
    _check_boundaries(settings)
    decay, temperature = settings.overlap_decay, settings.selection_temperature
    require_at_least("overlap_decay", decay, 0.0, "Must be finite and >= 0.0 (0.0 disables)")
    require_at_least(
        "selection_temperature", temperature, 0.0, "Must be finite and >= 0.0 (0.0 is argmax)"
    )
    _check_share("worker_warmup_share", settings.worker_warmup_share, "misses to divert")
    _check_share(
        "worker_warmup_thin_ratio", settings.worker_warmup_thin_ratio, "the median index size"
    )


def _check_balance(settings: Settings) -> None:
    ratio = settings.balance_rel_threshold
    require_at_least("balance_rel_threshold", ratio, 1.0, "Must be finite and >= 1.0")


def _check_boundaries(settings: Settings) -> None:
    boundaries = settings.cache_boundaries
    for boundary in boundaries:
        require(boundary > 0, "cache_boundaries", boundary, "Boundaries must be > 0")
    require(
        all(before < after for before, after in pairwise(boundaries)),
        "cache_boundaries",
        boundaries,
        "Boundaries must be strictly ascending",
    )
    require(
        settings.cache_index != "hash" or bool(boundaries),
        "cache_index",
        settings.cache_index,
        "cache_index=hash requires non-empty cache_boundaries",
    )


def _check_share(field: str, share: float, what: str) -> None:
    require(
        0.0 <= share <= 1.0,
        field,
        share,
        f"Must be a finite value from 0.0 to 1.0 (a share of {what})",
    )


def _check_least_load(settings: Settings) -> None:
    weight = settings.least_load_kv_pressure_weight
    require_at_least("kv_pressure_weight", weight, 0.0, "Must be finite and >= 0.0")
    throughput = settings.least_load_default_throughput
    require(
        math.isfinite(throughput) and throughput > 0.0,
        "default_throughput",
        throughput,
        "Must be finite and > 0.0",
    )
    require_positive("mean_prefill_tokens", settings.least_load_mean_prefill_tokens)


def _check_bucket_interval(interval_s: int) -> None:
    field = "bucket_adjust_interval_secs"
    require(interval_s >= 1, field, interval_s, "Must be >= 1s")
    require(interval_s < 2**32, field, interval_s, f"Must be < {2**32}s")


def check_overload(settings: Settings) -> None:
    """Overload thresholds that would exclude every worker are mistakes."""
    waiting = settings.worker_overload_waiting_requests
    require(
        waiting >= 1,
        "worker_overload_waiting_requests",
        waiting,
        "Must be >= 1 (0 would mark every worker overloaded)",
    )
    usage = settings.worker_overload_token_usage
    in_range = 0.0 < usage <= 1.0
    require(in_range, "worker_overload_token_usage", usage, "Must be a fraction in (0.0, 1.0]")


def check_worker_counts(settings: Settings) -> None:
    """Choosing between two takes two, where the number of workers is fixed at start-up."""
    if settings.enable_igw or is_discovering(settings):
        return
    prefill, decode = len(settings.prefill or ()), len(settings.decode or ())
    disaggregated = is_disaggregated(settings)
    count = prefill + decode if disaggregated else len(settings.worker_urls)
    if settings.policy == "power_of_two" and count < 2:
        raise ConfigError.incompatible("Power-of-two policy requires at least 2 workers")
    if not disaggregated:
        return
    legs = (
        ("prefill", settings.prefill_policy, prefill),
        ("decode", settings.decode_policy, decode),
    )
    for leg, policy, leg_count in legs:
        if policy == "power_of_two" and leg_count < 2:
            raise ConfigError.incompatible(
                f"Power-of-two policy for {leg} requires at least 2 {leg} workers"
            )
