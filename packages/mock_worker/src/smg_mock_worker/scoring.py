"""Embeddings, rerank and classification: prefill only, with bag-of-words arithmetic behind them."""

import base64
import math
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec

from smg_mock_worker.answers import Answer, prompt_seed
from smg_mock_worker.completions import split_prompts
from smg_mock_worker.errors import Flavour, RequestRefused
from smg_mock_worker.exchange import (
    Call,
    Choice,
    Exchange,
    ServedModel,
    Usage,
    decode_body,
    encode_json,
    make_id,
)
from smg_mock_worker.tokens import split_tokens, token_id, token_ids

__all__ = (
    "ClassifyExchange",
    "EmbeddingExchange",
    "RerankExchange",
    "embed",
    "parse_classify",
    "parse_embedding",
    "parse_rerank",
)

DEFAULT_DIMENSIONS = 64
MAX_DIMENSIONS = 8_192
LABELS = ("LABEL_0", "LABEL_1")
_NOTHING = Answer(tokens=(), ids=(), finish_reason="stop")


class EmbeddingRequest(msgspec.Struct):
    """The fields of an embedding request."""

    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: str | None = None
    dimensions: int | None = None


class ClassifyRequest(msgspec.Struct):
    """The fields of a classification request."""

    input: str | list[str | int | list[int]]
    model: str | None = None


class RerankRequest(msgspec.Struct):
    """The fields of a rerank request."""

    query: str
    documents: list[str]
    model: str | None = None
    top_n: int | None = None
    return_documents: bool | None = None


