"""Registers all parsers with vLLM where it is imported: `--reasoning-parser-plugin` takes its name."""

from .vllm import register

__all__ = ()

register()
