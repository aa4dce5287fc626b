import base64
import math
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.errors import RequestRefused
from smg_mock_worker.exchange import Call, Exchange, ServedModel
from smg_mock_worker.scoring import embed, parse_classify, parse_embedding, parse_rerank

MakeCall = Callable[..., Call]
Whole = Callable[[Exchange], Any]

ids = st.lists(st.integers(0, 2**31 - 1), max_size=50)


@given(ids, st.integers(1, 128))
def test_every_embedding_is_a_unit_vector(tokens: list[int], dimensions: int) -> None:
    vector = embed(tokens, dimensions)

    assert len(vector) == dimensions
    assert math.isclose(sum(value * value for value in vector), 1)


def test_each_input_gets_an_embedding(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    body = whole(parse_embedding(call_with(input=["a b", "c"], dimensions=8), served))

    assert [entry["index"] for entry in body["data"]] == [0, 1]
    assert [len(entry["embedding"]) for entry in body["data"]] == [8, 8]
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}


def test_the_same_text_gets_the_same_embedding_alone_and_in_a_list(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    alone = whole(parse_embedding(call_with(input="a quiet river"), served))
    listed = whole(parse_embedding(call_with(input=["a quiet river"]), served))

    assert alone["data"] == listed["data"]


def test_base64_holds_the_same_numbers_as_floats(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    plain = whole(parse_embedding(call_with(input="a b"), served))
    packed = whole(parse_embedding(call_with(input="a b", encoding_format="base64"), served))

    numbers = array("f", base64.b64decode(packed["data"][0]["embedding"]))
    assert list(numbers) == pytest.approx(plain["data"][0]["embedding"])


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2, 3]]])
def test_token_ids_are_embedded_too(
    served: ServedModel, call_with: MakeCall, whole: Whole, tokens: list[Any]
) -> None:
    body = whole(parse_embedding(call_with(input=tokens), served))

    assert len(body["data"]) == 1
    assert body["usage"]["prompt_tokens"] == 3


def test_documents_that_share_words_with_the_query_come_first(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    documents = ["A stone.", "The quiet river sleeps.", "A river."]
    results = whole(parse_rerank(call_with(query="quiet river", documents=documents), served))

    assert results[0]["document"] == documents[results[0]["index"]] == "The quiet river sleeps."
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)


def test_a_ranking_may_be_short_and_without_documents(
    served: ServedModel, call_with: MakeCall, whole: Whole
) -> None:
    call = call_with(query="x", documents=["x", "y", "z"], top_n=1, return_documents=False)
    (best,) = whole(parse_rerank(call, served))

    assert (best["index"], best["document"]) == (0, None)


def test_vllm_ranks_in_an_object(vllm: ServedModel, call_with: MakeCall, whole: Whole) -> None:
    body = whole(parse_rerank(call_with(query="x", documents=["y", "x"]), vllm))

    assert body["id"].startswith("rerank-")
    assert body["results"][0] == {
        "index": 1,
        "document": {"text": "x"},
        "relevance_score": pytest.approx(1),
    }


def test_each_input_is_classified(served: ServedModel, call_with: MakeCall, whole: Whole) -> None:
    body = whole(parse_classify(call_with(input=["a", "b", "c"]), served))

    assert [entry["index"] for entry in body["data"]] == [0, 1, 2]
    for entry in body["data"]:
        assert math.isclose(sum(entry["probs"]), 1)
        assert entry["label"] == f"LABEL_{entry['probs'].index(max(entry['probs']))}"
        assert entry["num_classes"] == 2


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": []},
        {"input": "x", "model": "nope"},
        {"input": "x", "encoding_format": "hex"},
        {"input": "x", "dimensions": 0},
        {"input": "x " * 1_001},
    ],
)
def test_embeddings_of_nonsense_are_refused(
    served: ServedModel, call_with: MakeCall, fields: dict[str, object]
) -> None:
    with pytest.raises(RequestRefused):
        parse_embedding(call_with(**fields), served)


def test_a_ranking_needs_documents(served: ServedModel, call_with: MakeCall) -> None:
    with pytest.raises(RequestRefused, match="documents must not be empty"):
        parse_rerank(call_with(query="x", documents=[]), served)
