"""What operators say about a worker: the body of `POST /workers`, read and checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec

MAX_PORT = 65_535
MAX_RANKS = 1024
"""No engine has more data-parallel ranks; each becomes a worker."""

WorkerType = Literal["regular", "prefill", "decode", "encode"]
ConnectionMode = Literal["http", "grpc", "zmq"]
RuntimeType = Literal[
    "unspecified", "sglang", "vllm", "trtllm", "mlx", "tokenspeed", "external", "generic"
]

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Statuses = list[Annotated[int, msgspec.Meta(ge=100, le=599)]]

_T = TypeVar("_T", bound=msgspec.Struct)

_PROVIDERS = {
    "openai": "openai",
    "xai": "xai",
    "grok": "xai",
    "anthropic": "anthropic",
    "claude": "anthropic",
    "gemini": "gemini",
    "google": "gemini",
    "custom": "custom",
}


class SpecInvalid(ValueError):
    """A worker specification that cannot be used; the message says why."""


class ModelCard(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A model that a worker serves, and the other names it goes by."""

    id: str
    display_name: str | None = None
    aliases: list[str] = []
    model_type: list[str] | None = None
    hf_model_type: str | None = None
    architectures: list[str] | None = None
    provider: str | None = None
    context_length: _Natural | None = None
    tokenizer_path: str | None = None
    chat_template: str | None = None
    reasoning_parser: str | None = None
    tool_parser: str | None = None
    metadata: Any = None
    id2label: dict[str, str] | None = None
    num_labels: _Natural | None = None


