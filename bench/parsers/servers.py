"""Loads the parsers of vLLM and SGLang from their unpacked wheels, without what they run models with."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import stand_ins

# Imported at load time by one or the other, and needed by no parser.
_MISSING = (
    *("torch", "torchvision", "torchaudio", "triton", "xgrammar", "vllm._C", "mistral_common"),
    *("openai_harmony", "llguidance", "outlines", "outlines_core", "depyf", "compressed_tensors"),
    *("cv2", "ray", "flashinfer", "numba", "ijson", "av", "scipy", "pynvml"),
    *("sgl_kernel", "zmq", "IPython", "decord", "kernels"),
)
# Parts of the servers that set up devices and models where they are imported.
_NOT_LOADED = (
    *("vllm.distributed", "vllm.model_executor", "vllm.platforms", "vllm.compilation"),
    *("vllm.config", "vllm.multimodal"),
    *("sglang.srt.layers", "sglang.srt.distributed", "sglang.srt.platforms", "sglang.kernels"),
)


def load(folders: Sequence[Path]) -> None:
    """Makes `vllm` and `sglang` importable from folders that hold their packages."""
    sys.path[:0] = [str(folder) for folder in folders]
    stand_ins.put_in(_MISSING, _NOT_LOADED)
    logging.disable(logging.CRITICAL)


def vllm_request(tools: Sequence[Any]) -> Any:
    """A chat completion request of vLLM's."""
    protocol = import_module("vllm.entrypoints.openai.chat_completion.protocol")
    messages = [{"role": "user", "content": "Hello"}]
    return protocol.ChatCompletionRequest(model="m", messages=messages, tools=list(tools) or None)


def vllm_tool_parser(name: str) -> type[Any]:
    """vLLM's class for one of its tool-parser names. Raises KeyError."""
    manager: Any = import_module("vllm.tool_parsers").ToolParserManager
    found: type[Any] = manager.get_tool_parser(name)
    return found


def vllm_reasoning_parser(name: str) -> type[Any]:
    """vLLM's class for one of its reasoning-parser names. Raises KeyError."""
    manager: Any = import_module("vllm.reasoning").ReasoningParserManager
    found: type[Any] = manager.get_reasoning_parser(name)
    return found


def vllm_serving_parser(tool: type[Any] | None, reasoning: type[Any] | None = None) -> type[Any]:
    """The class that vLLM's server composes of a tool parser and a reasoning parser."""
    base = import_module("vllm.parser.abstract_parser").DelegatingParser
    return type("Composed", (base,), {"tool_parser_cls": tool, "reasoning_parser_cls": reasoning})


def sglang_tools(tools: Sequence[Any]) -> list[Any]:
    """Tools as SGLang's models."""
    model = import_module("sglang.srt.entrypoints.openai.protocol").Tool
    return [model(**tool) for tool in tools]


def sglang_detector(name: str) -> type[Any]:
    """SGLang's detector class for one of its tool-parser names. Raises KeyError."""
    parser: Any = import_module("sglang.srt.function_call.function_call_parser").FunctionCallParser
    found: type[Any] = parser.ToolCallParserEnum[name]
    return found


def sglang_reasoning_detector(name: str) -> type[Any]:
    """SGLang's detector class for one of its reasoning-parser names. Raises KeyError."""
    parser: Any = import_module("sglang.srt.parser.reasoning_parser").ReasoningParser
    found: type[Any] = parser.DetectorMap[name]
    return found
