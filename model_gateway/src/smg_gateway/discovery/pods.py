"""From a Kubernetes pod to the workers in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType

import msgspec

from ..workers.spec import MAX_PORT, WorkerType
from .worker import DiscoveredWorker

PORTS_ANNOTATION = "smg.ai/worker-ports"
BOOTSTRAP_ANNOTATION = "sglang.ai/bootstrap-port"
POD_NAME_LABEL = "smg.ai/pod-name"
POD_UID_LABEL = "smg.ai/pod-uid"

BOOTSTRAPPED = frozenset({"encode", "prefill"})
"""Worker types that others fetch from, by a server on a port of its own."""

MAX_WORKERS_PER_POD = 1024

Selector = tuple[tuple[str, str], ...]
"""Labels that a pod must have, all of them."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class PodMetadata(msgspec.Struct, rename="camel", kw_only=True):
    """The part of a pod's metadata that matters here."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class PodCondition(msgspec.Struct, kw_only=True):
    """One condition of a pod: `True`, `False` or `Unknown`."""

    type: str
    status: str


class PodStatus(msgspec.Struct, rename="camel", kw_only=True):
    """The part of a pod's status that matters here."""

    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    conditions: list[PodCondition] | None = None


class Pod(msgspec.Struct, kw_only=True):
    """A pod as the API server describes it."""

    metadata: PodMetadata
    status: PodStatus | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name: no two pods have the same at the same time."""
        return self.metadata.namespace, self.metadata.name

    @property
    def is_serving(self) -> bool:
        """Whether it runs, is ready, and is not on its way out."""
        status = self.status
        return (
            status is not None
            and self.metadata.deletion_timestamp is None
            and status.phase == "Running"
            and any(
                condition.type == "Ready" and condition.status == "True"
                for condition in status.conditions or ()
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRules:
    """Which pods are workers, and how.

    `roles` are tried in their order; a pod is of the first type whose labels it has. `model_id_from`
    is `namespace`, `label:<key>` or `annotation:<key>`.
    """

    roles: tuple[tuple[WorkerType, Selector], ...]
    port: int = 80
    model_id_from: str | None = None
    kv_connector_annotation: str = "smg.ai/kv-connector"
    kv_engine_id_annotation: str = "smg.ai/kv-engine-id"

    @property
    def label_selector(self) -> str:
        """What the API server is asked for: it holds for every pod that has a role.

        A selector of the API cannot say "or", so pods that mix the labels of several roles may
        pass; a key counts when every role names it.
        """
        selectors = [dict(selector) for _, selector in self.roles]
        terms: list[str] = []
        for key in selectors[0] if selectors else ():
            if all(key in selector for selector in selectors):
                values = sorted({selector[key] for selector in selectors})
                one = len(values) == 1
                terms.append(f"{key}={values[0]}" if one else f"{key} in ({','.join(values)})")
        return ",".join(terms)

    def role_of(self, pod: Pod) -> WorkerType | None:
        """What kind of worker a pod is; None for none."""
        labels = pod.metadata.labels or _NOTHING
        for role, selector in self.roles:
            if selector and all(labels.get(key) == value for key, value in selector):
                return role
        return None

    def model_id_of(self, pod: Pod) -> str | None:
        """What names the pod's model besides the engine itself."""
        kind, _, key = (self.model_id_from or "").partition(":")
        match kind.lower():
            case "namespace":
                return pod.metadata.namespace or None
            case "label":
                return (pod.metadata.labels or _NOTHING).get(key) or None
            case "annotation":
                return (pod.metadata.annotations or _NOTHING).get(key) or None
            case _:
                return None


@dataclass(slots=True)
class PodReading:
    """What has been read from a pod: its workers, and what was odd about it."""

    workers: tuple[DiscoveredWorker, ...] = ()
    complaints: list[str] = field(default_factory=list)


def read_pod(pod: Pod, rules: PodRules) -> PodReading:
    """The workers in a pod, one for each of its ports; none while it does not serve."""
    reading = PodReading()
    role = rules.role_of(pod)
    if role is None or not pod.is_serving or pod.status is None or not pod.status.pod_ip:
        return reading
    if not pod.metadata.uid:
        reading.complaints.append("it has no uid")
        return reading
    host = _host(pod.status.pod_ip)
    if host is None:
        reading.complaints.append(f"{pod.status.pod_ip!r} is no IP address")
        return reading
    reading.workers = tuple(_workers(pod, rules, role, host, reading.complaints))
    return reading


def _workers(
    pod: Pod, rules: PodRules, role: WorkerType, host: str, complaints: list[str]
) -> Iterator[DiscoveredWorker]:
    notes, uid = pod.metadata.annotations or _NOTHING, pod.metadata.uid
    ports = _worker_ports(notes, rules.port, complaints)
    bootstrap = _bootstrap_ports(notes if role in BOOTSTRAPPED else _NOTHING, ports, complaints)
    engine_ids = _engine_ids(notes, rules.kv_engine_id_annotation, ports, complaints)
    connector = notes.get(rules.kv_connector_annotation, "").strip() or None
    for port, bootstrap_port, engine_id in zip(ports, bootstrap, engine_ids, strict=True):
        yield DiscoveredWorker(
            id=f"{uid}:{port}",
            url=f"http://{host}:{port}",
            worker_type=role,
            bootstrap_port=bootstrap_port,
            model_id=rules.model_id_of(pod),
            kv_connector=connector,
            kv_engine_id=engine_id,
            instance=uid,
            labels=((POD_NAME_LABEL, pod.metadata.name), (POD_UID_LABEL, uid)),
        )


def _host(address: str) -> str | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        # A scope is of no meaning on another machine.
        return f"[{found}]" if found.scope_id is None else None
    return str(found)


def _worker_ports(notes: Mapping[str, str], default: int, complaints: list[str]) -> tuple[int, ...]:
    text = notes.get(PORTS_ANNOTATION)
    if text is None:
        return (default,)
    ports = _ports(text)
    if ports is None:
        complaints.append(f"{PORTS_ANNOTATION} {text!r} lists no ports, {default} is taken")
        return (default,)
    return tuple(dict.fromkeys(ports))


def _bootstrap_ports(
    notes: Mapping[str, str], ports: Sequence[int], complaints: list[str]
) -> Sequence[int | None]:
    """One for each port; a single one is that of all."""
    text = notes.get(BOOTSTRAP_ANNOTATION)
    if text is None:
        return [None] * len(ports)
    found = _ports(text)
    if found is not None and len(found) == 1:
        return found * len(ports)
    if found is not None and len(found) == len(ports):
        return found
    complaints.append(f"{BOOTSTRAP_ANNOTATION} {text!r} does not fit {len(ports)} worker ports")
    return [None] * len(ports)


def _engine_ids(
    notes: Mapping[str, str], annotation: str, ports: Sequence[int], complaints: list[str]
) -> Sequence[str | None]:
    """One for each port; no two engines have the same."""
    text = notes.get(annotation, "").strip()
    if not text:
        return [None] * len(ports)
    found = [part.strip() for part in text.split(",")]
    if len(found) == len(ports) == len(set(found)) and all(found):
        return found
    complaints.append(f"{annotation} {text!r} does not name {len(ports)} different engines")
    return [None] * len(ports)


def _ports(text: str) -> list[int] | None:
    """Comma-separated ports; None when one of them is none."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > MAX_WORKERS_PER_POD:
        return None
    if not all(part.isascii() and part.isdecimal() and len(part) <= 5 for part in parts):
        return None
    ports = [int(part) for part in parts]
    return ports if all(1 <= port <= MAX_PORT for port in ports) else None
