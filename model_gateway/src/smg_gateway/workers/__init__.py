"""Workers: who they are, how they are, and the snapshot that routing reads."""

from .breaker import BreakerConfig, BreakerState, CircuitBreaker
from .fleet import Fleet, FleetConfig, FleetEvents, WorkerComing, WorkerExists, WorkerUnknown
from .health import HealthConfig
from .identity import worker_id
from .jobs import JobsFull, JobStatus
from .load_answers import RankLoad
from .registry import REGULAR, Registry, Snapshot
from .spec import ModelCard, SpecInvalid, WorkerSpec, WorkerUpdate, read_spec, read_update
from .status import WorkerStatus
from .vetoes import LivenessLimits, OverloadLimits, Stall
from .worker import Worker

__all__ = (
    "REGULAR",
    "BreakerConfig",
    "BreakerState",
    "CircuitBreaker",
    "Fleet",
    "FleetConfig",
    "FleetEvents",
    "HealthConfig",
    "JobStatus",
    "JobsFull",
    "LivenessLimits",
    "ModelCard",
    "OverloadLimits",
    "RankLoad",
    "Registry",
    "Snapshot",
    "SpecInvalid",
    "Stall",
    "Worker",
    "WorkerComing",
    "WorkerExists",
    "WorkerSpec",
    "WorkerStatus",
    "WorkerUnknown",
    "WorkerUpdate",
    "read_spec",
    "read_update",
    "worker_id",
)
