"""Settings of how the set of workers comes about: start-up, disaggregation, discovery, mesh."""

from __future__ import annotations

from dataclasses import dataclass

from smg_gateway.settings.declaration import Group, Status
from smg_gateway.settings.shapes import (
    ALIASES,
    BOOTSTRAP_URLS,
    FLAG,
    I32,
    REPEATED,
    SELECTOR,
    U16,
    U64,
    WORDS,
    BootstrapUrl,
)

__all__ = ("FleetSettings",)

_DISAGGREGATION = Group("PD/EPD Disaggregation")
_KUBERNETES = Group("Service Discovery (Kubernetes)")
_FILE = Group("Service Discovery (File)")
_MESH = Group("Mesh Server")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class FleetSettings:
    """Where workers come from, what they are called, and which gateways know each other."""

    __slots__ = ()

    pd_disaggregation: bool = _DISAGGREGATION.setting(
        False,
        "--pd-disaggregation",
        shape=FLAG,
        help="Send each request to a prefill worker and a decode worker.",
    )
    epd_disaggregation: bool = _DISAGGREGATION.setting(
        False,
        "--epd-disaggregation",
        shape=FLAG,
        status=Status.ABSENT,
        help="Put an encode worker before the prefill and decode workers.",
    )
    encode: tuple[BootstrapUrl, ...] | None = _DISAGGREGATION.setting(
        None,
        "--encode",
        shape=BOOTSTRAP_URLS,
        status=Status.ABSENT,
        help="An encode worker: its URL and, optionally, its bootstrap port or none.",
    )
    prefill: tuple[BootstrapUrl, ...] | None = _DISAGGREGATION.setting(
        None,
        "--prefill",
        shape=BOOTSTRAP_URLS,
        help="A prefill worker: its URL and, optionally, its bootstrap port or none.",
    )
    decode: tuple[str, ...] | None = _DISAGGREGATION.setting(
        None,
        "--decode",
        shape=REPEATED,
        help="URL of a decode worker.",
    )
    prefill_max_inflight_requests_per_worker: int = _DISAGGREGATION.setting(
        -1,
        "--prefill-max-inflight-requests-per-worker",
        shape=I32,
        help="Requests a prefill worker may have at once; 0 and below sets no bound.",
    )
    prefill_queue_size: int | None = _DISAGGREGATION.setting(
        None,
        "--prefill-queue-size",
        shape=U64,
        help="Requests that may wait for a prefill worker (100 if unset); 0 lets none wait.",
    )
    prefill_queue_timeout_secs: int | None = _DISAGGREGATION.setting(
        None,
        "--prefill-queue-timeout-secs",
        shape=U64,
        help="Longest wait for a prefill worker (60 if unset).",
    )
    worker_startup_timeout_secs: int = _DISAGGREGATION.setting(
        1800,
        "--worker-startup-timeout-secs",
        shape=U64,
        live_reload=True,
        help="Seconds after which a worker that never became ready is given up.",
    )
    worker_startup_delay: int = _DISAGGREGATION.setting(
        0,
        "--worker-startup-delay",
        shape=U64,
        help="Seconds to wait before workers are contacted for the first time.",
    )
    worker_startup_check_interval: int = _DISAGGREGATION.setting(
        30,
        "--worker-startup-check-interval",
        shape=U64,
        live_reload=True,
        help="Seconds between two attempts to reach a worker that is not ready yet.",
    )

    service_discovery: bool = _KUBERNETES.setting(
        False,
        "--service-discovery",
        shape=FLAG,
        help="Find workers by watching Kubernetes pods.",
    )
    discovery_provider: str | None = _KUBERNETES.setting(
        None,
        "--discovery-provider",
        choices=("kubernetes", "file"),
        conflicts_with="--service-discovery",
        help="Where workers are found: Kubernetes pods or a file.",
    )
    selector: tuple[tuple[str, str], ...] | None = _KUBERNETES.setting(
        None,
        "--selector",
        shape=SELECTOR,
        help="Labels, as key=value, of the pods that are workers.",
    )
    service_discovery_port: int = _KUBERNETES.setting(
        80,
        "--service-discovery-port",
        shape=U16,
        help="Port on which discovered pods serve.",
    )
    service_discovery_namespace: str | None = _KUBERNETES.setting(
        None,
        "--service-discovery-namespace",
        help="Kubernetes namespace that is watched; unset watches all.",
    )
    kv_connector_annotation: str = _KUBERNETES.setting(
        "smg.ai/kv-connector",
        "--kv-connector-annotation",
        help="Pod annotation that names vLLM's KV connector.",
    )
    kv_engine_id_annotation: str = _KUBERNETES.setting(
        "smg.ai/kv-engine-id",
        "--kv-engine-id-annotation",
        help="Pod annotation that carries the id of the KV engine.",
    )
    encode_selector: tuple[tuple[str, str], ...] | None = _KUBERNETES.setting(
        None,
        "--encode-selector",
        shape=SELECTOR,
        help="Labels of the pods that encode.",
    )
    prefill_selector: tuple[tuple[str, str], ...] | None = _KUBERNETES.setting(
        None,
        "--prefill-selector",
        shape=SELECTOR,
        help="Labels of the pods that prefill.",
    )
    decode_selector: tuple[tuple[str, str], ...] | None = _KUBERNETES.setting(
        None,
        "--decode-selector",
        shape=SELECTOR,
        help="Labels of the pods that decode.",
    )
    router_selector: tuple[tuple[str, str], ...] | None = _KUBERNETES.setting(
        None,
        "--router-selector",
        shape=SELECTOR,
        status=Status.TUNING,
        help="Labels of the pods that run other gateways of the mesh.",
    )
    model_id_from: str | None = _KUBERNETES.setting(
        None,
        "--model-id-from",
        help="What names a discovered model: namespace, label:<key> or annotation:<key>.",
    )
    model_alias: tuple[tuple[str, str], ...] = _KUBERNETES.setting(
        (),
        "--model-alias",
        shape=ALIASES,
        live_reload=True,
        help="Another name that clients may use for a model, as alias=model.",
    )

    discovery_file: str | None = _FILE.setting(
        None,
        "--discovery-file",
        help="JSON or YAML file that lists the workers; it may be created after start-up.",
    )
    discovery_check_interval_secs: int | None = _FILE.setting(
        None,
        "--discovery-check-interval-secs",
        shape=U64,
        help="Seconds between two looks at the file (30 if unset).",
    )

    enable_mesh: bool = _MESH.setting(
        False,
        "--enable-mesh",
        shape=FLAG,
        status=Status.ABSENT,
        help="Share state with other gateways.",
    )
    mesh_server_name: str | None = _MESH.setting(
        None,
        "--mesh-server-name",
        status=Status.TUNING,
        help="Name of this gateway in the mesh, without colons; unset makes one up.",
    )
    mesh_host: str = _MESH.setting(
        "0.0.0.0",
        "--mesh-host",
        status=Status.TUNING,
        help="IP address the mesh listener binds.",
    )
    mesh_advertise_host: str | None = _MESH.setting(
        None,
        "--mesh-advertise-host",
        status=Status.TUNING,
        help="IP address under which other gateways reach this one.",
    )
    mesh_port: int = _MESH.setting(
        39527,
        "--mesh-port",
        shape=U16,
        status=Status.TUNING,
        help="Port of the mesh listener.",
    )
    mesh_peer_urls: tuple[str, ...] = _MESH.setting(
        (),
        "--mesh-peer-urls",
        shape=WORDS,
        status=Status.TUNING,
        help="Gateways to join first, each as IP address and port.",
    )
    mesh_tls_ca_cert: str | None = _MESH.setting(
        None,
        "--mesh-tls-ca-cert",
        status=Status.TUNING,
        help="PEM file with the authority that signs mesh certificates.",
    )
    mesh_tls_cert: str | None = _MESH.setting(
        None,
        "--mesh-tls-cert",
        status=Status.TUNING,
        help="PEM certificate of this gateway, valid for its IP address.",
    )
    mesh_tls_key: str | None = _MESH.setting(
        None,
        "--mesh-tls-key",
        status=Status.TUNING,
        help="PKCS#8 PEM key that belongs to --mesh-tls-cert.",
    )
