"""Settings of the gateway: one declaration each, and all that derives from it."""

from smg_gateway.settings.availability import check_available, ineffective, unavailable
from smg_gateway.settings.declaration import Declaration, Status
from smg_gateway.settings.errors import ConfigError, ErrorForm
from smg_gateway.settings.quickstart import QuickstartOptions, parse_quickstart
from smg_gateway.settings.reader import (
    Launch,
    Origin,
    Source,
    build_parser,
    parse_launch,
    read_launch,
)
from smg_gateway.settings.record import Settings, declarations
from smg_gateway.settings.routing import AVAILABLE_POLICIES
from smg_gateway.settings.shapes import BootstrapUrl, ControlPlaneKey
from smg_gateway.settings.validation import validate

__all__ = (
    "AVAILABLE_POLICIES",
    "BootstrapUrl",
    "ConfigError",
    "ControlPlaneKey",
    "Declaration",
    "ErrorForm",
    "Launch",
    "Origin",
    "QuickstartOptions",
    "Settings",
    "Source",
    "Status",
    "build_parser",
    "check_available",
    "declarations",
    "ineffective",
    "parse_launch",
    "parse_quickstart",
    "read_launch",
    "unavailable",
    "validate",
)
