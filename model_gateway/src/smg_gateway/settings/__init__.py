"""Settings of the gateway: one declaration each, and all that derives from it."""

from smg_gateway.settings.availability import check_available, ineffective, unavailable
from smg_gateway.settings.changes import Change, changes, needing_restart
from smg_gateway.settings.declaration import Declaration, Status
from smg_gateway.settings.errors import ConfigError, ErrorForm
from smg_gateway.settings.log_levels import LogFilter
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
from smg_gateway.settings.watch import FileWatch

__all__ = (
    "AVAILABLE_POLICIES",
    "BootstrapUrl",
    "Change",
    "ConfigError",
    "ControlPlaneKey",
    "Declaration",
    "ErrorForm",
    "FileWatch",
    "Launch",
    "LogFilter",
    "Origin",
    "QuickstartOptions",
    "Settings",
    "Source",
    "Status",
    "build_parser",
    "changes",
    "check_available",
    "declarations",
    "ineffective",
    "needing_restart",
    "parse_launch",
    "parse_quickstart",
    "read_launch",
    "unavailable",
    "validate",
)
