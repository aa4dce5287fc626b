"""Worker URLs and the addresses of listeners."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.conditions import is_disaggregated, is_discovering, require

__all__ = (
    "check_bind_host",
    "check_listener_ports",
    "check_worker_urls",
    "urls_in_use",
    "worker_url_error",
)

_SCHEMES = ("http://", "https://", "grpc://", "grpcs://", "ipc://")
_HOST_CHARACTERS = re.compile(r"[^\x00-\x20#%/:<>?@\[\\\]^|\x7f]+")


_CREDENTIALS = re.compile(r"//[^/@]*@")


def check_worker_urls(settings: Settings) -> None:
    """The URLs that the mode of operation uses; discovery uses none."""
    if is_discovering(settings):
        return
    for url in urls_in_use(settings):
        reason = worker_url_error(url)
        if reason is not None:
            raise ConfigError.value("worker_url", _CREDENTIALS.sub("//***@", url), reason)
    if is_disaggregated(settings):
        for worker in (*(settings.encode or ()), *(settings.prefill or ())):
            port = worker.bootstrap_port
            if port == 0:
                raise ConfigError.value("bootstrap_port", port, "Port must be between 1 and 65535")


def urls_in_use(settings: Settings) -> tuple[str, ...]:
    """URLs of the workers that the mode of operation names at start-up, encode leg first."""
    if not is_disaggregated(settings):
        return settings.worker_urls
    encode = (settings.encode or ()) if settings.epd_disaggregation else ()
    legs = (*encode, *(settings.prefill or ()))
    return (*(worker.url for worker in legs), *(settings.decode or ()))


def worker_url_error(url: str) -> str | None:
    """Why `url` cannot be a worker's base URL, None if it can."""
    if not url:
        return "URL cannot be empty"
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        return (
            "URL must start with a lowercase http://, https://, grpc://, grpcs://, or ipc:// scheme"
        )
    if scheme == "ipc://":
        return None if url != scheme else "ipc:// worker URL must include a socket path"
    reason = _authority_error(url)
    return None if reason is None else f"Invalid URL format: {reason}"


def _authority_error(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "invalid IPv6 address"
    if not parts.hostname:
        return "empty host"
    if "@" in parts.netloc:
        # URLs show up in headers, metrics and logs; credentials must not.
        return "credentials do not belong into a worker URL, use --api-key"
    return _host_error(parts) or _port_error(parts)


def _host_error(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    try:
        if "[" in parts.netloc:
            IPv6Address(host.partition("%")[0])
        elif host.rpartition(".")[2].isdigit():
            IPv4Address(host)
    except AddressValueError:
        return "invalid IPv6 address" if "[" in parts.netloc else "invalid IPv4 address"
    if "[" not in parts.netloc and _HOST_CHARACTERS.fullmatch(host) is None:
        return "invalid international domain name"
    return None


def _port_error(parts: SplitResult) -> str | None:
    try:
        _ = parts.port
    except ValueError:
        return "invalid port number"
    return None


def check_bind_host(field: str, host: str) -> None:
    """Listeners bind addresses, not names: a name may mean several or change its meaning."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(bare)
    except ValueError:
        address = None
    valid = address is not None and (bare == host or address.version == 6)
    require(
        valid,
        field,
        host,
        f"invalid bind host '{host}': expected an IP address such as 0.0.0.0, ::, [::] "
        "or [fd00::1]",
    )


def check_listener_ports(settings: Settings) -> None:
    """Each listener has a fixed port of its own."""
    metrics, health = settings.prometheus_port, settings.health_check_port
    _check_stable_port("metrics.port", metrics)
    if health is not None:
        _check_stable_port("health_check_port", health)
        _check_distinct("health_check_port", "--health-check-port", health, "--port", settings.port)
    _check_distinct("metrics.port", "--prometheus-port", metrics, "--port", settings.port)
    if health is not None:
        _check_distinct(
            "health_check_port", "--health-check-port", health, "--prometheus-port", metrics
        )


def _check_stable_port(field: str, port: int) -> None:
    require(
        port != 0, field, port, "Port must be > 0 (0 would request an unstable OS-ephemeral port)"
    )


def _check_distinct(field: str, flag: str, port: int, other_flag: str, other_port: int) -> None:
    require(
        port != other_port,
        field,
        port,
        f"{flag} and {other_flag} are both {port}; each listener needs its own port",
    )
