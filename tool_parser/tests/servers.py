"""The parts of vLLM and SGLang that adapters stand on: the real ones if installed, else doubles.

The doubles are made from `data/servers.json`, which records the methods and the fields of the real
ones: a record refuses fields that the real one does not have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

RECORDED: Mapping[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "servers.json").read_text(encoding="utf-8")
)


def installed(server: str) -> bool:
    """Whether the real server can be imported."""
    return find_spec(server) is not None


class Record:
    """A value with named fields, as pydantic models are."""

    fields: Sequence[str] = ()

    def __init__(self, **values: Any) -> None:
        assert set(values) <= set(self.fields), f"{type(self).__name__} has only {self.fields}"
        for field in self.fields:
            default: Any = [] if field in {"tool_calls", "calls"} else None
            setattr(self, field, values.get(field, default))


def records(server: str) -> dict[str, type[Record]]:
    """The record classes of a server."""
    named: Mapping[str, list[str]] = RECORDED[server]["records"]
    return {name: type(name, (Record,), {"fields": fields}) for name, fields in named.items()}


class VllmToolParser:
    """As vLLM's abstract class, so far as adapters rely on it."""

    def __init__(self, tokenizer: Any, tools: list[Any] | None = None) -> None:
        self.model_tokenizer = tokenizer
        self.tools = tools or []

    def adjust_request(self, request: Any) -> Any:
        return request


class VllmToolParserManager:
    """Takes registrations as vLLM's does."""

    tool_parsers: ClassVar[dict[str, type[Any]]] = {}

    @classmethod
    def register_module(cls, name: str, force: bool = True, module: Any = None) -> None:
        assert force and issubclass(module, VllmToolParser)
        cls.tool_parsers[name] = module


class SglangDetector:
    """As SGLang's abstract class, so far as adapters rely on it."""


class SglangFunctionCallParser:
    """Takes registrations as SGLang's does."""

    ToolCallParserEnum: ClassVar[dict[str, type[Any]]] = {}


def vllm_doubles() -> dict[str, ModuleType]:
    """Modules by name."""
    return {
        "vllm.tool_parsers.abstract_tool_parser": _module(
            ToolParser=VllmToolParser,
            ToolParserManager=type(
                "ToolParserManager", (VllmToolParserManager,), {"tool_parsers": {}}
            ),
        ),
        "vllm.entrypoints.generate.base.protocol": _module(**records("vllm")),
    }


def sglang_doubles() -> dict[str, ModuleType]:
    """Modules by name."""
    parser = type("FunctionCallParser", (SglangFunctionCallParser,), {"ToolCallParserEnum": {}})
    return {
        "sglang.srt.function_call.base_format_detector": _module(BaseFormatDetector=SglangDetector),
        "sglang.srt.function_call.function_call_parser": _module(FunctionCallParser=parser),
        "sglang.srt.function_call.core_types": _module(**records("sglang")),
    }


def _module(**names: Any) -> ModuleType:
    made = ModuleType("double")
    made.__dict__.update(names)
    return made