def embed(ids: Sequence[int], dimensions: int) -> list[float]:
    """A unit vector; sequences that share tokens get similar ones."""
    vector = [0.0] * dimensions
    for number in ids:
        # Each token moves one coordinate up and another down.
        vector[number % dimensions] += 1.0
        vector[(number // dimensions) % dimensions] -= 0.5
    length = math.sqrt(sum(value * value for value in vector))
    if not length:
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / length for value in vector]


def _word_ids(text: str) -> list[int]:
    """Token ids that do not depend on case and surrounding punctuation."""
    return [token_id(token.strip().strip(".,;:!?").lower()) for token in split_tokens(text)]


def _prefill_choices(served: ServedModel, prompts: Sequence[Sequence[int]]) -> list[Choice]:
    longest = max(map(len, prompts))
    if longest > served.max_model_len:
        raise RequestRefused(
            400, f"An input has {longest} tokens, the limit is {served.max_model_len}."
        )
    return [Choice(ids, _NOTHING) for ids in prompts]


def _input_ids(given: str | Sequence[str | int | list[int]]) -> list[Sequence[int]]:
    prompts = split_prompts(given, "input")
    return [token_ids(split_tokens(p)) if isinstance(p, str) else p for p in prompts]


def _usage(usage: Usage) -> dict[str, int]:
    tokens = usage.prompt_tokens
    return {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}


def parse_embedding(call: Call, served: ServedModel) -> "EmbeddingExchange":
    """Read a request; raises `RequestRefused`."""
    request = decode_body(call.body, EmbeddingRequest)
    model = served.resolve(request.model)
    if request.encoding_format not in {None, "float", "base64"}:
        raise RequestRefused(400, "encoding_format must be float or base64.")
    dimensions = DEFAULT_DIMENSIONS if request.dimensions is None else request.dimensions
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise RequestRefused(400, f"dimensions must be between 1 and {MAX_DIMENSIONS}.")
    prompts = _input_ids(request.input)
    if isinstance(request.input, str):
        vectors = [embed(_word_ids(request.input), dimensions)]
    else:
        texts = [part for part in request.input if isinstance(part, str)]
        vectors = [embed(_word_ids(text), dimensions) for text in texts]
        vectors = vectors or [embed(ids, dimensions) for ids in prompts]
    as_base64 = request.encoding_format == "base64"
    return EmbeddingExchange(_prefill_choices(served, prompts), vectors, model, as_base64=as_base64)


class EmbeddingExchange(Exchange):
    """An embedding request under way."""

    def __init__(
        self,
        choices: Sequence[Choice],
        vectors: Sequence[Sequence[float]],
        model: str,
        *,
        as_base64: bool,
    ) -> None:
        self.choices = choices
        self._vectors = vectors
        self._model = model
        self._as_base64 = as_base64

    def whole(self, usage: Usage) -> bytes:
        """The list of embeddings; base64 holds little-endian 32-bit floats."""
        data = [
            {
                "object": "embedding",
                "embedding": _pack(vector) if self._as_base64 else vector,
                "index": index,
            }
            for index, vector in enumerate(self._vectors)
        ]
        return encode_json({
            "object": "list",
            "data": data,
            "model": self._model,
            "usage": _usage(usage),
        })


def _pack(vector: Sequence[float]) -> str:
    return base64.b64encode(array("f", vector).tobytes()).decode()


def parse_rerank(call: Call, served: ServedModel) -> "RerankExchange":
    """Read a request; raises `RequestRefused`."""
    request = decode_body(call.body, RerankRequest)
    model = served.resolve(request.model)
    if not request.documents:
        raise RequestRefused(400, "documents must not be empty.", param="documents")
    pairs = [f"{request.query}\n{document}" for document in request.documents]
    choices = _prefill_choices(served, [token_ids(split_tokens(pair)) for pair in pairs])
    return RerankExchange(choices, request, model, served.flavour)


class RerankExchange(Exchange):
    """A rerank request under way; scores are cosines of bags of words, best first."""

    def __init__(
        self, choices: Sequence[Choice], request: RerankRequest, model: str, flavour: Flavour
    ) -> None:
        self.choices = choices
        self._request = request
        self._model = model
        self._flavour = flavour

    def whole(self, usage: Usage) -> bytes:
        """SGLang's bare list, or vLLM's object with `results`."""
        request = self._request
        query = embed(_word_ids(request.query), DEFAULT_DIMENSIONS)
        scored = []
        for index, document in enumerate(request.documents):
            vector = embed(_word_ids(document), DEFAULT_DIMENSIONS)
            score = sum(a * b for a, b in zip(query, vector, strict=True))
            scored.append((round(score, 6), index, document))
        scored.sort(key=lambda entry: -entry[0])
        scored = scored[: request.top_n] if request.top_n else scored
        if self._flavour is Flavour.VLLM:
            return self._vllm(scored, usage)
        return encode_json([
            {
                "score": score,
                "document": None if request.return_documents is False else document,
                "index": index,
                "meta_info": {"prompt_tokens": len(self.choices[index].prompt)},
            }
            for score, index, document in scored
        ])

    def _vllm(self, scored: Sequence[tuple[float, int, str]], usage: Usage) -> bytes:
        return encode_json({
            "id": make_id("rerank-"),
            "model": self._model,
            "usage": {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens},
            "results": [
                {"index": index, "document": {"text": document}, "relevance_score": score}
                for score, index, document in scored
            ],
        })


def parse_classify(call: Call, served: ServedModel) -> "ClassifyExchange":
    """Read a request; raises `RequestRefused`."""
    request = decode_body(call.body, ClassifyRequest)
    model = served.resolve(request.model)
    return ClassifyExchange(
        _prefill_choices(served, _input_ids(request.input)), model, call.created
    )


class ClassifyExchange(Exchange):
    """A classification under way."""

    def __init__(self, choices: Sequence[Choice], model: str, created: int) -> None:
        self.choices = choices
        self._model = model
        self._created = created

    def whole(self, usage: Usage) -> bytes:
        """The list of labels with probabilities that sum up to one."""
        return encode_json({
            "id": make_id("classify-"),
            "object": "list",
            "created": self._created,
            "model": self._model,
            "data": [_label(index, choice.prompt) for index, choice in enumerate(self.choices)],
            "usage": _usage(usage),
        })


def _label(index: int, prompt: Sequence[int]) -> dict[str, Any]:
    first = round((prompt_seed(prompt) % 1001) / 1000, 3)
    probs = [first, round(1 - first, 3)]
    label = LABELS[probs.index(max(probs))]
    return {"index": index, "label": label, "probs": probs, "num_classes": len(LABELS)}
