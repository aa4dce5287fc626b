"""The markers of each format as plain text, for servers that want to know them."""

from collections.abc import Mapping

from ..errors import ParserUnknown
from ..parsing import PARSER_NAMES

__all__ = ("Markers", "markers_of", "reasoning_open")

Markers = tuple[str, str]
"""What begins reasoning and what ends it; both empty where a format has none."""

_THINK: Markers = ("<think>", "</think>")
_OTHERS: Mapping[str, Markers] = {
    "cohere_cmd": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "gemma4": ("<|channel>thought\n", "<channel|>"),
    "inkling": ("<|content_thinking|>", "<|end_message|>"),
    "kimi": ("◁think▷", "◁/think▷"),
    "kimi_k3": ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    "minimax_m3": ("<mm:think>", "</mm:think>"),
    "passthrough": ("", ""),
}


def markers_of(name: str) -> Markers:
    """The usual markers of the parser `name`. Raises `ParserUnknown`."""
    if name not in PARSER_NAMES:
        raise ParserUnknown(name)
    return _OTHERS.get(name, _THINK)


def reasoning_open(name: str, prompt: str) -> bool | None:
    """Whether a prompt ends inside reasoning (True), just behind it (False), or neither (None).

    Reasoning of earlier turns says nothing: an end marker counts only with nothing but white
    space behind it. Raises `ParserUnknown`.
    """
    start, end = markers_of(name)
    if not start:
        return None
    started, ended = prompt.rfind(start.rstrip()), prompt.rfind(end)
    if started > ended:
        return True
    return None if ended < 0 or prompt[ended + len(end) :].strip() else False
