"""Limits of listeners, bodies, queues and media, and the header names that requests are read by."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.addresses import check_bind_host
from smg_gateway.settings.rules.conditions import is_header_name, require, require_positive

__all__ = ("check_headers", "check_media", "check_origins", "check_server", "check_storage_context")

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"[a-z][a-z0-9+.\-]*://(\[[0-9a-f:.]+\]|[a-z0-9._\-]+)(:[1-9][0-9]{0,4})?")
_MEDIA_BUDGET_FLOOR_BYTES = 1024


def check_server(settings: Settings) -> None:
    """The main listener and the bounds of what it accepts."""
    require(settings.port != 0, "port", settings.port, "Port must be > 0")
    check_bind_host("host", settings.host)
    require_positive("max_payload_size", settings.max_payload_size)
    require_positive("request_timeout_secs", settings.request_timeout_secs)
    if settings.queue_size > 0:
        timeout_s = settings.queue_timeout_secs
        reason = "Must be > 0 when queue_size > 0"
        require(timeout_s > 0, "queue_timeout_secs", timeout_s, reason)
    rate = settings.rate_limit_tokens_per_second
    if rate is not None:
        require(rate >= 0, "rate_limit_tokens_per_second", rate, "Must be >= 0 when specified")
    require_positive("worker_startup_timeout_secs", settings.worker_startup_timeout_secs)
    require_positive("worker_startup_check_interval_secs", settings.worker_startup_check_interval)
    require_positive("load_monitor_interval_secs", settings.load_monitor_interval)
    for field, high in (("job_queue_capacity", 1_000_000), ("job_queue_concurrency", 100_000)):
        value: int = getattr(settings, field)
        require(1 <= value <= high, field, value, f"Must be in 1..={high}")


def check_media(settings: Settings) -> None:
    """Bounds of multimodal work that would admit nothing."""
    images = settings.mm_per_request_image_limit
    if images is not None:
        require(images >= 1, "mm_per_request_image_limit", images, "Must be at least 1")
    budget = settings.multimodal_max_inflight_bytes
    if budget is not None:
        floor = _MEDIA_BUDGET_FLOOR_BYTES
        reason = f"Must be at least {floor} when set (a smaller budget admits no media at all)"
        require(budget >= floor, "multimodal_max_inflight_bytes", budget, reason)
    ttl_s = settings.rdma_slot_ttl_s
    if ttl_s is not None:
        reason = "Must be at least 1 when set (0 would drop a slot before it is read)"
        require(ttl_s >= 1, "rdma_slot_ttl_s", ttl_s, reason)


def check_headers(settings: Settings) -> None:
    """Names that requests are searched for can occur in a request."""
    for name in settings.request_id_headers or ():
        require(
            is_header_name(name),
            "request_id_headers",
            name,
            "not a valid HTTP header name: it could never match a request",
        )
    for name in settings.routing_key_headers or ():
        if not is_header_name(name):
            raise ConfigError.validation(
                "routing_key_override.headers contains an invalid HTTP header name "
                f"'{name}': invalid HTTP header name"
            )


def check_storage_context(settings: Settings) -> None:
    """Each header and each key of the storage context is named, and no key twice."""
    seen: set[str] = set()
    for header, key in settings.storage_context_headers:
        if not header.strip():
            raise ConfigError.validation(
                "storage_context_headers must not contain empty header names"
            )
        if not key.strip():
            raise ConfigError.validation(
                "storage_context_headers must not contain empty context keys"
            )
        if key in seen:
            raise ConfigError.validation(
                "storage_context_headers must not map multiple headers to the same "
                f"context key: '{key}'"
            )
        seen.add(key)


def check_origins(settings: Settings) -> None:
    """Origins are spelled as browsers send them, or are a lone `*`."""
    origins = settings.cors_allowed_origins
    for origin in origins:
        if origin == "*":
            require(
                len(origins) == 1,
                "cors_allowed_origins",
                origin,
                "'*' stands alone: either any origin or a list of exact origins",
            )
            continue
        require(
            _is_exact_origin(origin),
            "cors_allowed_origins",
            origin,
            "not exactly an origin (lower-case scheme://host[:port], no userinfo, no default "
            "port, nothing after it); browsers send it like that and it is compared as text",
        )


def _is_exact_origin(text: str) -> bool:
    if _ORIGIN.fullmatch(text) is None:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return port is None or port != _DEFAULT_PORTS.get(parts.scheme)
