"""Tokenizing and the parser routes: what validation reads of a request."""

from typing import Annotated

import msgspec

from smg_protocols.chat_tools import Tool
from smg_protocols.wire import U32, OneOf, StringOrArray

__all__ = (
    "DetokenizeRequest",
    "ParseFunctionCallRequest",
    "ParseReasoningRequest",
    "TokenizeRequest",
)


class TokenizeRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/tokenize."""

    model: str
    prompt: StringOrArray


class DetokenizeRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/detokenize with one list of token ids."""

    model: str
    tokens: Annotated[list[U32], OneOf("TokensInput", (list[U32], list[list[U32]]))]
    skip_special_tokens: bool = True


class DetokenizeBatchRequest(msgspec.Struct, frozen=True):
    """The same with several lists, which the decoder cannot tell apart."""

    model: str
    tokens: list[list[U32]]
    skip_special_tokens: bool = True


class ParseFunctionCallRequest(msgspec.Struct, frozen=True):
    """The body of POST /parse/function_call."""

    text: str
    tool_call_parser: str
    tools: list[Tool]


class ParseReasoningRequest(msgspec.Struct, frozen=True):
    """The body of POST /parse/reasoning."""

    text: str
    reasoning_parser: str
