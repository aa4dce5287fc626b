"""The parsers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .families.blocks import glm45, glm47, kimi_k3, minimax_m2, step3
from .families.elements import minimax_m3
from .families.frames import inkling
from .families.gemma import gemma4
from .families.json_values import cohere, json_anywhere, llama, mistral, qwen
from .families.marked_json import DEEPSEEK, DEEPSEEK31, KIMI_K2
from .families.python_calls import pythonic, sarashina
from .families.tagged import DEEPSEEK32, DEEPSEEK_V4, DEEPSEEK_V41, hy_v4, qwen_xml
from .scanning import rest
from .tape import Grammar, Style, Tape

__all__ = ("PASSTHROUGH", "Family", "ParserUnknown", "check_name", "family", "parser_names")

PASSTHROUGH = "passthrough"


class ParserUnknown(ValueError):
    """No parser has this name, which is in `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown tool parser: {name}")
        self.name = name


class Family:
    """A grammar and what its outputs do with text."""

    __slots__ = ("grammar", "style")

    def __init__(self, grammar: Callable[[Tape], Grammar], style: Style) -> None:
        self.grammar = grammar
        self.style = style


def _passthrough(tape: Tape) -> Grammar:
    yield from rest(tape, tape.text)


_EVERYWHERE = Style()
_BEFORE_CALLS = Style(text_after_calls=False)
_BROKEN_VANISHES = Style(text_after_calls=False, broken_is_text=False)
_TRIMMED = Style(trimmed=True)

_QWEN_XML = Family(qwen_xml, _BEFORE_CALLS)

_FAMILIES: Mapping[str, Family] = {
    "cohere": Family(cohere, _TRIMMED),
    "deepseek": Family(DEEPSEEK, _BEFORE_CALLS),
    "deepseek31": Family(DEEPSEEK31, _BEFORE_CALLS),
    "deepseek32": Family(DEEPSEEK32, _BROKEN_VANISHES),
    "deepseek_v4": Family(DEEPSEEK_V4, _BROKEN_VANISHES),
    "deepseek_v41": Family(DEEPSEEK_V41, _BROKEN_VANISHES),
    "gemma4": Family(gemma4, _EVERYWHERE),
    "glm45_moe": Family(glm45, _BEFORE_CALLS),
    "glm47_moe": Family(glm47, _BEFORE_CALLS),
    "hy_v4": Family(hy_v4, _EVERYWHERE),
    "inkling": Family(inkling, Style(broken_is_text=False)),
    "json": Family(json_anywhere, _EVERYWHERE),
    "kimi_k3": Family(kimi_k3, _BROKEN_VANISHES),
    "kimik2": Family(KIMI_K2, _BEFORE_CALLS),
    "llama": Family(llama, Style(broken_beside_calls=False)),
    "minimax_m2": Family(minimax_m2, _BEFORE_CALLS),
    "minimax_m3": Family(minimax_m3, _BEFORE_CALLS),
    "mistral": Family(mistral, _BEFORE_CALLS),
    "nemotron": _QWEN_XML,
    PASSTHROUGH: Family(_passthrough, _EVERYWHERE),
    "pythonic": Family(pythonic, _EVERYWHERE),
    "qwen": Family(qwen, _BEFORE_CALLS),
    "qwen_coder": _QWEN_XML,
    "qwen_xml": _QWEN_XML,
    "sarashina": Family(sarashina, _TRIMMED),
    "step3": Family(step3, _BEFORE_CALLS),
}


def parser_names() -> tuple[str, ...]:
    """The names that `create_parser` knows, sorted. `qwen_coder` and `nemotron` are `qwen_xml`."""
    return tuple(sorted(_FAMILIES))


def check_name(name: str) -> str:
    """Returns `name` if it is a parser's. Raises ParserUnknown."""
    family(name)
    return name


def family(name: str) -> Family:
    """What a parser is made of. Raises ParserUnknown."""
    found = _FAMILIES.get(name)
    if found is None:
        raise ParserUnknown(name)
    return found
