"""Discovery of workers: sources that say which workers there should be, and what follows from it."""

from __future__ import annotations

from .files import ManifestFile
from .kubernetes import ClusterPods
from .manifest import ManifestInvalid, read_manifest
from .opening import FileDiscovery, KubernetesDiscovery, open_discovery
from .planning import Mark, Plan, plan
from .pod_api import ClusterConfig
from .pods import Pod, PodRules, Selector, read_pod
from .provider import Provider, Snapshot, SnapshotWatcher
from .reconciler import Discovery
from .telemetry import DiscoveryTelemetry
from .worker import HASH_LABEL, ID_LABEL, PROVIDER_LABEL, DiscoveredWorker

__all__ = (
    "HASH_LABEL",
    "ID_LABEL",
    "PROVIDER_LABEL",
    "ClusterConfig",
    "ClusterPods",
    "DiscoveredWorker",
    "Discovery",
    "DiscoveryTelemetry",
    "FileDiscovery",
    "KubernetesDiscovery",
    "ManifestFile",
    "ManifestInvalid",
    "Mark",
    "Plan",
    "Pod",
    "PodRules",
    "Provider",
    "Selector",
    "Snapshot",
    "SnapshotWatcher",
    "open_discovery",
    "plan",
    "read_manifest",
    "read_pod",
)
