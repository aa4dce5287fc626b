"""`/v1/tokenize`, `/v1/detokenize` and the control plane of tokenizers, `/v1/tokenizers`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from smg_protocols import Dialect, Intake
from smg_tokenizer import TokenizerEntry, TokenizerError, TokenizerExists
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..admission import ControlPlaneKeys, DataPlaneKeys
from ..tokenizers import Catalogue, Loading, LoadingFull
from .answers import json_response
from .endpoints import dialect_route, guarded

TOKENIZERS_PATH = "/v1/tokenizers"
TOKENIZE_PATHS = frozenset({
    Dialect.TOKENIZE.value.encode(),
    Dialect.DETOKENIZE.value.encode(),
})
INLINE_IDS = 4096
"""So many ids are decoded in about a millisecond; more leave the loop."""


class TokenizerRequest(msgspec.Struct):
    """The body of POST /v1/tokenizers."""

    name: str
    source: str
    chat_template_path: str | None = None


Answer = Callable[[Request, bytes], Awaitable[Response]]


def tokenizer_routes(
    catalogue: Catalogue, data: DataPlaneKeys, control: ControlPlaneKeys, max_body_bytes: int
) -> list[BaseRoute]:
    """All routes about tokenizers."""
    desk = _Desk(catalogue)

    def route(path: str, answer: Answer, method: str) -> Route:
        return Route(path, guarded(control, answer, max_body_bytes), methods=[method])

    one = TOKENIZERS_PATH + "/{key:path}"
    return [
        dialect_route(Dialect.TOKENIZE, data, desk.tokenize, max_body_bytes),
        dialect_route(Dialect.DETOKENIZE, data, desk.detokenize, max_body_bytes),
        route(TOKENIZERS_PATH, desk.listing, "GET"),
        route(TOKENIZERS_PATH, desk.create, "POST"),
        route(one + "/status", desk.status, "GET"),
        route(one, desk.show, "GET"),
        route(one, desk.remove, "DELETE"),
    ]


class _Desk:
    """The answers."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def tokenize(self, request: Request, intake: Intake) -> Response:
        asked = intake.request
        entry = self._catalogue.for_model(asked.model)
        if entry is None:
            return self._no_tokenizer(asked.model)
        prompt: str | list[str] = asked.prompt
        texts = [prompt] if isinstance(prompt, str) else prompt
        encode = self._catalogue.encoder.encode
        try:
            # One after the other: a batch must not take every thread.
            ids = [(await encode(entry.tokenizer, text)).ids for text in texts]
        except TokenizerError as error:
            return _error(400, "tokenization_error", str(error))
        counts, lengths = [len(each) for each in ids], [len(text) for text in texts]
        if isinstance(prompt, str):
            return json_response({"tokens": ids[0], "count": counts[0], "char_count": lengths[0]})
        return json_response({"tokens": ids, "count": counts, "char_count": lengths})

    async def detokenize(self, request: Request, intake: Intake) -> Response:
        asked = intake.request
        entry = self._catalogue.for_model(asked.model)
        if entry is None:
            return self._no_tokenizer(asked.model)
        tokens: list[int] | list[list[int]] = asked.tokens
        batch = [each for each in tokens if isinstance(each, list)]
        single = [each for each in tokens if isinstance(each, int)]
        skip: bool = asked.skip_special_tokens

        def decode() -> str | list[str]:
            decode_one = entry.tokenizer.decode
            if batch:
                return [decode_one(ids, skip_special_tokens=skip) for ids in batch]
            return decode_one(single, skip_special_tokens=skip)

        small = len(single) + sum(map(len, batch)) <= INLINE_IDS
        try:
            text = decode() if small else await asyncio.to_thread(decode)
        except TokenizerError as error:
            return _error(500, "detokenization_error", str(error))
        return json_response({"text": text})

    async def listing(self, request: Request, body: bytes) -> Response:
        entries = [_shown(entry) for entry in self._catalogue.registry.list()]
        return json_response({"tokenizers": entries})

    async def create(self, request: Request, body: bytes) -> Response:
        try:
            asked = msgspec.json.decode(body, type=TokenizerRequest)
        except msgspec.ValidationError as error:
            text = f"Failed to deserialize the JSON body into the target type: {error}"
            return PlainTextResponse(text, 422)
        except msgspec.DecodeError as error:
            return PlainTextResponse(f"Failed to parse the request body as JSON: {error}", 400)
        try:
            loading = self._catalogue.submit(asked.name, asked.source, asked.chat_template_path)
        except TokenizerExists as error:
            taken = {"id": error.tokenizer_id, "status": "failed", "message": str(error)}
            return json_response(taken, 409)
        except LoadingFull:
            message = "Too many tokenizers are waiting to be loaded"
            return json_response({"id": "", "status": "failed", "message": message}, 503)
        message = (
            f"Tokenizer '{asked.name}' registration job submitted. Loading from: {asked.source}"
        )
        return json_response({"id": loading.id, "status": "pending", "message": message}, 202)

    async def show(self, request: Request, body: bytes) -> Response:
        key = request.path_params["key"]
        entry = self._catalogue.registry.get(key)
        if entry is None:
            return _error(404, "tokenizer_not_found", f"Tokenizer '{key}' not found")
        return json_response(_shown(entry))

    async def status(self, request: Request, body: bytes) -> Response:
        key = request.path_params["key"]
        entry = self._catalogue.registry.get(key)
        if entry is not None:
            return json_response({
                "id": entry.id,
                "status": "completed",
                "message": f"Tokenizer '{entry.name}' is loaded and ready",
                "vocab_size": entry.tokenizer.vocab_size,
            })
        loading = self._catalogue.loading(key)
        if loading is None:
            return _error(404, "not_found", f"Tokenizer '{key}' not found")
        return json_response({
            "id": loading.id,
            "status": loading.state,
            "message": _message(loading),
        })

    async def remove(self, request: Request, body: bytes) -> Response:
        key = request.path_params["key"]
        entry = self._catalogue.registry.remove(key)
        if entry is None:
            message = f"Tokenizer '{key}' not found"
            return json_response({"success": False, "message": message}, 404)
        message = f"Tokenizer '{entry.name}' removed successfully"
        return json_response({"success": True, "message": message})

    def _no_tokenizer(self, model: str) -> Response:
        names = [entry.name for entry in self._catalogue.registry.list()]
        message = "No tokenizers available. Use POST /v1/tokenizers to add one."
        if names:
            message = f"Tokenizer for model '{model}' not found. Available: {', '.join(names)}"
        return _error(400, "tokenizer_not_found", message)


def _message(loading: Loading) -> str:
    if loading.reason:
        return f"Tokenizer '{loading.name}' was not loaded: {loading.reason}"
    return f"Tokenizer '{loading.name}' is being loaded from: {loading.source}"


def _shown(entry: TokenizerEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "name": entry.name,
        "source": entry.source,
        "vocab_size": entry.tokenizer.vocab_size,
    }


def _error(status: int, kind: str, message: str) -> Response:
    return json_response({"error": {"message": message, "type": kind}}, status)
