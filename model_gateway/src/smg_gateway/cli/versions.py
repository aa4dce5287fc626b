"""What `smg --version` and `smg --version-verbose` print."""

from __future__ import annotations

import platform
from importlib.metadata import version

__all__ = ("COMPATIBILITY_BASELINE", "verbose_version_text", "version_text")

COMPATIBILITY_BASELINE = "1.13.0"


def version_text() -> str:
    """One line: the command and its version."""
    return f"smg {version('smg-gateway')}"


def verbose_version_text() -> str:
    """Several lines: version, compatibility baseline, interpreter and platform."""
    return "\n".join((
        version_text(),
        f"compatible with SMG {COMPATIBILITY_BASELINE}",
        f"Python {platform.python_version()} ({platform.python_implementation()})",
        f"{platform.system()} {platform.machine()}",
    ))
