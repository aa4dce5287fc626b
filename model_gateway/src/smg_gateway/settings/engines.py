"""Settings of what the gateway knows about engines: tokenizers, parsers, media, background jobs."""

from __future__ import annotations

from dataclasses import dataclass

from smg_gateway.settings.declaration import Group, Status
from smg_gateway.settings.shapes import CSV, FLAG, LOWER_TEXT, NATURAL, U64

__all__ = ("AVAILABLE_BACKENDS", "EngineSettings")

AVAILABLE_BACKENDS = ("sglang", "vllm")
"""The kinds of workers that this version can stand in front of."""

# fmt: off
_REASONING_PARSERS = (
    "base", "cohere_cmd", "deepseek_r1", "deepseek_v31", "deepseek_v4", "deepseek_v4.1",
    "deepseek_v41", "dots3", "function_gemma", "gemma4", "glm", "glm4", "glm45", "hf", "hy4",
    "hy_v4", "inkling", "iquest", "json", "k2_horizon", "kimi", "kimi_k25", "kimi_k3",
    "kimi_thinking", "lfm2.5", "ling", "llama_nemotron", "minicpm5", "minimax", "minimax_m2",
    "minimax_m3", "mistral_v13", "nano_v3", "olmo3", "passthrough", "plain", "qwen2.5", "qwen3",
    "qwen3_tagged", "qwen3_tagged_direct", "qwen3_thinking", "seed_oss", "step3", "xlam",
)
_TOOL_CALL_PARSERS = (
    "cohere", "deepseek", "deepseek31", "deepseek32", "deepseek_v4", "deepseek_v4.1",
    "deepseek_v41", "dots3", "function_gemma", "gemma4", "glm", "glm4", "glm45_moe", "glm47_moe",
    "hf", "hy4", "hy_v4", "inkling", "iquest", "json", "k2_horizon", "kimi_k3", "kimik2", "lfm2.5",
    "ling", "llama", "llama_nemotron", "minicpm5", "minimax_m2", "minimax_m3", "mistral",
    "mistral_v13", "nemotron", "olmo3", "passthrough", "plain", "pythonic", "qwen", "qwen2.5",
    "qwen3", "qwen3_tagged", "qwen3_tagged_direct", "qwen_coder", "qwen_xml", "sarashina",
    "seed_oss", "step3", "xlam",
)
# fmt: on

