"""Settings of how a worker is chosen and how bodies and streams are passed on."""

from __future__ import annotations

from dataclasses import dataclass

from smg_gateway.settings.declaration import Group, Status
from smg_gateway.settings.plugins import OWN_POLICIES, PolicyNames
from smg_gateway.settings.shapes import FLAG, FLOAT, INT_CSV, NATURAL, PAIRS, U64, WORDS

__all__ = ("AVAILABLE_POLICIES", "BUILT_IN_POLICIES", "RoutingSettings")

AVAILABLE_POLICIES = PolicyNames((
    "random",
    "round_robin",
    "power_of_two",
    "least_load",
    "passthrough",
    "cache_aware",
    "consistent_hashing",
    "prefix_hash",
    "manual",
))
"""The policies that this version has; the command line admits more, and refuses the others."""

_POLICIES = PolicyNames((
    "random",
    "round_robin",
    "passthrough",
    "cache_aware",
    "power_of_two",
    "least_load",
    "manual",
    "consistent_hashing",
    "prefix_hash",
))

BUILT_IN_POLICIES = frozenset((*_POLICIES, *AVAILABLE_POLICIES, *OWN_POLICIES, "bucket"))
"""Names that need no look at what other distributions offer."""

_ROUTING = Group("Routing Policy")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class RoutingSettings:
    """The policy, its parameters, and the limits of request bodies."""

    __slots__ = ()

    policy: str = _ROUTING.setting(
        "cache_aware",
        "--policy",
        choices=_POLICIES,
        available=AVAILABLE_POLICIES,
        live_reload=True,
        help="How the worker of a request is chosen; also module:Class, or the name under which "
        "an installed distribution offers its policy.",
    )
    policy_options: tuple[tuple[str, str], ...] = _ROUTING.setting(
        (),
        "--policy-options",
        shape=PAIRS,
        own=True,
        live_reload=True,
        help="Settings of a policy that another distribution brings along, as name=value.",
    )
    encode_policy: str | None = _ROUTING.setting(
        None,
        "--encode-policy",
        choices=("random", "round_robin", "consistent_hashing"),
        status=Status.TUNING,
        help="Policy among encode workers; unset is consistent_hashing.",
    )
    prefill_policy: str | None = _ROUTING.setting(
        None,
        "--prefill-policy",
        choices=PolicyNames((*_POLICIES, "bucket")),
        live_reload=True,
        help="Policy among prefill workers; unset follows --policy.",
    )
    decode_policy: str | None = _ROUTING.setting(
        None,
        "--decode-policy",
        choices=_POLICIES,
        live_reload=True,
        help="Policy among decode workers; unset follows --policy.",
    )
    cache_threshold: float = _ROUTING.setting(
        0.3,
        "--cache-threshold",
        "--cache-match-threshold",
        shape=FLOAT,
        live_reload=True,
        help="cache_aware: share of a prompt, 0 to 1, that a worker must already hold to be "
        "preferred for it.",
    )
    prefix_token_count: int = _ROUTING.setting(
        256,
        "--prefix-token-count",
        shape=U64,
        live_reload=True,
        help="prefix_hash: leading tokens that are hashed (four characters each for text).",
    )
    prefix_hash_load_factor: float = _ROUTING.setting(
        1.25,
        "--prefix-hash-load-factor",
        shape=FLOAT,
        live_reload=True,
        help="prefix_hash: multiple of the mean load beyond which a worker may be passed over.",
    )
    prefix_hash_balance_abs_threshold: int = _ROUTING.setting(
        10,
        "--prefix-hash-balance-abs-threshold",
        shape=U64,
        live_reload=True,
        help="prefix_hash: requests above the mean that are needed as well to pass it over.",
    )
    least_load_kv_pressure_weight: float = _ROUTING.setting(
        0.15,
        "--least-load-kv-pressure-weight",
        shape=FLOAT,
        live_reload=True,
        help="least_load: seconds that a completely full KV cache counts for.",
    )
    least_load_default_throughput: float = _ROUTING.setting(
        2000.0,
        "--least-load-default-throughput",
        shape=FLOAT,
        live_reload=True,
        help="least_load: tokens per second assumed of a worker that reports none.",
    )
    least_load_mean_prefill_tokens: int = _ROUTING.setting(
        1024,
        "--least-load-mean-prefill-tokens",
        shape=U64,
        live_reload=True,
        help="least_load: prompt tokens assumed of a request whose size is unknown.",
    )
    least_load_max_waiting_requests: int = _ROUTING.setting(
        0,
        "--least-load-max-waiting-requests",
        shape=U64,
        live_reload=True,
        help="least_load: queue length at which a worker is left out; 0 ignores queues.",
    )
    power_of_two_load_metric: str = _ROUTING.setting(
        "expected_wait",
        "--power-of-two-load-metric",
        choices=("expected_wait", "requests", "least_requests"),
        live_reload=True,
        help="power_of_two: the quantity that decides between the two sampled workers.",
    )
    balance_abs_threshold: int = _ROUTING.setting(
        64,
        "--balance-abs-threshold",
        "--spill-abs-threshold",
        shape=U64,
        live_reload=True,
        help="cache_aware: difference in running requests from which load goes before cache.",
    )
    balance_rel_threshold: float = _ROUTING.setting(
        1.5,
        "--balance-rel-threshold",
        "--spill-rel-threshold",
        shape=FLOAT,
        live_reload=True,
        help="cache_aware: ratio of busiest to idlest worker needed as well, at least 1.",
    )
    balance_token_usage_threshold: float = _ROUTING.setting(
        1.0,
        "--balance-token-usage-threshold",
        shape=FLOAT,
        live_reload=True,
        help="cache_aware: spread of KV cache usage from which load goes before cache; "
        "1 and above is off.",
    )
    overload_token_usage_threshold: float = _ROUTING.setting(
        1.0,
        "--overload-token-usage-threshold",
        shape=FLOAT,
        live_reload=True,
        help="cache_aware: KV cache usage of a worker that ends affinity to it; "
        "1 and above is off.",
    )
    worker_overload_waiting_requests: int = _ROUTING.setting(
        8,
        "--worker-overload-waiting-requests",
        shape=U64,
        live_reload=True,
        help="Queued requests at which a worker counts as overloaded.",
    )
    worker_overload_token_usage: float = _ROUTING.setting(
        0.8,
        "--worker-overload-token-usage",
        shape=FLOAT,
        live_reload=True,
        help="KV cache usage, above 0 to 1, at which a worker counts as overloaded.",
    )
    worker_overload_protection: bool | None = _ROUTING.setting(
        None,
        "--worker-overload-protection",
        shape=FLAG,
        help="Kept for old command lines: the protection needs no switching on.",
    )
    disable_worker_overload_protection: bool | None = _ROUTING.setting(
        None,
        "--disable-worker-overload-protection",
        shape=FLAG,
        live_reload=True,
        help="Never leave a worker out for being overloaded.",
    )
    worker_overload_shed: bool = _ROUTING.setting(
        False,
        "--worker-overload-shed",
        shape=FLAG,
        live_reload=True,
        help="Answer 503 when all workers are overloaded, not use the least loaded one.",
    )
    kv_index: str = _ROUTING.setting(
        "positional",
        "--kv-index",
        status=Status.TUNING,
        help="Layout of the index fed by KV cache events: positional or chain.",
    )
    worker_stall_secs: int = _ROUTING.setting(
        2,
        "--worker-stall-secs",
        shape=U64,
        live_reload=True,
        help="Seconds of silence after which a failed connection takes a worker out.",
    )
    worker_wedge_secs: int = _ROUTING.setting(
        3,
        "--worker-wedge-secs",
        shape=U64,
        live_reload=True,
        help="Seconds without progress after which new requests go elsewhere.",
    )
    worker_stale_secs: int = _ROUTING.setting(
        15,
        "--worker-stale-secs",
        shape=U64,
        status=Status.TUNING,
        help="Seconds of silence tolerated from workers that push load records; 0 is off.",
    )
    worker_warmup_secs: int = _ROUTING.setting(
        60,
        "--worker-warmup-secs",
        shape=U64,
        status=Status.TUNING,
        live_reload=True,
        help="cache_aware: seconds for which a new worker is treated as warming up; 0 is off.",
    )
    worker_warmup_share: float = _ROUTING.setting(
        0.25,
        "--worker-warmup-share",
        shape=FLOAT,
        status=Status.TUNING,
        live_reload=True,
        help="cache_aware: share of cache misses steered to warming workers, 0 to 1.",
    )
    worker_warmup_blocks: int = _ROUTING.setting(
        1024,
        "--worker-warmup-blocks",
        shape=U64,
        status=Status.TUNING,
        live_reload=True,
        help="cache_aware: blocks a worker must have gained for its warm-up to be over.",
    )
    worker_warmup_thin_ratio: float = _ROUTING.setting(
        0.5,
        "--worker-warmup-thin-ratio",
        shape=FLOAT,
        status=Status.TUNING,
        live_reload=True,
        help="cache_aware: share of the median index size below which a worker is thin, 0 to 1.",
    )
    worker_warmup_divert_every: int = _ROUTING.setting(
        8,
        "--worker-warmup-divert-every",
        shape=U64,
        status=Status.TUNING,
        live_reload=True,
        help="cache_aware: one cache hit out of this many goes to a thin worker; 0 is off.",
    )
    selection_policy: str = _ROUTING.setting(
        "cache-aware-default",
        "--selection-policy",
        help="cache_aware: variant of the decision; cache-aware-default is the only one.",
    )
    selection_accounting_ttl_ms: int = _ROUTING.setting(
        0,
        "--selection-accounting-ttl-ms",
        shape=U64,
        live_reload=True,
        help="cache_aware: milliseconds for which a choice counts as load ahead of reports; "
        "0: until the worker's next report.",
    )
    overlap_decay: float = _ROUTING.setting(
        0.0,
        "--overlap-decay",
        shape=FLOAT,
        status=Status.TUNING,
        live_reload=True,
        help="cache_aware: how strongly a backlog devalues cached blocks; 0 is off.",
    )
    selection_temperature: float = _ROUTING.setting(
        0.0,
        "--selection-temperature",
        shape=FLOAT,
        status=Status.TUNING,
        live_reload=True,
        help="cache_aware: randomness of the choice between scores; 0 takes the best.",
    )
    bucket_adjust_interval_secs: int = _ROUTING.setting(
        5,
        "--bucket-adjust-interval-secs",
        shape=U64,
        live_reload=True,
        help="bucket: seconds between two computations of the size boundaries.",
    )
    eviction_interval_secs: int = _ROUTING.setting(
        60,
        "--eviction-interval-secs",
        shape=U64,
        live_reload=True,
        help="Seconds between two sweeps over prefix trees and sticky keys.",
    )
    max_tree_size: int = _ROUTING.setting(
        67108864,
        "--max-tree-size",
        shape=U64,
        live_reload=True,
        help="Characters (HTTP) or tokens (gRPC) of prompts remembered per model.",
    )
    block_size: int = _ROUTING.setting(
        16,
        "--block-size",
        shape=U64,
        status=Status.TUNING,
        live_reload=True,
        help="Tokens per KV cache block, where the engine does not tell.",
    )
    cache_boundaries: tuple[int, ...] = _ROUTING.setting(
        (),
        "--cache-boundaries",
        shape=INT_CSV,
        live_reload=True,
        help="Ascending token positions, comma-separated, at which prompts are hashed.",
    )
    cache_index: str = _ROUTING.setting(
        "tree",
        "--cache-index",
        choices=("tree", "hash"),
        live_reload=True,
        help="cache_aware: what remembers prompts, a prefix tree or a map of hashes.",
    )
    cache_ttl_secs: int = _ROUTING.setting(
        180,
        "--cache-ttl-secs",
        shape=U64,
        live_reload=True,
        help="Seconds for which the map of hashes trusts an entry.",
    )
    max_idle_secs: int = _ROUTING.setting(
        14400,
        "--max-idle-secs",
        "--sticky-key-idle-secs",
        shape=U64,
        live_reload=True,
        help="Seconds after which an unused sticky key is forgotten.",
    )
    assignment_mode: str | None = _ROUTING.setting(
        None,
        "--assignment-mode",
        choices=("random", "min_load", "min_group", "delegate"),
        live_reload=True,
        help="How a new sticky key gets its worker; unset is random for the manual policy.",
    )
    record_trace: str | None = _ROUTING.setting(
        None,
        "--record-trace",
        own=True,
        help="File to append a trace of the traffic to, for `smg simulate`: times, lengths and "
        "keyed hashes of prompt blocks, never text.",
    )
    max_payload_size: int = _ROUTING.setting(
        536870912,
        "--max-payload-size",
        shape=U64,
        live_reload=True,
        help="Bytes a request body may have; larger ones get 413.",
    )
    max_buffered_request_bytes: int = _ROUTING.setting(
        1048576,
        "--max-buffered-request-bytes",
        shape=U64,
        status=Status.TUNING,
        help="Bytes of a body that are kept merely to be able to retry; 0 keeps none.",
    )
    pd_admission_wait_secs: int = _ROUTING.setting(
        30,
        "--pd-admission-wait-secs",
        shape=U64,
        help="Seconds to wait for a decode slot before answering 503; 0 does not wait.",
    )
    stream_body_stall_timeout_secs: int = _ROUTING.setting(
        300,
        "--stream-body-stall-timeout-secs",
        shape=U64,
        live_reload=True,
        help="Seconds a client may pause while it uploads a body (408 after it); 0 is off.",
    )
    sse_keepalive_secs: int = _ROUTING.setting(
        15,
        "--sse-keepalive-secs",
        shape=NATURAL,
        live_reload=True,
        help="Seconds of silence after which an event stream carries a keep-alive; 0 is off.",
    )
    dp_aware: bool = _ROUTING.setting(
        False,
        "--dp-aware",
        shape=FLAG,
        help="Treat every data-parallel rank of a worker as a worker of its own.",
    )
    routing_key_override: bool = _ROUTING.setting(
        False,
        "--routing-key-override",
        "--sticky-sessions",
        shape=FLAG,
        live_reload=True,
        help="Keep requests with the same routing key on one worker under any policy.",
    )
    routing_key_headers: tuple[str, ...] | None = _ROUTING.setting(
        None,
        "--routing-key-headers",
        shape=WORDS,
        live_reload=True,
        help="Headers searched, in order, for the routing key; unset is x-smg-routing-key.",
    )
    session_key_sources: tuple[str, ...] = _ROUTING.setting(
        (),
        "--session-key-sources",
        shape=WORDS,
        own=True,
        live_reload=True,
        help="With --routing-key-override: where else to look for a session's key, in order, when "
        "there is neither a routing key header nor rid: conversation, prompt_cache_key, "
        "previous_response_id, session_id, metadata.user_id, user, header:<name>; harness stands "
        "for all that agents are known to send.",
    )
    dp_minimum_tokens_scheduler: bool = _ROUTING.setting(
        False,
        "--dp-minimum-tokens-scheduler",
        shape=FLAG,
        help="Choose the data-parallel rank with the fewest outstanding tokens.",
    )
    enable_igw: bool = _ROUTING.setting(
        False,
        "--enable-igw",
        shape=FLAG,
        help="Serve several models, each by its own set of workers and its own policy.",
    )
