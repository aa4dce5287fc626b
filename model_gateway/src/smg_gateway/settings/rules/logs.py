"""What is logged, and how much of it is kept."""

from __future__ import annotations

from smg_gateway.settings.log_levels import LogFilter
from smg_gateway.settings.record import Settings
from smg_gateway.settings.rules.conditions import require, require_positive

__all__ = ("check_logs",)

SMALLEST_FILE_BYTES = 4096


def check_logs(settings: Settings) -> None:
    """Levels that exist, and files that can hold something."""
    try:
        LogFilter.parse(settings.log_filter, settings.log_level)
    except ValueError as error:
        require(False, "log_filter", settings.log_filter, str(error))
    require_positive("log_files", settings.log_files)
    size_bytes = settings.log_file_bytes
    reason = f"Must be at least {SMALLEST_FILE_BYTES}"
    require(size_bytes >= SMALLEST_FILE_BYTES, "log_file_bytes", size_bytes, reason)
