"""Structured logs: text or JSON lines, with levels per module."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogFilter:
    """Level per module: the longest dotted prefix that is listed wins, else the default.

    Written as in `SMG_LOG=warn,smg_gateway.upstream=debug`.
    """

    def __init__(self, default: int, modules: Mapping[str, int]) -> None:
        self.default = default
        self.modules = dict(modules)

    @classmethod
    def parse(cls, text: str, default: str) -> LogFilter:
        """Raises ValueError for an unknown level."""
        level = LEVELS[default]
        modules: dict[str, int] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, _, value = part.rpartition("=")
            if value.lower() not in LEVELS:
                raise ValueError(f"unknown log level {value!r}; known: {', '.join(LEVELS)}")
            if name:
                modules[name] = LEVELS[value.lower()]
            else:
                level = LEVELS[value.lower()]
        return cls(level, modules)

    def level_for(self, module: str) -> int:
        """The threshold of a module."""
        name = module
        while name:
            if name in self.modules:
                return self.modules[name]
            name = name.rpartition(".")[0]
        return self.default

    @property
    def lowest(self) -> int:
        """The threshold below which nothing is ever written."""
        return min((self.default, *self.modules.values()))


class _ModuleGate:
    """Drops events below their module's threshold."""

    def __init__(self, log_filter: LogFilter) -> None:
        self._filter = log_filter

    def __call__(
        self, logger: object, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        level = LEVELS.get(method, logging.INFO)
        if level < self._filter.level_for(event.get("module", "")):
            raise structlog.DropEvent
        return event


def configure_logging(log_filter: LogFilter, *, as_json: bool, stream: TextIO = sys.stderr) -> None:
    """Set up structlog for this process; only programs call this, embedders keep their own."""
    processors: list[structlog.typing.Processor] = [_ModuleGate(log_filter)]
    processors += [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if as_json:
        processors.append(structlog.processors.JSONRenderer())
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=stream.isatty()))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(log_filter.lowest),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def get_logger(module: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=module)
    return logger
