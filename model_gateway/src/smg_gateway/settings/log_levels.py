"""Which severity is logged for which module."""

from __future__ import annotations

import logging
from collections.abc import Mapping

__all__ = ("LEVELS", "LogFilter")

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogFilter:
    """Level per module: the longest dotted prefix that is listed wins, else the default.

    Written as in `--log-filter warn,smg_gateway.upstream=debug`.
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
