"""An LLM inference gateway: one endpoint in front of many workers.

`create_app(Settings(...))` makes a gateway as an ASGI application; the `smg` command runs one as a
server of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .app import Gateway, create_app
    from .settings import ConfigError, Settings, validate

__all__ = ("ConfigError", "Gateway", "Settings", "create_app", "validate")

_HOMES = {
    "ConfigError": ".settings",
    "Gateway": ".app",
    "Settings": ".settings",
    "create_app": ".app",
    "validate": ".settings",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that `smg --help` and `smg --version` import no web framework.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home, __name__), name)