class HealthSpec(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A worker's own health check numbers; what is unset follows the fleet."""

    timeout_secs: _Natural | None = None
    check_interval_secs: _Natural | None = None
    success_threshold: _Natural | None = None
    failure_threshold: _Natural | None = None
    disable_health_check: bool | None = None
    drain_settle_secs: _Natural | None = None


class PoolSpec(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A worker's own connection pool numbers."""

    pool_max_idle_per_host: _Natural | None = None
    pool_idle_timeout_secs: _Natural | None = None
    timeout_secs: _Natural | None = None
    connect_timeout_secs: _Natural | None = None
    http2: bool | None = None


class ResilienceSpec(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A worker's own retry and circuit breaker numbers."""

    max_retries: _U32 | None = None
    initial_backoff_ms: _Natural | None = None
    max_backoff_ms: _Natural | None = None
    backoff_multiplier: float | None = None
    jitter_factor: float | None = None
    disable_retry: bool | None = None
    cb_failure_threshold: _U32 | None = None
    cb_success_threshold: _U32 | None = None
    cb_timeout_secs: _Natural | None = None
    cb_window_secs: _Natural | None = None
    disable_circuit_breaker: bool | None = None
    retryable_status_codes: _Statuses | None = None
    capacity_status_codes: _Statuses | None = None


class OverloadSpec(msgspec.Struct, omit_defaults=True, kw_only=True):
    """From which load on this worker is left out."""

    waiting_requests: _Natural | None = None
    token_usage: float | None = None


class WorkerSpec(msgspec.Struct, omit_defaults=True, kw_only=True):
    """All that can be said about a worker. Only `url` must be; times are in the units named."""

    url: str
    worker_type: WorkerType = "regular"
    connection_mode: ConnectionMode | None = None
    runtime_type: RuntimeType | None = None
    provider: str | None = None
    models: list[ModelCard | str] | ModelCard | str | None = None
    api_key: str | None = None
    labels: dict[str, str] = {}
    priority: _U32 = 50
    cost: float = 1.0
    bootstrap_port: int | None = None
    dp_rank: _Natural | None = None
    dp_size: _Natural | None = None
    dp_base_url: str | None = None
    kv_connector: str | None = None
    kv_role: str | None = None
    kv_engine_id: str | None = None
    kv_block_size: _Natural | None = None
    max_connection_attempts: _U32 | None = None
    health: HealthSpec | None = None
    http_pool: PoolSpec | None = None
    resilience: ResilienceSpec | None = None
    overload: OverloadSpec | None = None
    load_monitor_interval_secs: _Natural | None = None
    multimodal_tensor_transport: Literal["inline", "shm", "auto", "rdma"] | None = None
    multimodal_shm_min_bytes: _Natural | None = None
    zmq_handshake_address: str | None = None

    def cards(self) -> list[ModelCard]:
        """The models named; none when the worker is to be asked."""
        given = self.models
        if given is None:
            return []
        several = given if isinstance(given, list) else [given]
        return [ModelCard(id=each) if isinstance(each, str) else each for each in several]


class WorkerUpdate(msgspec.Struct, kw_only=True):
    """The body of `PATCH /workers/{id}`: labels are merged, the rest replaces what is given."""

    priority: _U32 | None = None
    cost: float | None = None
    labels: dict[str, str] | None = None
    api_key: str | None = None
    health: HealthSpec | None = None


class _SpecWire(WorkerSpec, kw_only=True):
    runtime: RuntimeType | None = None


def read_spec(body: bytes) -> WorkerSpec:
    """The specification in a request body; raises `SpecInvalid`. Unknown fields are ignored."""
    wire = _decode(body, _SpecWire)
    fields = {name: getattr(wire, name) for name in WorkerSpec.__struct_fields__}
    if fields["runtime_type"] is None:
        fields["runtime_type"] = wire.runtime
    spec = WorkerSpec(**fields)
    check_spec(spec)
    return spec


def read_update(body: bytes) -> WorkerUpdate:
    """The changes in a request body; raises `SpecInvalid`. Unknown fields are ignored."""
    update = _decode(body, WorkerUpdate)
    _check_cost(update.cost)
    _check_key(update.api_key)
    if update.health is not None:
        _check_health(update.health)
    return update


def check_spec(spec: WorkerSpec) -> None:
    """Raise `SpecInvalid` for values that contradict each other or are out of range."""
    port = spec.bootstrap_port
    if port is not None and not 1 <= port <= MAX_PORT:
        raise SpecInvalid("bootstrap_port must be a port from 1 to 65535")
    if spec.dp_size == 0:
        raise SpecInvalid("dp_size must be at least 1")
    if spec.dp_size is not None and spec.dp_size > MAX_RANKS:
        raise SpecInvalid(f"dp_size must be at most {MAX_RANKS}")
    if spec.dp_rank is not None:
        if spec.dp_size is None:
            raise SpecInvalid("dp_rank needs dp_size: a rank is one of a known number")
        if spec.dp_rank >= spec.dp_size:
            raise SpecInvalid(f"dp_rank must be below dp_size, which is {spec.dp_size}")
    if spec.kv_block_size == 0:
        raise SpecInvalid("kv_block_size must be at least 1 token")
    _check_cost(spec.cost)
    _check_key(spec.api_key)
    if spec.provider is not None:
        spec.provider = _PROVIDERS.get(spec.provider.lower(), spec.provider)
    for card in spec.cards():
        if not card.id:
            raise SpecInvalid("a model needs an id")
    if spec.health is not None:
        _check_health(spec.health)
    usage = spec.overload.token_usage if spec.overload is not None else None
    if usage is not None and not 0 < usage <= 1:
        raise SpecInvalid("overload.token_usage must be above 0 and at most 1")


def _check_cost(cost: float | None) -> None:
    # The comparison is false for NaN too.
    if cost is not None and not 0 <= cost < float("inf"):
        raise SpecInvalid("cost must be a number that is not negative")


def _check_key(key: str | None) -> None:
    # It becomes a header line.
    if key is not None and not (key.isascii() and key.isprintable()):
        raise SpecInvalid("api_key must be printable ASCII")


def _check_health(health: HealthSpec) -> None:
    names = ("timeout_secs", "check_interval_secs", "success_threshold", "failure_threshold")
    for name in names:
        if getattr(health, name) == 0:
            raise SpecInvalid(f"health.{name} must be at least 1")


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise SpecInvalid(f"Invalid JSON data: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpecInvalid(f"JSON syntax error: {error}") from None
