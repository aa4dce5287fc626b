"""The settings of one gateway, and the list of their declarations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache

from smg_gateway.settings.access import AccessSettings
from smg_gateway.settings.declaration import METADATA_KEY, Declaration
from smg_gateway.settings.engines import EngineSettings
from smg_gateway.settings.fleet import FleetSettings
from smg_gateway.settings.listeners import ListenerSettings
from smg_gateway.settings.resilience import ResilienceSettings
from smg_gateway.settings.routing import RoutingSettings
from smg_gateway.settings.stores import StoreSettings

__all__ = ("MASK", "Settings", "declarations")

MASK = "***"


# Dataclasses collect the fields of the last base first, so the bases stand in reverse.
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings(
    AccessSettings,
    StoreSettings,
    EngineSettings,
    ResilienceSettings,
    FleetSettings,
    RoutingSettings,
    ListenerSettings,
):
    """Everything that can be configured, one field per setting.

    `Settings()` is a gateway as `smg launch` without flags makes it. Nothing is checked here:
    call `validate` before use. Text of secret settings never shows in the repr.
    """

    def __repr__(self) -> str:
        changed = (f"{name}={value!r}" for name, value in self.changed())
        return f"Settings({', '.join(changed)})"

    def changed(self) -> Iterator[tuple[str, object]]:
        """Names and values that differ from the defaults, in order, with secrets masked."""
        for declaration in declarations():
            value = getattr(self, declaration.name)
            if value != declaration.default:
                yield declaration.name, MASK if declaration.secret else value

    def masked(self) -> dict[str, object]:
        """All values by name, fit for a log or an endpoint: secrets that are set are masked."""
        return {
            declaration.name: MASK if declaration.secret and value else value
            for declaration in declarations()
            for value in (getattr(self, declaration.name),)
        }

    def secrets(self) -> Iterator[str]:
        """Every credential, as text that must not be shown anywhere."""
        for declaration in declarations():
            value = getattr(self, declaration.name) if declaration.secret else None
            if isinstance(value, str):
                yield value
            elif isinstance(value, tuple):
                # The credential comes last, after whom it belongs to.
                yield from (entry[-1] for entry in value)


# In the order of the help text.
_GROUPS = (
    "General",
    "Worker Configuration",
    "Routing Policy",
    "PD/EPD Disaggregation",
    "Service Discovery (Kubernetes)",
    "Service Discovery (File)",
    "Logging",
    "Prometheus Metrics",
    "Profiling",
    "Request Handling",
    "Rate Limiting",
    "Retry Configuration",
    "Circuit Breaker",
    "Health Checks",
    "Tokenizer",
    "Parsers",
    "Backend",
    "Oracle Database",
    "PostgreSQL Database",
    "Redis Database",
    "TLS/mTLS Security",
    "Tracing (OpenTelemetry)",
    "Control Plane Authentication",
    "RL Control Plane",
    "Data Plane Authentication",
    "Priority Scheduler",
    "Tenant Rate Limit",
    "Mesh Server",
    "Development",
)


@cache
def declarations() -> tuple[Declaration, ...]:
    """All declarations, group by group in the order of the help text."""
    found = [field.metadata[METADATA_KEY] for field in fields(Settings)]
    return tuple(sorted(found, key=lambda declaration: _GROUPS.index(declaration.group)))
