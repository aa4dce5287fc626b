"""Which parser reads a model's output, by what is configured and by the model's name."""

from collections.abc import Iterable

from .errors import ParserUnknown
from .parsing import PARSER_NAMES

# In order: the first pattern that occurs in the lower-cased model id decides.
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("deepseek-r1", "deepseek_r1"),
    ("deepseek-v4.1", "deepseek_v41"),
    ("deepseek-v41", "deepseek_v41"),
    ("deepseek_v41", "deepseek_v41"),
    ("deepseek-v4", "deepseek_v4"),
    ("deepseek_v4", "deepseek_v4"),
    ("deepseek-v3.1", "deepseek_v31"),
    ("deepseek-v3-1", "deepseek_v31"),
    ("qwen3-thinking", "qwen3_thinking"),
    ("qwen-thinking", "qwen3_thinking"),
    ("qwen3", "qwen3"),
    ("qwen", "qwen3"),
    ("glm45", "glm45"),
    ("glm47", "glm45"),
    ("glm-5", "glm45"),
    ("kimi-k2-thinking", "kimi_thinking"),
    ("kimi-k2.5", "kimi_k25"),
    ("kimi-k3", "kimi_k3"),
    ("kimi_k3", "kimi_k3"),
    ("kimi", "kimi"),
    ("step3", "step3"),
    ("minimax-m3", "minimax_m3"),
    ("mm-m3", "minimax_m3"),
    ("minimax", "minimax"),
    ("mm-m2", "minimax"),
    ("command-r", "cohere_cmd"),
    ("command-a", "cohere_cmd"),
    ("c4ai-command", "cohere_cmd"),
    ("cohere", "cohere_cmd"),
    ("nemotron-nano", "nano_v3"),
    ("nemotron-super", "nano_v3"),
    ("nano-v3", "nano_v3"),
    ("nemotron-3", "nano_v3"),
    ("inkling", "inkling"),
    ("gemma-4", "gemma4"),
    ("gemma4", "gemma4"),
    ("hy_v4", "hy_v4"),
    ("hy4", "hy_v4"),
)


def reasoning_parser_for(model: str) -> str:
    """The name of the parser that a model id asks for by itself; `passthrough` if none."""
    lowered = model.lower()
    for pattern, name in _PATTERNS:
        if pattern in lowered:
            return name
    return "passthrough"


def resolve_parser(
    model: str, *, card_names: Iterable[str | None] = (), configured: str | None = None
) -> str:
    """The name of the parser to use for a model.

    The model's cards decide first (of several names the alphabetically first), then the configured
    name, then the model id. Raises `ParserUnknown` when the deciding name is none of ours.
    """
    named = sorted(name for name in card_names if name)
    chosen = named[0] if named else configured
    if not chosen:
        return reasoning_parser_for(model)
    if chosen not in PARSER_NAMES:
        raise ParserUnknown(chosen)
    return chosen
