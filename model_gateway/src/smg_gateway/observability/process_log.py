"""The log of a whole process: standard error, and files where a directory is given."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from ..settings import LogFilter, Settings
from .logs import LogControl, configure_logging
from .metrics import Exposition
from .sinks import DailyFiles, LogSink, StreamDestination

FLUSH_S = 2.0
"""How long the last lines may take to be written when the process ends."""


class ProcessLog:
    """The log of the process: where it goes, and what about it can change."""

    def __init__(self, settings: Settings) -> None:
        self.sinks = [LogSink("smg-log-stderr", StreamDestination(sys.stderr))]
        if settings.log_dir is not None:
            self.sinks.append(LogSink("smg-log-file", _log_files(settings, settings.log_dir)))
        self._control: LogControl = configure_logging(
            _log_filter(settings),
            as_json=settings.log_json,
            colors=sys.stderr.isatty() and settings.log_dir is None,
            outputs=self.sinks,
            secrets=tuple(settings.secrets()),
        )

    def reconfigure(self, settings: Settings) -> None:
        """Other levels, and other secrets to hide."""
        self._control.set_filter(_log_filter(settings))
        self._control.hide(tuple(settings.secrets()))

    def watch(self, exposition: Exposition) -> None:
        """Show lines that could not be written among the metrics."""
        dropped = exposition.gauge(
            "smg_log_dropped_lines", "Log lines that were not written.", ("sink",)
        )

        def refresh() -> None:
            for sink in self.sinks:
                dropped.of(sink.name).set(sink.dropped_lines)

        exposition.on_scrape(refresh)

    def close(self) -> None:
        """Write what is left."""
        for sink in self.sinks:
            sink.close(FLUSH_S)


def _log_filter(settings: Settings) -> LogFilter:
    return LogFilter.parse(settings.log_filter, settings.log_level)


def _log_files(settings: Settings, directory: str) -> DailyFiles:
    return DailyFiles(
        Path(directory),
        max_bytes=settings.log_file_bytes,
        max_files=settings.log_files,
        today=lambda: datetime.now(UTC).date(),
    )
