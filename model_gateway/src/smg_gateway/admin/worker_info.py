"""Workers as the control plane shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from ..workers import Fleet, JobStatus, Worker, WorkerStatus
from ..workers.metadata import LLM_TYPES

API_ATTEMPTS = 20
ATTEMPTS_PER_SUCCESS_THRESHOLD = 10


def worker_info(fleet: Fleet, worker: Worker) -> dict[str, Any]:
    """One worker: what was specified, what was found out and how it is. No keys."""
    shown = {
        name: value
        for name, value in msgspec.to_builtins(worker.spec).items()
        if name not in ("api_key", "models")
    }
    attempts = worker.spec.max_connection_attempts
    if attempts is None:
        attempts = API_ATTEMPTS
        if fleet.is_static(worker.base_url):
            attempts = ATTEMPTS_PER_SUCCESS_THRESHOLD * fleet.config.health.success_threshold
    info: dict[str, Any] = {
        **shown,
        "id": worker.uuid,
        "model_id": worker.models[0] if worker.models else None,
        "url": worker.url,
        "worker_type": worker.worker_type,
        "connection_mode": worker.connection_mode,
        "runtime_type": worker.runtime,
        "labels": dict(worker.labels),
        "priority": worker.spec.priority,
        "cost": worker.spec.cost,
        "max_connection_attempts": attempts,
        "is_healthy": worker.status is WorkerStatus.READY,
        "status": worker.status.value,
        "load": worker.load,
        "http2": False,
    }
    if worker.cards:
        info["models"] = [
            {"id": card.id, "model_type": list(LLM_TYPES), **msgspec.to_builtins(card)}
            for card in worker.cards
        ]
    if worker.dp_rank is not None:
        info["dp_rank"] = worker.dp_rank
        info["dp_base_url"] = worker.base_url
    if worker.engine_loads:
        info["engine_load"] = [_figures(load) for load in worker.engine_loads]
    if worker.overloaded:
        info["overloaded"] = True
    if worker.stalled is not None:
        info["stalled"] = worker.stalled.value
    job = fleet.job(worker)
    if job is not None:
        info["job_status"] = job
    return info


def coming_info(uuid: str, status: JobStatus) -> dict[str, Any]:
    """A worker that is being registered, or could not be."""
    return {
        "id": uuid,
        "model_id": None,
        "url": status.worker_url,
        "is_healthy": False,
        "status": (WorkerStatus.PENDING if status.is_open else WorkerStatus.FAILED).value,
        "load": 0,
        "job_status": status,
    }


def _figures(load: msgspec.Struct) -> dict[str, Any]:
    return {
        name: value for name, value in msgspec.structs.asdict(load).items() if value is not None
    }
