"""Discovery and the admission of prefill workers."""

from __future__ import annotations

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.conditions import is_disaggregated, is_discovering, require

__all__ = ("check_discovery", "check_prefill_admission")

_EXTERNAL_PROVIDERS = {"openai": "OpenAI", "anthropic": "Anthropic"}


def check_discovery(settings: Settings) -> None:
    """What discovery needs to find workers, once it is switched on."""
    if not is_discovering(settings):
        return
    provider = _EXTERNAL_PROVIDERS.get(settings.backend)
    if provider is not None:
        raise ConfigError.validation(f"{provider} mode does not support service discovery")
    if settings.discovery_provider == "file":
        interval_s = settings.discovery_check_interval_secs
        require(interval_s != 0, "discovery.check_interval_secs", interval_s, "Must be > 0")
        return
    _check_selectors(settings)
    port = settings.service_discovery_port
    require(port > 0, "discovery.port", port, "Port must be > 0")
    for name in ("kv_connector_annotation", "kv_engine_id_annotation"):
        annotation: str = getattr(settings, name)
        require(
            bool(annotation) and annotation == annotation.strip(),
            f"discovery.{name}",
            annotation,
            "Annotation name must not be empty or padded with whitespace",
        )
    source = settings.model_id_from
    require(
        source is None or _is_model_id_source(source),
        "discovery.model_id_source",
        source,
        f"Invalid model-id-from value '{source}'. "
        "Expected: namespace, label:<key>, or annotation:<key>",
    )


def _check_selectors(settings: Settings) -> None:
    if settings.epd_disaggregation:
        selectors = (
            settings.encode_selector,
            settings.prefill_selector,
            settings.decode_selector,
        )
        if not all(selectors):
            raise ConfigError.validation(
                "EPD mode with service discovery requires non-empty encode_selector, "
                "prefill_selector, and decode_selector"
            )
    elif settings.pd_disaggregation:
        if not (settings.prefill_selector or settings.decode_selector):
            raise ConfigError.validation(
                "PD mode with service discovery requires at least one non-empty selector "
                "(prefill or decode)"
            )
    elif not settings.selector:
        raise ConfigError.validation(
            "Regular mode with service discovery requires a non-empty selector"
        )


def _is_model_id_source(source: str) -> bool:
    kind, _, key = source.partition(":")
    return source == "namespace" or (kind in {"label", "annotation"} and bool(key))


def check_prefill_admission(settings: Settings) -> None:
    """The bound of prefill work and the queue in front of it fit the mode and each other."""
    bounded = settings.prefill_max_inflight_requests_per_worker > 0
    timeout_s = settings.prefill_queue_timeout_secs
    if not bounded:
        if settings.prefill_queue_size is not None or timeout_s is not None:
            raise ConfigError.incompatible(
                "Prefill queue options require --prefill-max-inflight-requests-per-worker "
                "to be positive"
            )
        return
    if not is_disaggregated(settings):
        raise ConfigError.incompatible("Prefill admission is only supported in PD or EPD mode")
    if settings.prefill_queue_size != 0:
        require(
            timeout_s != 0,
            "prefill_queue_timeout_secs",
            timeout_s,
            "Must be > 0 when the Prefill queue is enabled",
        )
    if settings.priority_scheduler_enabled:
        raise ConfigError.incompatible(
            "Prefill admission cannot be combined with --priority-scheduler-enabled"
        )
