"""The grammar engines that inference engines use, to ask what a constraint allows."""

from __future__ import annotations

import json
import sys
import types
import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest
from smg_tool_parser import Constraint


class _Anything(type):
    def __getattr__(cls, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __call__(cls, *args: object, **options: object) -> object:
        return cls


class _Placeholder(metaclass=_Anything):
    """Whatever is asked of it."""


class _TorchStandIn(types.ModuleType):
    """Enough of torch to import xgrammar, which needs its tensors for masks only."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Placeholder


@cache
def xgrammar() -> Any:
    """The package; skips the test where it is not installed."""
    for needed in ("tvm_ffi", "transformers"):
        pytest.importorskip(needed, reason="xgrammar needs it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if find_spec("torch") is not None:
            return pytest.importorskip("xgrammar", reason="asks the real compiler")
        sys.modules["torch"] = _TorchStandIn("torch")
        try:
            return pytest.importorskip("xgrammar", reason="asks the real compiler")
        finally:
            del sys.modules["torch"]


_EOS_ID = 256
_BYTES = [bytes([value]) for value in range(_EOS_ID)]


@cache
def _compiler() -> Any:
    package = xgrammar()
    vocabulary = package.TokenizerInfo(
        [*_BYTES, b"<eos>"],
        vocab_type=package.VocabType.RAW,
        vocab_size=_EOS_ID + 1,
        stop_token_ids=[_EOS_ID],
    )
    return package.GrammarCompiler(vocabulary)


def xgrammar_allows(constraint: Constraint, text: str) -> bool:
    """Whether `text` may be a whole output."""
    if constraint.type == "json_schema":
        compiled = _compiler().compile_json_schema(json.dumps(constraint.value))
    else:
        document = json.dumps({"type": "structural_tag", **constraint.value})
        compiled = _compiler().compile_structural_tag(document)
    matcher = xgrammar().GrammarMatcher(compiled)
    return bool(matcher.accept_string(text) and matcher.accept_token(_EOS_ID))


@cache
def _byte_tokenizer() -> Any:
    package = pytest.importorskip("llguidance", reason="asks the real compiler")

    class Vocabulary:
        eos_token_id = bos_token_id = _EOS_ID

        def __init__(self) -> None:
            self.tokens = [*_BYTES, b"<eos>"]
            self.special_token_ids = [_EOS_ID]

        def __call__(self, text: str) -> list[int]:
            return list(text.encode())

    wrapper = package.TokenizerWrapper(Vocabulary())
    return package.LLTokenizer(wrapper, n_vocab=_EOS_ID + 1)


def llguidance_allows(constraint: Constraint, text: str) -> bool:
    """Whether `text` may be a whole output."""
    tokenizer = _byte_tokenizer()
    package = pytest.importorskip("llguidance", reason="asks the real compiler")
    matcher = package.LLMatcher(
        tokenizer, package.LLMatcher.grammar_from_lark(constraint.as_lark())
    )
    assert not matcher.is_error(), matcher.get_error()
    tokens = list(text.encode())
    return bool(matcher.validate_tokens([*tokens, _EOS_ID]) == len(tokens) + 1)
