"""Which parser reads a model's output, by the model's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .registry import PASSTHROUGH, check_name

__all__ = ("call_ids_for", "choose_tool_parser", "tool_parser_for")

# Exact ids, compared as written.
_EXACT: Mapping[str, str] = {"hy_v4": "hy_v4"}

# Stems: where one occurs anywhere in an id, in any letter case, its parser is a candidate. The
# longest stem wins.
_STEMS: Mapping[str, tuple[str, ...]] = {
    "cohere": ("command-r", "command-r-plus", "command-a", "c4ai-command", "cohere", "cohereforai"),
    "deepseek": ("deepseek-v3", "deepseek-ai/deepseek-v3"),
    "deepseek31": (
        "deepseek-v3.1",
        "deepseek-ai/deepseek-v3.1",
        "deepseek-v3.2-exp",
        "deepseek-ai/deepseek-v3.2-exp",
    ),
    "deepseek32": ("deepseek-v3.2", "deepseek-ai/deepseek-v3.2"),
    "deepseek_v4": ("deepseek-v4", "deepseek-ai/deepseek-v4"),
    "deepseek_v41": (
        "deepseek-v4.1",
        "deepseek-v41",
        "deepseek_v41",
        "deepseek-ai/deepseek-v4.1",
        "deepseek-ai/deepseek-v41",
    ),
    "gemma4": ("gemma-4", "gemma4"),
    "glm45_moe": ("glm-4.5", "glm-4.6"),
    "glm47_moe": ("glm-4.7", "glm-5"),
    "hy_v4": ("hy4",),
    "inkling": ("inkling",),
    "json": (
        "gpt-4",
        "gpt-4o",
        "gpt-3.5",
        "claude-",
        "llama-",
        "meta-llama-",
        "glm-",
        "gemini-",
        "palm-",
        "gemma-",
    ),
    "kimi_k3": ("kimi-k3", "kimi_k3"),
    "kimik2": ("kimi-k2",),
    "llama": ("llama-3.2", "meta-llama-3.2"),
    "minimax_m2": ("minimax",),
    "minimax_m3": ("minimax-m3", "minimaxai/minimax-m3", "mm-m3"),
    "mistral": ("mistral-", "mixtral-"),
    "pythonic": ("llama-4", "meta-llama-4", "deepseek-"),
    "qwen": ("qwen",),
    "qwen_xml": (
        "qwen3.5",
        "qwen3.6",
        "qwen3.8",
        "qwen3-coder",
        "qwen/qwen3.5",
        "qwen/qwen3.6",
        "qwen/qwen3.8",
        "qwen/qwen3-coder",
        "nemotron-3",
    ),
    "sarashina": ("sarashina",),
    "step3": ("step3", "step-3"),
}


def tool_parser_for(model: str) -> str:
    """The parser's name for a model id; `passthrough` where none is known."""
    exact = _EXACT.get(model)
    if exact is not None:
        return exact
    lowered = model.lower()
    name, longest = PASSTHROUGH, 0
    for parser, stems in _STEMS.items():
        for stem in stems:
            if len(stem) > longest and stem in lowered:
                name, longest = parser, len(stem)
    return name


def choose_tool_parser(
    model: str, *, cards: Iterable[str | None] = (), configured: str | None = None
) -> str:
    """The parser's name for a model: by its model cards, else as configured, else by its id.

    `cards` holds what each worker of the model says; the alphabetically first name wins, None and
    "" say nothing. Raises ParserUnknown if the chosen name is none.
    """
    named = min((card for card in cards if card), default=None) or configured
    return check_name(named) if named else tool_parser_for(model)


def call_ids_for(model: str, calls_before: int = 0) -> Callable[[int, str], str] | None:
    """How the calls of a model are named, for `create_parser`; None for random ids.

    The Kimi models expect ids made of a function's name and the number of the call in the whole
    conversation, of which `calls_before` are in its history.
    """
    lowered = model.lower()
    if "kimi" not in lowered:
        return None
    if "k3" in lowered:
        return lambda index, name: f"{name}_{calls_before + index}"
    return lambda index, name: f"functions.{name}:{calls_before + index}"
