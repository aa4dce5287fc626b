"""A worker as a discovery source describes it, and the marks it carries once registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from ..workers import ModelCard, WorkerSpec
from ..workers.spec import WorkerType

PROVIDER_LABEL = "smg.ai/discovery-provider"
ID_LABEL = "smg.ai/discovery-id"
HASH_LABEL = "smg.ai/discovery-spec-hash"
MODEL_LABEL = "served_model_name"

HASH_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredWorker:
    """One worker that a source wants to exist.

    `id` is what the source calls it. `instance` tells one engine process from the next at the same
    URL: another instance is a new worker, anything else that differs is a change of the same one.
    `labels` are stamped besides those of discovery itself. `fingerprint` is a digest of all that.
    """

    id: str
    url: str
    worker_type: WorkerType = "regular"
    bootstrap_port: int | None = None
    model_id: str | None = None
    kv_connector: str | None = None
    kv_role: str | None = None
    kv_engine_id: str | None = None
    instance: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    fingerprint: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        record = (
            self.id,
            self.url,
            self.worker_type,
            self.bootstrap_port,
            self.model_id,
            self.kv_connector,
            self.kv_role,
            self.kv_engine_id,
            self.instance,
            self.labels,
        )
        digest = blake2b(msgspec.json.encode(record), digest_size=HASH_BYTES).hexdigest()
        object.__setattr__(self, "fingerprint", digest)

    def spec(self, source: str) -> WorkerSpec:
        """What to register, with the marks that say who brought it."""
        labels = dict(self.labels)
        if self.model_id is not None:
            labels[MODEL_LABEL] = self.model_id
        labels |= {PROVIDER_LABEL: source, ID_LABEL: self.id, HASH_LABEL: self.fingerprint}
        return WorkerSpec(
            url=self.url,
            worker_type=self.worker_type,
            bootstrap_port=self.bootstrap_port,
            models=ModelCard(id=self.model_id) if self.model_id is not None else None,
            kv_connector=self.kv_connector,
            kv_role=self.kv_role,
            kv_engine_id=self.kv_engine_id,
            labels=labels,
        )
