"""Turning arguments written as text into JSON, by declared type or by their looks.

Each format has rules of its own; a rule is a function from text and declared type to JSON text.
JSON text that was written by the model is passed on as written: exact numbers, no recursion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring

from .json_stream import is_json
from .tape import WHITESPACE
from .tools import all_types

__all__ = (
    "bare_json",
    "glm_json",
    "minimax_json",
    "quote",
    "qwen_json",
    "step_json",
    "text_json",
    "unescape",
    "union_json",
)

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_JSON_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ENTITY = re.compile(r"&(lt|gt|amp|quot|apos);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}

_BOOLEANS = {"true": "true", "false": "false", "True": "true", "False": "false"}
_PYTHON_NAMES = {"True": "true", "False": "false", "None": "null"}
_NULLS = {"null": "null", "None": "null"}

quote = encode_basestring
"""A text as a JSON string. Characters beyond ASCII stay as they are."""


def unescape(text: str) -> str:
    """Decodes the five entities of XML."""
    return _ENTITY.sub(lambda found: _ENTITIES[found.group(1)], text) if "&" in text else text


def text_json(text: str) -> str | None:
    """`text`, trimmed, if it is JSON; else None. A number must fit a double."""
    text = text.strip(WHITESPACE)
    if not is_json(text):
        return None
    if _JSON_NUMBER.fullmatch(text) and not _JSON_INTEGER.fullmatch(text):
        return text if math.isfinite(float(text)) else None
    return text


def _int64(text: str) -> str | None:
    """A decimal of 64 bits; leading zeros and a sign are fine."""
    if _INTEGER.fullmatch(text) is None:
        return None
    digits = text.lstrip("+-").lstrip("0") or "0"
    # Longer ones would not fit, and converting them is slow.
    if len(digits) > 19:
        return None
    value = -int(digits) if text[0] == "-" else int(digits)
    return str(value) if -(2**63) <= value < 2**63 else None


def _float(text: str) -> str | None:
    if _FLOAT.fullmatch(text) is None:
        return None
    value = float(text)
    return repr(value) if math.isfinite(value) else None


def _number(text: str) -> str | None:
    text = text.strip(WHITESPACE)
    return text_json(text) if _JSON_NUMBER.fullmatch(text) else None


def _string(text: str) -> str:
    """A string argument; one that is written as a JSON string loses its quotes."""
    if len(text) > 1 and text[0] == text[-1] == '"' and is_json(text):
        return text
    return quote(text)


def _declared(text: str, declared: str | None) -> str | None:
    """What the declared type makes of a trimmed text; None if it does not fit."""
    if declared == "integer":
        return _int64(text)
    if declared == "number":
        return _number(text)
    if declared == "boolean":
        return _BOOLEANS.get(text)
    if declared in {"object", "array"}:
        return text_json(text)
    return None


def _first(candidates: Iterable[str | None], text: str) -> str:
    for candidate in candidates:
        if candidate is not None:
            return candidate
    return quote(text)


def glm_json(text: str, declared: str | None) -> str:
    """glm45_moe, glm47_moe."""
    if declared == "string":
        return _string(text)
    text = text.strip(WHITESPACE)
    return _first(
        (
            _declared(text, declared),
            text_json(text),
            _PYTHON_NAMES.get(text),
            _int64(text),
            _float(text),
        ),
        text,
    )


def qwen_json(text: str, declared: str | None) -> str:
    """qwen_xml."""
    text = text.strip(WHITESPACE)
    if declared == "string":
        return _string(text)
    return _first((_declared(text, declared), text_json(text), _PYTHON_NAMES.get(text)), text)


def minimax_json(text: str, declared: str | None) -> str:
    """minimax_m2 and the leaves of minimax_m3."""
    if declared == "string":
        return _string(text)
    return _first(
        (
            _declared(text, declared),
            _BOOLEANS.get(text),
            _NULLS.get(text),
            _int64(text),
            _float(text),
        ),
        text,
    )


def step_json(text: str) -> str:
    """step3: JSON, Python's names for constants, numbers; the schema does not matter."""
    return _first((text_json(text), _PYTHON_NAMES.get(text), _int64(text), _float(text)), text)


def union_json(text: str, schema: Mapping[str, object]) -> str:
    """hy_v4: the types other than string that the schema allows, if the text is exactly that."""
    types = all_types(schema)
    inner = text.strip(WHITESPACE)
    lowered = inner.lower()
    if "integer" in types and _JSON_INTEGER.fullmatch(inner):
        return inner
    if "number" in types and (number := _number(inner)) is not None:
        return number
    if "boolean" in types and lowered in {"true", "false"}:
        return lowered
    if "null" in types and inner == "null":
        return inner
    if {"{": "object", "[": "array"}.get(inner[:1]) in types and is_json(inner):
        return inner
    return quote(text)


def bare_json(text: str, schema: Mapping[str, object]) -> str:
    """gemma4: a value without quotes, by the types of `type` and `anyOf`; else it is text."""
    types = all_types({"type": schema.get("type"), "anyOf": schema.get("anyOf")})
    if "integer" in types and (integer := _int64(text)) is not None:
        return integer
    if "number" in types and (number := _number(text)) is not None:
        return number
    if "boolean" in types and text in {"true", "false"}:
        return text
    if "null" in types and text == "null":
        return text
    return quote(text)
