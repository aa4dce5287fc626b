"""The parameters of all policies, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """Every tunable, named and preset like the gateway's command line flag of the same name.

    Values are trusted: ranges are checked where they are read from users. Sizes of prefix trees
    are characters or tokens; what a policy does not know of, it ignores.
    """

    cache_threshold: float = 0.3
    balance_abs_threshold: int = 64
    balance_rel_threshold: float = 1.5
    balance_token_usage_threshold: float = 1.0
    overload_token_usage_threshold: float = 1.0
    max_tree_size: int = 67_108_864
    eviction_interval_secs: int = 60
    block_size: int = 16
    cache_index: str = "tree"
    cache_boundaries: tuple[int, ...] = ()
    cache_ttl_secs: int = 180
    overlap_decay: float = 0.0
    selection_temperature: float = 0.0
    selection_accounting_ttl_ms: int = 0
    worker_warmup_secs: int = 60
    worker_warmup_share: float = 0.25
    worker_warmup_blocks: int = 1024
    worker_warmup_thin_ratio: float = 0.5
    worker_warmup_divert_every: int = 8
    prefix_token_count: int = 256
    prefix_hash_load_factor: float = 1.25
    prefix_hash_balance_abs_threshold: int = 10
    least_load_kv_pressure_weight: float = 0.15
    least_load_default_throughput: float = 2000.0
    least_load_mean_prefill_tokens: int = 1024
    least_load_max_waiting_requests: int = 0
    power_of_two_load_metric: str = "expected_wait"
    bucket_adjust_interval_secs: int = 5
    assignment_mode: str | None = None
    max_idle_secs: int = 14_400
    max_tree_holds: int = 262_144
    """Bound on (prefix, worker) pairs in a prefix tree, whatever their length."""
    max_tree_depth: int = 512
    """Pieces a prompt may be cut into by other prompts before the rest is ignored."""
    max_sticky_keys: int = 262_144
    """Routing keys remembered; beyond it the least recently used one is forgotten."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Whatever a policy of another distribution wants to be told, by name."""
