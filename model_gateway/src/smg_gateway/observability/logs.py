"""Structured logs: text or JSON lines, with levels per module that can change at any time."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Sequence
from typing import Any, Protocol, TextIO

import structlog

from ..settings import LogFilter
from .lines import JsonLines, TextLines, Timestamps

__all__ = ("LogControl", "LogFilter", "Output", "configure_logging", "get_logger")

MASK = "***"
SHORTEST_MASKED = 6
"""Shorter secrets are not searched for in lines: they would occur by chance."""


class LogControl:
    """What about the log can change while it is written: levels, and the secrets to hide."""

    def __init__(self, log_filter: LogFilter, secrets: Collection[str] = ()) -> None:
        self._filter = log_filter
        self._levels: dict[str, int] = {}
        self._secrets: tuple[str, ...] = ()
        self.hide(secrets)

    def set_filter(self, log_filter: LogFilter) -> None:
        """Other levels from now on."""
        self._filter, self._levels = log_filter, {}

    def hide(self, secrets: Collection[str]) -> None:
        """Replace these texts wherever a line would show them."""
        found = [secret for secret in secrets if len(secret) >= SHORTEST_MASKED]
        escaped = [json.dumps(secret)[1:-1] for secret in found]
        # A longer one first: it may contain a shorter one.
        self._secrets = tuple(sorted({*found, *escaped}, key=len, reverse=True))

    def level_for(self, module: str) -> int:
        """The threshold of a module."""
        level = self._levels.get(module)
        if level is None:
            level = self._levels[module] = self._filter.level_for(module)
        return level

    def mask(self, logger: object, method: str, line: str) -> str:
        """A processor for the finished line."""
        for secret in self._secrets:
            if secret in line:
                line = line.replace(secret, MASK)
        return line


class Output(Protocol):
    """Takes finished lines."""

    def write_line(self, line: str) -> None:
        """Write, or pass on, one line without its end; must not block."""
        ...


class _Lines:
    """What structlog calls with a finished line, whatever its level."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs

    def msg(self, line: str) -> None:
        for output in self._outputs:
            output.write_line(line)

    debug = info = warning = error = msg


class _LinesFactory:
    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs

    def __call__(self, *args: object) -> _Lines:
        return _Lines(self._outputs)


class _Direct:
    """Writes to a stream at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write_line(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def configure_logging(
    log_filter: LogFilter,
    *,
    as_json: bool,
    stream: TextIO = sys.stderr,
    colors: bool | None = None,
    outputs: Sequence[Output] | None = None,
    secrets: Collection[str] = (),
) -> LogControl:
    """Set up structlog for this process; only programs call this, embedders keep their own.

    Lines go to `outputs`, else at once to `stream`, with `colors` where that is a terminal. The result changes levels later on.
    """
    control = LogControl(log_filter, secrets)
    shows_colors = stream.isatty() if colors is None else colors
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        Timestamps(),
        structlog.processors.format_exc_info,
    ]
    if as_json:
        processors.append(JsonLines())
    elif shows_colors:
        processors.append(structlog.dev.ConsoleRenderer())
    else:
        processors.append(TextLines())
    processors.append(control.mask)  # type: ignore[arg-type]
    structlog.configure(
        processors=processors,
        wrapper_class=_logger_class(control),
        logger_factory=_LinesFactory([_Direct(stream)] if outputs is None else outputs),
        cache_logger_on_first_use=True,
    )
    return control


def _logger_class(control: LogControl) -> type[structlog.BoundLoggerBase]:
    """A logger that asks `control` for its level each time; structlog's own fix theirs."""

    class ModuleLogger(structlog.BoundLoggerBase):
        def is_enabled_for(self, level: int) -> bool:
            return level >= control.level_for(self._context.get("module", ""))

        def debug(self, event: str, **fields: Any) -> None:
            if self.is_enabled_for(logging.DEBUG):
                self._proxy_to_logger("debug", event, **fields)

        def info(self, event: str, **fields: Any) -> None:
            if self.is_enabled_for(logging.INFO):
                self._proxy_to_logger("info", event, **fields)

        def warning(self, event: str, **fields: Any) -> None:
            if self.is_enabled_for(logging.WARNING):
                self._proxy_to_logger("warning", event, **fields)

        def error(self, event: str, **fields: Any) -> None:
            if self.is_enabled_for(logging.ERROR):
                self._proxy_to_logger("error", event, **fields)

    return ModuleLogger


def get_logger(module: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=module)
    return logger
