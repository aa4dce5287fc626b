"""From a configuration to discovery that is ready to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..observability.metrics import Exposition
from ..workers import Fleet
from .files import ManifestFile
from .kubernetes import ClusterPods
from .pod_api import ClusterConfig, check_client
from .pods import PodRules
from .provider import Provider
from .reconciler import Discovery
from .telemetry import DiscoveryTelemetry

POD_RESYNC_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiscovery:
    """Workers are listed in a manifest. `paired` has use for disaggregated legs only."""

    path: str
    interval_s: float = 30.0
    paired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesDiscovery:
    """Workers are pods: those of `namespace`, or of all (None), that `rules` take."""

    rules: PodRules
    namespace: str | None = None


def open_discovery(
    config: FileDiscovery | KubernetesDiscovery,
    fleet: Fleet,
    exposition: Exposition,
    duration_bounds_s: Sequence[float],
    *,
    start_delay_s: float = 0.0,
    clock: Callable[[], float],
) -> Discovery:
    """Discovery for a fleet, to be run once; raises ConfigError where a package is missing."""
    match config:
        case FileDiscovery():
            telemetry = DiscoveryTelemetry(exposition, ManifestFile.source, duration_bounds_s)
            provider: Provider = ManifestFile(
                config.path,
                telemetry,
                interval_s=config.interval_s,
                paired=config.paired,
                clock=clock,
            )
            resync_s = config.interval_s
        case KubernetesDiscovery():
            check_client()
            telemetry = DiscoveryTelemetry(exposition, ClusterPods.source, duration_bounds_s)
            cluster = ClusterConfig(
                namespace=config.namespace, label_selector=config.rules.label_selector
            )
            provider = ClusterPods(cluster, config.rules, telemetry, clock=clock)
            resync_s = POD_RESYNC_S
    return Discovery(
        fleet,
        provider,
        telemetry,
        resync_s=resync_s,
        start_delay_s=start_delay_s,
        clock=clock,
    )
