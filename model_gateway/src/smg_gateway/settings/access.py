"""Settings of who may do what: credentials, tenants, priorities, control planes, tracing."""

from __future__ import annotations

from dataclasses import dataclass

from smg_gateway.settings.declaration import Group, Status
from smg_gateway.settings.shapes import (
    CONTROL_PLANE_KEYS,
    FLAG,
    FLOAT,
    ROLE_MAPPING,
    TENANT_KEYS,
    U64,
    ControlPlaneKey,
)

__all__ = ("AccessSettings",)

_TRACING = Group("Tracing (OpenTelemetry)")
_CONTROL_PLANE = Group("Control Plane Authentication")
_RL = Group("RL Control Plane")
_DATA_PLANE = Group("Data Plane Authentication")
_PRIORITIES = Group("Priority Scheduler")
_TENANTS = Group("Tenant Rate Limit")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class AccessSettings:
    """Credentials of clients and administrators, and what tenants are entitled to."""

    __slots__ = ()

    enable_trace: bool = _TRACING.setting(
        False,
        "--enable-trace",
        shape=FLAG,
        help="Export OpenTelemetry traces (needs the extra `otel`).",
    )
    otlp_traces_endpoint: str = _TRACING.setting(
        "localhost:4317",
        "--otlp-traces-endpoint",
        help="Trace collector, as host:port or as an http(s) URL with a port.",
    )
    otlp_traces_protocol: str = _TRACING.setting(
        "grpc",
        "--otlp-traces-protocol",
        choices=("grpc", "http"),
        own=True,
        help="How traces are sent: OTLP over gRPC, or over HTTP to /v1/traces.",
    )
    trace_sample_ratio: float = _TRACING.setting(
        1.0,
        "--trace-sample-ratio",
        shape=FLOAT,
        own=True,
        live_reload=True,
        help="Share of requests that are traced, 0 to 1, where the client has not decided.",
    )

    api_key: str | None = _CONTROL_PLANE.setting(
        None,
        "--api-key",
        secret=True,
        live_reload=True,
        help="Key that clients must present; it is also presented to workers without their own.",
    )
    control_plane_api_keys: tuple[ControlPlaneKey, ...] = _CONTROL_PLANE.setting(
        (),
        "--control-plane-api-keys",
        shape=CONTROL_PLANE_KEYS,
        status=Status.ABSENT,
        secret=True,
        help="Administrators' keys, as id:name:role:key with the role admin or user.",
    )
    control_plane_audit_enabled: bool = _CONTROL_PLANE.setting(
        False,
        "--control-plane-audit-enabled",
        shape=FLAG,
        status=Status.ABSENT,
        help="Log every administrative operation.",
    )
    jwt_issuer: str | None = _CONTROL_PLANE.setting(
        None,
        "--jwt-issuer",
        status=Status.ABSENT,
        help="OIDC issuer of administrators' tokens; needs --jwt-audience.",
    )
    jwt_audience: str | None = _CONTROL_PLANE.setting(
        None,
        "--jwt-audience",
        status=Status.ABSENT,
        help="Audience that administrators' tokens must name; needs --jwt-issuer.",
    )
    jwt_jwks_uri: str | None = _CONTROL_PLANE.setting(
        None,
        "--jwt-jwks-uri",
        status=Status.ABSENT,
        help="Where the issuer's keys are; unset asks the issuer.",
    )
    jwt_role_mapping: tuple[tuple[str, str], ...] = _CONTROL_PLANE.setting(
        (),
        "--jwt-role-mapping",
        shape=ROLE_MAPPING,
        status=Status.ABSENT,
        help="Roles of the issuer as roles of the gateway: theirs=admin or theirs=user.",
    )

    enable_rl: bool = _RL.setting(
        False,
        "--enable-rl",
        shape=FLAG,
        status=Status.ABSENT,
        help="Serve the /v1/rl routes for reinforcement learning.",
    )
    rl_control_timeout_secs: int = _RL.setting(
        600,
        "--rl-control-timeout-secs",
        shape=U64,
        status=Status.TUNING,
        help="Seconds one engine call under /v1/rl may take.",
    )
    rl_fanout_concurrency: int = _RL.setting(
        32,
        "--rl-fanout-concurrency",
        shape=U64,
        status=Status.TUNING,
        help="Engines called at once by one request under /v1/rl.",
    )

    tenant_api_key: tuple[tuple[str, str], ...] = _DATA_PLANE.setting(
        (),
        "--tenant-api-key",
        shape=TENANT_KEYS,
        status=Status.ABSENT,
        secret=True,
        help="A tenant's own key, as tenant:key.",
    )

    priority_scheduler_enabled: bool = _PRIORITIES.setting(
        False,
        "--priority-scheduler-enabled",
        shape=FLAG,
        status=Status.ABSENT,
        help="Admit requests by priority class, not in order of arrival.",
    )
    priority_scheduler_default_max_class: str = _PRIORITIES.setting(
        "default",
        "--priority-scheduler-default-max-class",
        status=Status.TUNING,
        help="Highest class of tenants without a rule: system, interactive, default or bulk.",
    )
    priority_scheduler_config: str | None = _PRIORITIES.setting(
        None,
        "--priority-scheduler-config",
        status=Status.TUNING,
        help="YAML file with the rules of the priority scheduler.",
    )
    priority_scheduler_tenant_metric_top_n: int = _PRIORITIES.setting(
        32,
        "--priority-scheduler-tenant-metric-top-n",
        shape=U64,
        status=Status.TUNING,
        help="Tenants named in metrics; the rest are counted together.",
    )

    tenant_rate_limit_enabled: bool = _TENANTS.setting(
        False,
        "--tenant-rate-limit-enabled",
        shape=FLAG,
        status=Status.ABSENT,
        help="Limit how much each tenant may ask for.",
    )
    tenant_rate_limit_config: str | None = _TENANTS.setting(
        None,
        "--tenant-rate-limit-config",
        status=Status.TUNING,
        help="YAML file with the limits of the tenants.",
    )
