"""Rerank: the client's shape on one side, the workers' on the other.

SGLang answers a bare list of `{score, document, index}`, vLLM a Jina-style object whose results
carry `relevance_score` and `document.text`; clients always get SMG's shape.
"""

from __future__ import annotations

import time
from typing import Any, cast

import msgspec

from .view import RequestView


class _Document(msgspec.Struct):
    text: str | None = None


class _Result(msgspec.Struct):
    index: int
    score: float | None = None
    relevance_score: float | None = None
    document: str | _Document | None = None
    meta_info: dict[str, msgspec.Raw] | None = None


class _Results(msgspec.Struct):
    results: list[_Result]


class RerankRequest(msgspec.Struct, omit_defaults=True):
    """What a worker's `/v1/rerank` gets."""

    query: str
    documents: list[str]
    return_documents: bool
    model: str | None = None
    rid: str | list[str] | None = None
    user: str | None = None
    top_k: int | None = None
    top_n: int | None = None


def rerank_request(intake: RequestView) -> bytes:
    """The worker's request body."""
    request = cast(Any, intake.request)
    top_k = getattr(request, "top_k", None)
    return msgspec.json.encode(
        RerankRequest(
            query=request.query,
            documents=request.documents,
            model=intake.model,
            return_documents=_returns_documents(intake),
            rid=getattr(request, "rid", None),
            user=getattr(request, "user", None),
            top_k=top_k,
            top_n=top_k,
        )
    )


def rerank_answer(intake: RequestView, body: bytes) -> bytes:
    """The client's answer; raises ValueError when `body` is no list of results."""
    try:
        found = msgspec.json.decode(body, type=list[_Result] | _Results)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
    results = found.results if isinstance(found, _Results) else found
    request = cast(Any, intake.request)
    top_k = getattr(request, "top_k", None)
    with_documents = _returns_documents(intake)
    return msgspec.json.encode({
        "results": [_row(result, request.documents, with_documents) for result in results[:top_k]],
        "model": intake.model or "unknown",
        "usage": None,
        "object": "rerank",
        "id": getattr(request, "rid", None),
        "created": int(time.time()),
    })


def _returns_documents(intake: RequestView) -> bool:
    wanted = getattr(intake.request, "return_documents", True)
    return True if wanted is None else bool(wanted)


def _row(result: _Result, documents: list[str], with_documents: bool) -> dict[str, object]:
    score = result.score if result.score is not None else result.relevance_score
    row: dict[str, object] = {"score": score}
    if with_documents:
        row["document"] = _document_text(result, documents)
    row["index"] = result.index
    if result.meta_info is not None:
        row["meta_info"] = result.meta_info
    return row


def _document_text(result: _Result, documents: list[str]) -> str | None:
    if isinstance(result.document, str):
        return result.document
    if result.document is not None and result.document.text is not None:
        return result.document.text
    # Some engines send indexes alone; the texts are the ones the client sent.
    return documents[result.index] if 0 <= result.index < len(documents) else None
