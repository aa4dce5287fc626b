"""Which table reads a model's output, by the names that are configured and by the model's name."""

from __future__ import annotations

from collections.abc import Mapping

from .models import MODELS
from .parser import TABLE_NAMES

__all__ = ("table_for", "table_named")

# Names of other parsers that mean a table.
_NAMES: Mapping[str, str] = {
    "qwen": "qwen3",
    "qwen_xml": "qwen3_tagged",
    "qwen_coder": "qwen3_tagged",
    "nemotron": "qwen3_tagged",
    "glm45_moe": "glm4",
    "glm47_moe": "glm",
    "deepseek_v41": "deepseek_v4.1",
    "hy_v4": "hy4",
}


def table_named(name: str) -> str | None:
    """The table that a configured parser name means; None if it means another kind of parser."""
    return name if name in TABLE_NAMES else _NAMES.get(name)


def table_for(model: str) -> str | None:
    """The table of a model that is known by name; None if it is not."""
    last = model.rsplit("/", 1)[-1].lower()
    return next((table for table, models in MODELS.items() if last in models), None)
