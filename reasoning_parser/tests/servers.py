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
    """A value with named fields."""

    fields: Sequence[str] = ()

    def __init__(self, **values: Any) -> None:
        assert set(values) <= set(self.fields), f"{type(self).__name__} has only {self.fields}"
        for field in self.fields:
            setattr(self, field, values.get(field))


def records(server: str) -> dict[str, type[Record]]:
    """The record classes of a server."""
    named: Mapping[str, list[str]] = RECORDED[server]["records"]
    return {name: type(name, (Record,), {"fields": fields}) for name, fields in named.items()}


class VllmReasoningParser:
    """As vLLM's abstract class, so far as adapters rely on it."""

    def __init__(self, tokenizer: Any, *args: Any, **kwargs: Any) -> None:
        self.model_tokenizer = tokenizer


class VllmReasoningParserManager:
    """Takes registrations as vLLM's does."""

    reasoning_parsers: ClassVar[dict[str, type[Any]]] = {}

    @classmethod
    def register_module(cls, name: str, force: bool = True, module: Any = None) -> None:
        assert force and issubclass(module, VllmReasoningParser)
        cls.reasoning_parsers[name] = module


class SglangDetector:
    """As SGLang's base class, so far as adapters rely on it."""

    def __init__(
        self,
        think_start_token: str,
        think_end_token: str,
        force_reasoning: bool = False,
        stream_reasoning: bool = True,
        continue_final_message: bool = False,
        previous_content: str = "",
        force_nonempty_content: bool = False,
    ) -> None:
        self.think_start_token = think_start_token
        self.think_end_token = think_end_token
        self.stream_reasoning = stream_reasoning
        self._in_reasoning = force_reasoning
        self._force_nonempty_content = force_nonempty_content


class SglangReasoningParser:
    """Takes registrations as SGLang's does."""

    DetectorMap: ClassVar[dict[str, type[Any]]] = {}


def vllm_doubles() -> dict[str, ModuleType]:
    """Modules by name."""
    manager = type("Manager", (VllmReasoningParserManager,), {"reasoning_parsers": {}})
    return {
        "vllm.reasoning.abs_reasoning_parsers": _module(
            ReasoningParser=VllmReasoningParser, ReasoningParserManager=manager
        ),
        "vllm.entrypoints.generate.base.protocol": _module(**records("vllm")),
    }


def sglang_doubles() -> dict[str, ModuleType]:
    """Modules by name."""
    parser = type("ReasoningParser", (SglangReasoningParser,), {"DetectorMap": {}})
    return {
        "sglang.srt.parser.reasoning_parser": _module(
            BaseReasoningFormatDetector=SglangDetector, ReasoningParser=parser, **records("sglang")
        )
    }


def _module(**names: Any) -> ModuleType:
    made = ModuleType("double")
    made.__dict__.update(names)
    return made


class Characters:
    """A tokenizer to which every character is a token."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(char) for char in text]

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))
