"""Embeddings, classification, reranking, tokenizing and the parser routes."""

import json
from typing import Any

import pytest
from smg_protocols import Dialect, Intake, RequestInvalid, read_intake

PLAIN = [
    (Dialect.EMBEDDINGS, {"model": "m", "input": "x"}),
    (Dialect.CLASSIFY, {"model": "m", "input": "x"}),
    (Dialect.V1_RERANK, {"query": "q", "documents": ["a"]}),
    (Dialect.TOKENIZE, {"model": "m", "prompt": ["a", "b"]}),
    (Dialect.DETOKENIZE, {"model": "m", "tokens": [[1], [2]]}),
    (Dialect.PARSE_FUNCTION_CALL, {"text": "x", "tool_call_parser": "p", "tools": []}),
    (Dialect.PARSE_REASONING, {"text": "x", "reasoning_parser": "p"}),
]


def accept(dialect: Dialect, body: Any) -> Intake:
    return read_intake(dialect, json.dumps(body).encode(), content_type=b"application/json")


def refuse(dialect: Dialect, body: Any) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        accept(dialect, body)
    return caught.value


@pytest.mark.parametrize(("dialect", "body"), PLAIN)
def test_plain_routes_accept_a_good_body(dialect: Dialect, body: dict[str, Any]) -> None:
    assert accept(dialect, {**body, "unknown": 1}).choices == 1


@pytest.mark.parametrize(("dialect", "body"), PLAIN)
def test_plain_routes_answer_a_missing_field_with_422(
    dialect: Dialect, body: dict[str, Any]
) -> None:
    missing, *rest = body
    refusal = refuse(dialect, {name: body[name] for name in rest})

    assert (refusal.status, refusal.plain_text) == (422, True)
    assert f": missing field `{missing}` at line 1" in refusal.message


@pytest.mark.parametrize(("dialect", "body"), PLAIN)
def test_plain_routes_complain_of_the_length_of_a_list(
    dialect: Dialect, body: dict[str, Any]
) -> None:
    assert "invalid length 0, expected struct" in refuse(dialect, []).message


@pytest.mark.parametrize(("dialect", "body"), PLAIN)
def test_plain_routes_know_their_own_content_type_errors(
    dialect: Dialect, body: dict[str, Any]
) -> None:
    with pytest.raises(RequestInvalid) as caught:
        read_intake(dialect, json.dumps(body).encode(), content_type=b"text/plain")

    refusal = caught.value
    assert (refusal.status, refusal.plain_text) == (415, True)
    assert refusal.message == "Expected request with `Content-Type: application/json`"


@pytest.mark.parametrize("dialect", [Dialect.EMBEDDINGS, Dialect.CLASSIFY])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        ("", ""),
        (["a", 5, "b"], "a b"),
        ([1, 2], ""),
        ([[1], [2]], ""),
        (None, ""),
        ({"any": 1}, ""),
    ],
    ids=str,
)
def test_the_input_may_be_anything_and_its_strings_are_the_text(
    dialect: Dialect, value: Any, text: str
) -> None:
    assert accept(dialect, {"model": "m", "input": value}).routing_text() == text


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"query": " \n"}, "invalid_value", "query"),
        ({"query": 5}, "invalid_type", "query"),
        ({"documents": []}, "invalid_value", "documents"),
        ({"documents": "x"}, "invalid_type", "documents"),
        ({"documents": ["a", 1]}, "invalid_type", "documents[1]"),
        ({"top_k": 0}, "integer_below_min_value", "top_k"),
        ({"top_k": -1}, "integer_below_min_value", "top_k"),
        ({"return_documents": None}, "invalid_type", "return_documents"),
        ({"rid": 5}, "invalid_type", "rid"),
    ],
    ids=str,
)
def test_rerank_is_validated(changes: dict[str, Any], code: str, param: str) -> None:
    body = {"model": "m", "query": "q", "documents": ["a"], **changes}
    refusal = refuse(Dialect.RERANK, body)

    assert (refusal.status, refusal.code, refusal.param) == (400, code, param)
    assert not refusal.plain_text


def test_rerank_accepts_more_results_than_there_are_documents() -> None:
    body = {"model": "m", "query": "q", "documents": ["a"], "top_k": 9, "rid": ["r"]}
    intake = accept(Dialect.RERANK, body)

    assert (intake.request.top_k, intake.request.rid, intake.rid) == (9, ["r"], None)
    assert intake.routing_text() == "q"


def test_v1_rerank_reads_nothing_but_query_and_documents() -> None:
    intake = accept(Dialect.V1_RERANK, {"query": "  ", "documents": [], "model": 5, "top_k": 0})

    assert (intake.model, intake.routing_text()) == (None, "  ")
