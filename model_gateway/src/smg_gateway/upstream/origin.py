"""Where a worker listens."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Origin:
    """Host, port and path prefix of a worker's base URL."""

    host: str
    port: int
    tls: bool
    prefix: bytes
    host_header: bytes


def parse_origin(url: str) -> Origin:
    """The origin of an `http://` or `https://` base URL; raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"not an http(s) URL: {url}")
    if not parts.hostname:
        raise ValueError(f"no host in URL: {url}")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    host = parts.hostname
    shown = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        shown = f"{shown}:{port}"
    return Origin(host, port, tls, parts.path.rstrip("/").encode(), shown.encode())