_GENERAL = Group("General")
_TOKENIZER = Group("Tokenizer")
_PARSERS = Group("Parsers")
_BACKEND = Group("Backend")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class EngineSettings:
    """The kind of engine behind the gateway and the work taken off its hands."""

    __slots__ = ()

    job_queue_capacity: int = _GENERAL.setting(
        1000,
        "--job-queue-capacity",
        shape=U64,
        help="Control-plane jobs that may wait, 1 to 1000000.",
    )
    job_queue_concurrency: int = _GENERAL.setting(
        200,
        "--job-queue-concurrency",
        shape=U64,
        help="Control-plane jobs that run at once, 1 to 100000.",
    )
    load_monitor_interval: int = _GENERAL.setting(
        10,
        "--load-monitor-interval",
        shape=U64,
        live_reload=True,
        help="Seconds between two questions to the workers about their load.",
    )
    disable_load_monitoring: bool = _GENERAL.setting(
        False,
        "--disable-load-monitoring",
        shape=FLAG,
        live_reload=True,
        help="Ask workers about their load only where a policy or a protection needs it.",
    )
    multimodal_tensor_transport: str | None = _GENERAL.setting(
        None,
        "--multimodal-tensor-transport",
        choices=("inline", "shm", "auto", "rdma"),
        status=Status.TUNING,
        help="How prepared tensors travel to engines; unset is inline.",
    )
    multimodal_shm_min_bytes: int | None = _GENERAL.setting(
        None,
        "--multimodal-shm-min-bytes",
        shape=U64,
        status=Status.TUNING,
        help="Bytes from which a tensor is handed over in shared memory.",
    )
    multimodal_max_inflight_bytes: int | None = _GENERAL.setting(
        None,
        "--multimodal-max-inflight-bytes",
        shape=U64,
        status=Status.TUNING,
        help="Bytes of media prepared at once; beyond it 429, or 413 for a single large item.",
    )
    mm_per_request_image_limit: int | None = _GENERAL.setting(
        None,
        "--mm-per-request-image-limit",
        shape=U64,
        status=Status.ABSENT,
        help="Images one request may carry, whatever the model.",
    )
    mm_processing: str | None = _GENERAL.setting(
        None,
        "--mm-processing",
        shape=LOWER_TEXT,
        choices=("auto", "router", "worker"),
        status=Status.TUNING,
        environment="SMG_MM_PROCESSING",
        help="Who prepares media for vLLM over gRPC, in any letter case; unset is auto.",
    )
    mm_pixel_cache_mb: int | None = _GENERAL.setting(
        None,
        "--mm-pixel-cache-mb",
        shape=NATURAL,
        status=Status.TUNING,
        environment="SMG_MM_PIXEL_CACHE_MB",
        help="MiB kept of prepared images; 0 keeps none.",
    )
    mm_pixel_rdma: bool = _GENERAL.setting(
        False,
        "--mm-pixel-rdma",
        shape=FLAG,
        status=Status.ABSENT,
        environment="SMG_MM_PIXEL_RDMA",
        help="Let engines fetch prepared images by RDMA.",
    )
    mm_allowed_media_domains: tuple[str, ...] | None = _GENERAL.setting(
        None,
        "--mm-allowed-media-domains",
        shape=CSV,
        status=Status.ABSENT,
        help="Hosts, comma-separated, from which media may be fetched; unset allows all.",
    )
    mm_allow_private_media_hosts: bool = _GENERAL.setting(
        False,
        "--mm-allow-private-media-hosts",
        shape=FLAG,
        status=Status.TUNING,
        environment="SMG_MM_ALLOW_PRIVATE_MEDIA_HOSTS",
        help="Fetch media from loopback, link-local and private addresses too.",
    )
    rdma_listen_ip: str | None = _GENERAL.setting(
        None,
        "--rdma-listen-ip",
        status=Status.TUNING,
        environment="SMG_RDMA_LISTEN_IP",
        help="IP address on which RDMA metadata is exchanged; unset sends tensors inline.",
    )
    rdma_slot_ttl_s: int | None = _GENERAL.setting(
        None,
        "--rdma-slot-ttl-s",
        shape=NATURAL,
        status=Status.TUNING,
        environment="SMG_RDMA_SLOT_TTL_S",
        help="Seconds after which an RDMA slot that nobody released is reused.",
    )
    log_mm_timing: bool = _GENERAL.setting(
        False,
        "--log-mm-timing",
        shape=FLAG,
        status=Status.TUNING,
        environment="SMG_LOG_MM_TIMING",
        help="Log how long the media of each request took to prepare.",
    )

    model_path: str | None = _TOKENIZER.setting(
        None,
        "--model-path",
        "--model",
        help="Model, by Hugging Face id or local path, whose tokenizer is used.",
    )
    tokenizer_path: str | None = _TOKENIZER.setting(
        None,
        "--tokenizer-path",
        help="Tokenizer to use in place of the model's.",
    )
    chat_template: str | None = _TOKENIZER.setting(
        None,
        "--chat-template",
        help="File with the chat template to use in place of the model's.",
    )
    disable_tokenizer_autoload: bool = _TOKENIZER.setting(
        False,
        "--disable-tokenizer-autoload",
        shape=FLAG,
        help="Load no tokenizer at start-up or when a worker registers.",
    )
    parser: str = _TOKENIZER.setting(
        "legacy",
        "--parser",
        choices=("legacy", "symphony"),
        status=Status.TUNING,
        help="Family of output parsers; the header x-smg-parser overrides it per request.",
    )
    tokenizer_cache_enable_l0: bool = _TOKENIZER.setting(
        False,
        "--tokenizer-cache-enable-l0",
        shape=FLAG,
        help="Remember the tokens of whole texts.",
    )
    tokenizer_cache_l0_max_entries: int = _TOKENIZER.setting(
        10000,
        "--tokenizer-cache-l0-max-entries",
        shape=U64,
        help="Texts that the whole-text cache holds.",
    )
    tokenizer_cache_enable_l1: bool = _TOKENIZER.setting(
        False,
        "--tokenizer-cache-enable-l1",
        shape=FLAG,
        help="Remember the tokens of beginnings of texts.",
    )
    tokenizer_cache_l0_max_memory: int = _TOKENIZER.setting(
        268435456,
        "--tokenizer-cache-l0-max-memory",
        shape=U64,
        help="Bytes that the whole-text cache holds.",
    )
    tokenizer_cache_l1_max_memory: int = _TOKENIZER.setting(
        52428800,
        "--tokenizer-cache-l1-max-memory",
        shape=U64,
        help="Bytes that the cache of beginnings holds.",
    )

    reasoning_parser: str | None = _PARSERS.setting(
        None,
        "--reasoning-parser",
        choices=_REASONING_PARSERS,
        status=Status.TUNING,
        help="Reasoning parser to use whatever the model.",
    )
    tool_call_parser: str | None = _PARSERS.setting(
        None,
        "--tool-call-parser",
        choices=_TOOL_CALL_PARSERS,
        status=Status.TUNING,
        help="Tool-call parser to use whatever the model.",
    )
    mcp_config_path: str | None = _PARSERS.setting(
        None,
        "--mcp-config-path",
        status=Status.ABSENT,
        help="YAML file that lists MCP servers.",
    )

    backend: str = _BACKEND.setting(
        "sglang",
        "--backend",
        choices=("sglang", "openai", "anthropic", "vllm", "tokenspeed"),
        available=AVAILABLE_BACKENDS,
        help="Engine, or external provider, that the workers are.",
    )
    zmq_engine_count: int | None = _BACKEND.setting(
        None,
        "--zmq-engine-count",
        shape=U64,
        status=Status.TUNING,
        help="Data-parallel engines behind each ipc worker named at start-up.",
    )
    enable_wasm: bool | None = _BACKEND.setting(
        None,
        "--enable-wasm",
        shape=FLAG,
        status=Status.ABSENT,
        help="Run WebAssembly modules on requests and responses.",
    )
    storage_hook_wasm_path: str | None = _BACKEND.setting(
        None,
        "--storage-hook-wasm-path",
        status=Status.ABSENT,
        help="WebAssembly component called around every access to the store.",
    )
