"""Credentials, tenants, priorities and the planes that are switched on beside the main one."""

from __future__ import annotations

from urllib.parse import urlsplit

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.conditions import is_header_name, read_error, require

__all__ = ("check_credentials", "check_planes", "check_tenant_header", "check_trace")


def check_tenant_header(settings: Settings) -> None:
    """The tenant header has a name that can occur in a request."""
    name = settings.tenant_header_name
    if not name:
        raise ConfigError.validation("tenant_resolution.tenant_header_name must not be empty")
    if not is_header_name(name):
        raise ConfigError.validation(
            "tenant_resolution.tenant_header_name must be a valid HTTP header name: "
            "invalid HTTP header name"
        )


def check_credentials(settings: Settings) -> None:
    """Each credential is usable and stands for one identity. Messages never show a key."""
    require(
        settings.api_key is None or bool(settings.api_key),
        "api_key",
        "",
        "an empty credential would switch authentication on with a key nothing can present",
    )
    owners: dict[str, str] = {}
    if settings.api_key is not None:
        owners[settings.api_key] = "the shared api_key"
    for tenant, key in settings.tenant_api_key:
        if not tenant:
            raise ConfigError.validation("tenant_api_keys entries must have a non-empty tenant_id")
        if not key:
            raise ConfigError.validation(
                f"tenant_api_keys entry for tenant_id '{tenant}' must have a non-empty key"
            )
        if key in owners:
            raise ConfigError.validation(
                f"duplicate API key value: tenant_id '{tenant}' uses the same credential as "
                f"{owners[key]}. Each credential must be unique, or requests authenticate as "
                "whichever entry is checked last."
            )
        owners[key] = f"tenant_id '{tenant}'"


def check_trace(settings: Settings) -> None:
    """The collector's address, once tracing is switched on."""
    endpoint = settings.otlp_traces_endpoint
    require(
        not settings.enable_trace or _is_collector(endpoint),
        "trace_config.otlp_traces_endpoint",
        endpoint,
        "expected <host>:<port> or http(s)://<host>:<port>, with an IPv6 literal in brackets, "
        "and nothing more",
    )
    ratio = settings.trace_sample_ratio
    require(0.0 <= ratio <= 1.0, "trace_sample_ratio", ratio, "Must be between 0.0 and 1.0")


def _is_collector(endpoint: str) -> bool:
    text = endpoint if endpoint.startswith(("http://", "https://")) else f"//{endpoint}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = parts.path in {"", "/"} and not (parts.query or parts.fragment or parts.username)
    return plain and bool(parts.hostname) and port is not None and port > 0


def check_planes(settings: Settings) -> None:
    """Bounds of the RL plane and the rules of the priority scheduler, once switched on."""
    if settings.enable_rl:
        timeout_s, concurrency = settings.rl_control_timeout_secs, settings.rl_fanout_concurrency
        shown = f"control_timeout_secs={timeout_s} fanout_concurrency={concurrency}"
        require(timeout_s >= 1, "rl", shown, "rl.control_timeout_secs must be >= 1")
        require(concurrency >= 1, "rl", shown, "rl.fanout_concurrency must be >= 1")
    path = settings.priority_scheduler_config
    if settings.priority_scheduler_enabled and path is not None:
        reason = read_error(path)
        require(reason is None, "priority_scheduler_config", path, f"reading {path}: {reason}")
