"""What each dialect does with its request type: one record per dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec

from smg_protocols import (
    chat,
    completions,
    generate,
    interactions,
    messages,
    realtime,
    responses,
    scoring,
    tokens,
)
from smg_protocols.dialect import Dialect
from smg_protocols.faults import Broken

__all__ = ("CONTRACTS", "Contract")

Decode = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Contract:
    """How one dialect is decoded, checked and looked at.

    `decoders` are tried in order, each with a type that accepts nothing but good bodies.
    `second_look` says that a decoded request must still be diagnosed; it may be wrong in that
    direction only. `combination` finds the first broken rule across fields. `plain` is true for
    routes whose errors are plain text.
    """

    declaration: type[msgspec.Struct]
    decoders: tuple[Decode, ...]
    text: Callable[[Any], str]
    plain: bool = False
    second_look: Callable[[Any], bool] | None = None
    combination: Callable[[Any], Broken | None] | None = None
    choices: Callable[[Any], int] | None = None
    token_ids: Callable[[Any], list[int] | None] | None = None


def _contract(*types: type[msgspec.Struct], **parts: Any) -> Contract:
    decoders = tuple(msgspec.json.Decoder(each).decode for each in types)
    return Contract(types[0], decoders, **parts)


def _ruled(combination: Callable[[Any], Broken | None]) -> dict[str, Any]:
    """Return the parts of a contract whose only rules are across fields."""
    return {
        "combination": combination,
        "second_look": lambda request: combination(request) is not None,
    }


def _no_text(request: object) -> str:
    return ""


CONTRACTS: Final[Mapping[Dialect, Contract]] = MappingProxyType({
    Dialect.CHAT: _contract(
        chat.ChatCompletionRequest,
        text=chat.routing_text,
        second_look=chat.needs_second_look,
        combination=chat.broken_combination,
        choices=chat.choices_of,
    ),
    Dialect.COMPLETIONS: _contract(
        completions.CompletionRequest,
        text=completions.routing_text,
        second_look=completions.needs_second_look,
        combination=completions.broken_combination,
        choices=completions.choices_of,
    ),
    Dialect.GENERATE: _contract(
        generate.GenerateRequest,
        generate.GenerateBatchRequest,
        text=generate.routing_text,
        plain=True,
        choices=generate.choices_of,
        token_ids=generate.token_ids_of,
    ),
    Dialect.RESPONSES: _contract(
        responses.ResponsesRequest,
        text=responses.routing_text,
        second_look=responses.needs_second_look,
        combination=responses.broken_combination,
    ),
    Dialect.MESSAGES: _contract(
        messages.CreateMessageRequest,
        text=messages.routing_text,
        second_look=messages.needs_second_look,
        combination=messages.broken_combination,
    ),
    Dialect.COUNT_TOKENS: _contract(
        messages.CountTokensRequest,
        text=messages.routing_text,
        second_look=messages.has_unknown_tool,
    ),
    Dialect.EMBEDDINGS: _contract(scoring.EmbeddingRequest, text=scoring.input_text, plain=True),
    Dialect.CLASSIFY: _contract(scoring.ClassifyRequest, text=scoring.input_text, plain=True),
    Dialect.RERANK: _contract(
        scoring.RerankRequest, text=scoring.query_text, second_look=scoring.needs_second_look
    ),
    Dialect.V1_RERANK: _contract(scoring.V1RerankRequest, text=scoring.query_text, plain=True),
    # The input of interactions has forms that only the diagnosis tells apart.
    Dialect.INTERACTIONS: Contract(
        interactions.InteractionsRequest,
        (),
        text=interactions.routing_text,
        combination=interactions.broken_combination,
    ),
    Dialect.REALTIME_SESSIONS: _contract(
        realtime.SessionRequest, text=_no_text, **_ruled(realtime.broken_session)
    ),
    Dialect.REALTIME_TRANSCRIPTION_SESSIONS: _contract(
        realtime.TranscriptionSessionRequest, text=_no_text, **_ruled(realtime.broken_session)
    ),
    Dialect.REALTIME_CLIENT_SECRETS: _contract(
        realtime.ClientSecretRequest, text=_no_text, **_ruled(realtime.broken_secret)
    ),
    Dialect.TOKENIZE: _contract(tokens.TokenizeRequest, text=_no_text, plain=True),
    Dialect.DETOKENIZE: _contract(
        tokens.DetokenizeRequest, tokens.DetokenizeBatchRequest, text=_no_text, plain=True
    ),
    Dialect.PARSE_FUNCTION_CALL: _contract(
        tokens.ParseFunctionCallRequest, text=_no_text, plain=True
    ),
    Dialect.PARSE_REASONING: _contract(tokens.ParseReasoningRequest, text=_no_text, plain=True),
})
