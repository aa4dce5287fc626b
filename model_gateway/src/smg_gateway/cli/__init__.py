"""The `smg` command."""

from smg_gateway.cli.program import main

__all__ = ("main",)
