"""Settings of everything that listens, and of how a request is received and logged."""

from __future__ import annotations

from dataclasses import dataclass

from smg_gateway.settings.declaration import Group, Status
from smg_gateway.settings.shapes import FLAG, FLOATS, PAIRS, U16, U64, WORDS

__all__ = ("ListenerSettings",)

_GENERAL = Group("General")
_WORKERS = Group("Worker Configuration")
_LOGGING = Group("Logging")
_METRICS = Group("Prometheus Metrics")
_PROFILING = Group("Profiling")
_REQUESTS = Group("Request Handling")
_TLS = Group("TLS/mTLS Security")
_DEVELOPMENT = Group("Development")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ListenerSettings:
    """Addresses, timeouts of client connections, logs, metrics and TLS."""

    __slots__ = ()

    host: str = _WORKERS.setting(
        "0.0.0.0", "--host", help="IP address the main listener binds; host names are refused."
    )
    port: int = _WORKERS.setting(
        30000, "--port", shape=U16, help="Port of the main listener, 1 to 65535."
    )
    worker_urls: tuple[str, ...] = _WORKERS.setting(
        (),
        "--worker-urls",
        shape=WORDS,
        live_reload=True,
        help="Base URLs of the workers known at start-up, for example http://10.0.0.5:8000.",
    )
    upstream_http2: bool = _WORKERS.setting(
        False,
        "--upstream-http2",
        shape=FLAG,
        status=Status.TUNING,
        help="Talk cleartext HTTP/2 to workers that answer a probe for it.",
    )
    upstream_pool_idle_timeout_secs: int = _WORKERS.setting(
        3,
        "--upstream-pool-idle-timeout-secs",
        shape=U64,
        help="Seconds an unused worker connection is kept for reuse; 0 keeps it for ever.",
    )
    health_check_port: int | None = _WORKERS.setting(
        None,
        "--health-check-port",
        shape=U16,
        help="Port of a second listener that answers only /liveness, /readiness and /health.",
    )

    log_dir: str | None = _LOGGING.setting(
        None,
        "--log-dir",
        help="Directory that receives log files besides standard error, a new one each day.",
    )
    log_level: str = _LOGGING.setting(
        "info",
        "--log-level",
        choices=("debug", "info", "warn", "error"),
        live_reload=True,
        help="Least severe level that is logged.",
    )
    log_json: bool = _LOGGING.setting(
        False, "--log-json", shape=FLAG, help="Write each log record as one JSON object."
    )

    log_filter: str = _LOGGING.setting(
        "",
        "--log-filter",
        environment="SMG_LOG",
        own=True,
        live_reload=True,
        help="Levels by module over --log-level, for example warn,smg_gateway.workers=debug.",
    )
    log_file_bytes: int = _LOGGING.setting(
        104857600,
        "--log-file-bytes",
        shape=U64,
        own=True,
        help="Bytes after which a log file is followed by another one on the same day.",
    )
    log_files: int = _LOGGING.setting(
        14,
        "--log-files",
        shape=U64,
        own=True,
        help="Log files that are kept in --log-dir, the newest ones.",
    )

    prometheus_port: int = _METRICS.setting(
        29000,
        "--prometheus-port",
        shape=U16,
        help="Port of the metrics listener; it must differ from every other listener's.",
    )
    prometheus_host: str | None = _METRICS.setting(
        None,
        "--prometheus-host",
        help="IP address of the metrics listener; unset listens on all addresses of the "
        "family that --host belongs to.",
    )
    prometheus_duration_buckets: tuple[float, ...] | None = _METRICS.setting(
        None,
        "--prometheus-duration-buckets",
        shape=FLOATS,
        help="Upper bounds in seconds that replace the built-in ones of duration histograms.",
    )

    jemalloc_prof_dir: str | None = _PROFILING.setting(
        None,
        "--jemalloc-prof-dir",
        status=Status.TUNING,
        help="Directory for heap profiles of the jemalloc allocator.",
    )

    request_id_headers: tuple[str, ...] | None = _REQUESTS.setting(
        None,
        "--request-id-headers",
        shape=WORDS,
        live_reload=True,
        help="Headers searched, in order, for the client's request id, in place of the "
        "built-in list.",
    )
    storage_context_headers: tuple[tuple[str, str], ...] = _REQUESTS.setting(
        (),
        "--storage-context-headers",
        shape=PAIRS,
        status=Status.TUNING,
        help="header=key pairs that hand request headers to storage hooks under that key.",
    )
    request_timeout_secs: int = _REQUESTS.setting(
        1800,
        "--request-timeout-secs",
        shape=U64,
        live_reload=True,
        help="Longest time a worker's whole answer may take, streaming included.",
    )
    shutdown_grace_period_secs: int = _REQUESTS.setting(
        180,
        "--shutdown-grace-period-secs",
        shape=U64,
        live_reload=True,
        help="Seconds that running requests get to finish once shutdown began.",
    )
    header_read_timeout_secs: int = _REQUESTS.setting(
        30,
        "--header-read-timeout-secs",
        shape=U64,
        live_reload=True,
        help="Seconds within which a client must have sent its request head; 0 waits for ever.",
    )
    idle_connection_timeout_secs: int = _REQUESTS.setting(
        90,
        "--idle-connection-timeout-secs",
        shape=U64,
        live_reload=True,
        help="Seconds after which an unused client connection is closed; 0 never closes it.",
    )
    trust_tenant_header: bool = _REQUESTS.setting(
        False,
        "--trust-tenant-header",
        shape=FLAG,
        status=Status.ABSENT,
        help="Believe the tenant named in a request header (behind a trusted proxy only).",
    )
    tenant_header_name: str = _REQUESTS.setting(
        "x-smg-tenant-id",
        "--tenant-header-name",
        status=Status.TUNING,
        help="Header that --trust-tenant-header reads.",
    )
    cors_allowed_origins: tuple[str, ...] = _REQUESTS.setting(
        (),
        "--cors-allowed-origins",
        shape=WORDS,
        status=Status.ABSENT,
        help="Web origins whose pages may call the gateway, or a lone * for all; none if empty.",
    )

    client_cert_path: str | None = _TLS.setting(
        None,
        "--client-cert-path",
        help="PEM certificate shown to workers (mTLS); needs --client-key-path.",
    )
    client_key_path: str | None = _TLS.setting(
        None, "--client-key-path", help="PEM private key that belongs to --client-cert-path."
    )
    ca_cert_paths: tuple[str, ...] = _TLS.setting(
        (),
        "--ca-cert-paths",
        shape=WORDS,
        help="PEM files with certificate authorities trusted for https workers.",
    )
    tls_cert_path: str | None = _TLS.setting(
        None,
        "--tls-cert-path",
        help="PEM certificate chain that turns the main listener to https; needs --tls-key-path.",
    )
    tls_key_path: str | None = _TLS.setting(
        None, "--tls-key-path", help="PEM private key that belongs to --tls-cert-path."
    )

    config: str | None = _GENERAL.setting(
        None,
        "--config",
        environment="SMG_CONFIG",
        own=True,
        help="YAML or TOML file with settings; flags and environment variables win over it.",
    )
    reload: bool = _DEVELOPMENT.setting(
        False,
        "--reload",
        shape=FLAG,
        own=True,
        help="Restart whenever a source file of the gateway changes; for development only.",
    )

    @property
    def bind_host(self) -> str:
        """`host` without the brackets that IPv6 literals may be written in."""
        return self.host.removeprefix("[").removesuffix("]")

    @property
    def metrics_bind_host(self) -> str:
        """Address of the metrics listener, never None."""
        if self.prometheus_host is None:
            return "::" if ":" in self.host else "0.0.0.0"
        return self.prometheus_host.removeprefix("[").removesuffix("]")
