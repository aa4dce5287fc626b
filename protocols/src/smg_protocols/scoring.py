"""Embeddings, classification and reranking: what routing and validation read of a request."""

from typing import Annotated

import msgspec

from smg_protocols.faults import Broken
from smg_protocols.wire import I32, U32, Ruled, StringOrArray, usize

__all__ = (
    "ClassifyRequest",
    "EmbeddingRequest",
    "RerankRequest",
    "V1RerankRequest",
    "input_text",
    "needs_second_look",
    "query_text",
)


class EmbeddingRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/embeddings."""

    model: str
    input: msgspec.Raw
    encoding_format: str | None = None
    user: str | None = None
    dimensions: U32 | None = None
    rid: str | None = None


class ClassifyRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/classify."""

    model: str
    input: msgspec.Raw
    user: str | None = None
    rid: str | None = None
    priority: I32 | None = None


def _query_rule(field: str, value: str) -> Broken | None:
    if value.strip():
        return None
    text = f"Validation error: {field} cannot be empty"
    return Broken("invalid_value", text, field)


def _documents_rule(field: str, value: list[str]) -> Broken | None:
    if value:
        return None
    text = f"Validation error: {field} list cannot be empty"
    return Broken("invalid_value", text, field)


class RerankRequest(msgspec.Struct, frozen=True):
    """The body of POST /rerank."""

    query: Annotated[str, Ruled(_query_rule)]
    documents: Annotated[list[str], msgspec.Meta(min_length=1), Ruled(_documents_rule)]
    model: str
    top_k: Annotated[int, usize(1)] | None = None
    return_documents: bool = True
    rid: StringOrArray | None = None
    user: str | None = None


class V1RerankRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/rerank: nothing but the query and the documents."""

    query: str
    documents: list[str]


def needs_second_look(request: RerankRequest) -> bool:
    """Whether the request breaks a rule that decoding does not check."""
    return not request.query.strip()


def input_text(request: EmbeddingRequest | ClassifyRequest) -> str:
    """Return the input string, or the strings of an input list joined by one space."""
    value = msgspec.json.decode(request.input)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(item for item in value if isinstance(item, str))
    return ""


def query_text(request: RerankRequest | V1RerankRequest) -> str:
    """Return the query."""
    return request.query
