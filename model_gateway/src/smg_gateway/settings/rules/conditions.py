"""Questions that several rules ask about settings, and the forms their answers take."""

from __future__ import annotations

import math
import re

from smg_gateway.settings.errors import ConfigError, os_error_text
from smg_gateway.settings.record import Settings

__all__ = (
    "is_disaggregated",
    "is_discovering",
    "is_header_name",
    "policies_in_use",
    "read_error",
    "require",
    "require_at_least",
    "require_positive",
)

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def require(holds: bool, field: str, value: object, reason: str) -> None:
    """Raise ConfigError with `reason` for `field` unless `holds`."""
    if not holds:
        raise ConfigError.value(field, value, reason)


def require_positive(field: str, value: int) -> None:
    """Raise ConfigError unless `value` is above zero."""
    require(value > 0, field, value, "Must be > 0")


def require_at_least(field: str, value: float, low: float, reason: str) -> None:
    """Raise ConfigError with `reason` unless `value` is finite and at least `low`."""
    require(math.isfinite(value) and value >= low, field, value, reason)


def is_header_name(name: str) -> bool:
    """Whether `name` is a token of HTTP, the only form a header name can have."""
    return _HEADER_NAME.fullmatch(name) is not None


def is_discovering(settings: Settings) -> bool:
    """Whether workers are to be found by a discovery provider."""
    return settings.service_discovery or settings.discovery_provider is not None


def is_disaggregated(settings: Settings) -> bool:
    """Whether requests are to be served by a prefill and a decode worker."""
    return settings.pd_disaggregation or settings.epd_disaggregation


def policies_in_use(settings: Settings) -> frozenset[str]:
    """Names of the policies that the mode of operation brings into play."""
    names = {settings.policy}
    if is_disaggregated(settings):
        names |= {settings.prefill_policy or settings.policy}
        names |= {settings.decode_policy or settings.policy}
    return frozenset(names)


def read_error(path: str) -> str | None:
    """Why the file at `path` cannot be read, None if it can."""
    try:
        with open(path, "rb") as stream:
            stream.read(1)
    except OSError as error:
        return os_error_text(error)
    return None
