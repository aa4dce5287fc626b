"""Combinations that are refused before any single value is looked at."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings

__all__ = ("check_discovery_file", "check_jwt", "check_mesh", "check_pools")


def check_jwt(settings: Settings) -> None:
    """Half a JWT configuration would leave the control plane open."""
    if (settings.jwt_issuer is None) is not (settings.jwt_audience is None):
        raise ConfigError.argument(
            "--jwt-issuer and --jwt-audience are required together: "
            "control-plane JWT authentication would otherwise be silently disabled"
        )


def check_discovery_file(settings: Settings) -> None:
    """The file provider and its own settings come together."""
    if settings.discovery_provider == "file":
        if settings.discovery_file is None:
            raise ConfigError.argument("discovery_provider='file' needs discovery_file")
        return
    if settings.discovery_file is not None or settings.discovery_check_interval_secs is not None:
        raise ConfigError.argument(
            "discovery_file and discovery_check_interval_secs apply only to "
            "discovery_provider='file'"
        )


def check_pools(settings: Settings) -> None:
    """Bounds of the store that was chosen; the others' are not looked at."""
    if settings.history_backend == "oracle":
        if settings.oracle_pool_min < 1:
            raise ConfigError.argument("pool_min must be at least 1")
        if settings.oracle_pool_max < settings.oracle_pool_min:
            raise ConfigError.argument("pool_max must be >= pool_min")
    days = settings.redis_retention_days
    if settings.history_backend == "redis" and days < 1 and days != -1:
        raise ConfigError.argument(
            f"redis_retention_days must be at least 1 (-1 keeps records persistent), got {days}"
        )


def check_mesh(settings: Settings) -> None:
    """Addresses and credentials of the mesh, once it is switched on."""
    if not settings.enable_mesh:
        return
    field = "mesh_host" if settings.mesh_advertise_host is None else "mesh_advertise_host"
    _check_mesh_address("mesh_host", settings.mesh_host)
    host = settings.mesh_advertise_host or settings.mesh_host
    _check_mesh_address(field, host)
    if ip_address(host).is_unspecified:
        raise ConfigError.argument(
            f"Invalid value for {field}='{host}': mesh advertise address cannot be unspecified; "
            "set mesh_advertise_host to a routable node IP"
        )
    for peer in settings.mesh_peer_urls:
        if not _is_socket_address(peer):
            raise ConfigError.argument(
                f"Invalid mesh peer URL '{peer}': invalid socket address syntax"
            )
    parts = (settings.mesh_tls_ca_cert, settings.mesh_tls_cert, settings.mesh_tls_key)
    if any(parts) and not all(parts):
        raise ConfigError.argument(
            "mesh_tls_ca_cert, mesh_tls_cert and mesh_tls_key come together: give all three or none"
        )
    name = settings.mesh_server_name
    if name is not None and (not name or ":" in name):
        raise ConfigError.value(
            "mesh_server_name", name, "must be non-empty and must not contain ':'"
        )


def _check_mesh_address(field: str, host: str) -> None:
    try:
        ip_address(host)
    except ValueError as error:
        raise ConfigError.argument(
            f"Invalid value for {field}='{host}': invalid IP address syntax"
        ) from error


def _is_socket_address(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        ip_address(parts.hostname or "")
        return parts.port is not None and parts.netloc == text
    except ValueError:
        return False
