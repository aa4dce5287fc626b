"""Which models are rendered by code, by what their config.json says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from .contract import ChatRenderer, JsonObject
from .deepseek_v4 import DeepSeekV4Renderer, DeepSeekV41Renderer
from .deepseek_v32 import DeepSeekV32Renderer
from .kimi_k3 import KimiK3Renderer
from .kimi_k25 import KimiK25Renderer

__all__ = ("native_renderer",)

_HUGGINGFACE: Mapping[str, Callable[[], ChatRenderer]] = {
    "DeepseekV32ForCausalLM": DeepSeekV32Renderer,
    "DeepseekV4ForCausalLM": DeepSeekV4Renderer,
    "DeepseekV41ForCausalLM": DeepSeekV41Renderer,
}
_K3 = ("KimiK3ForConditionalGeneration", "kimi_k3")
_K25 = ("KimiK25ForConditionalGeneration", "kimi_k25")


def native_renderer(
    config: JsonObject,
    backend: Literal["huggingface", "tiktoken"],
    template: ChatRenderer | None,
) -> ChatRenderer | None:
    """The renderer for the model that `config` describes, None if its template does the work.

    `template` is what Kimi K2.5 is rendered with once its tools are declared.
    """
    listed = config.get("architectures")
    names = listed if isinstance(listed, list) else []
    if backend == "huggingface":
        for name in names:
            if isinstance(name, str) and name in _HUGGINGFACE:
                return _HUGGINGFACE[name]()
        return None
    kinds = {_K3[0], _K25[0]}
    named = [name for name in names if isinstance(name, str) and name in kinds]
    kind = named[0] if named else config.get("model_type")
    if kind in _K3:
        return KimiK3Renderer()
    if kind in _K25 and template is not None:
        return KimiK25Renderer(template)
    return None
