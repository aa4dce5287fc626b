"""Workers: who they are, how they are, and the snapshot that routing reads."""

from .breaker import BreakerConfig, BreakerState, CircuitBreaker
from .health import HealthConfig, HealthMonitor
from .registration import Registrar, RegistrationConfig
from .registry import Registry, Snapshot
from .worker import Worker, WorkerStatus

__all__ = (
    "BreakerConfig",
    "BreakerState",
    "CircuitBreaker",
    "HealthConfig",
    "HealthMonitor",
    "Registrar",
    "RegistrationConfig",
    "Registry",
    "Snapshot",
    "Worker",
    "WorkerStatus",
)
