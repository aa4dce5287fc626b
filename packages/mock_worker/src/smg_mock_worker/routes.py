"""Which routes a worker offers, by flavour, and what the plain ones answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from smg_mock_worker.chat import parse_chat
from smg_mock_worker.completions import parse_completion
from smg_mock_worker.delivery import Reply
from smg_mock_worker.errors import Flavour, RequestRefused, Surface
from smg_mock_worker.exchange import Call, Exchange, ServedModel, decode_body, encode_json
from smg_mock_worker.generate import parse_generate
from smg_mock_worker.information import (
    loads_report,
    metrics_text,
    model_entry,
    model_info,
    models_list,
    old_load_report,
    server_info,
)
from smg_mock_worker.messages import count_message_tokens, parse_message
from smg_mock_worker.responses import parse_response
from smg_mock_worker.scoring import parse_classify, parse_embedding, parse_rerank
from smg_mock_worker.state import WorkerState
from smg_mock_worker.transcription import parse_transcription

__all__ = ("InferenceRoute", "PlainRoute", "Route", "RouteTable", "find_route", "route_table")

ONE_MODEL = "/v1/models/"


@dataclass(frozen=True, slots=True)
class InferenceRoute:
    """A route whose request becomes an exchange with the engine."""

    parse: Callable[[Call, ServedModel], Exchange]
    surface: Surface = Surface.OPENAI


@dataclass(frozen=True, slots=True)
class PlainRoute:
    """A route that is answered at once."""

    answer: Callable[[WorkerState, Call], Reply]
    surface: Surface = Surface.OPENAI


Route = InferenceRoute | PlainRoute
RouteTable = Mapping[str, Mapping[str, Route]]


class TokenizeRequest(msgspec.Struct):
    """What to tokenize."""

    prompt: str
    model: str | None = None


class DetokenizeRequest(msgspec.Struct):
    """What to turn back into text."""

    tokens: list[int]
    model: str | None = None


class AbortRequest(msgspec.Struct):
    """Which requests to abort."""

    rid: str = ""
    abort_all: bool = False


def _json(value: object) -> Reply:
    return Reply(body=encode_json(value))


def _text(text: str) -> Reply:
    return Reply(body=text.encode(), content_type="text/plain; charset=utf-8")


def _nothing(state: WorkerState, call: Call) -> Reply:
    return Reply(content_type=None)


def _models(state: WorkerState, call: Call) -> Reply:
    return _json(models_list(state.facts))


def _one_model(state: WorkerState, call: Call) -> Reply:
    name = state.facts.served.resolve(call.path.removeprefix(ONE_MODEL))
    return _json(model_entry(state.facts, name))


def _model_info(state: WorkerState, call: Call) -> Reply:
    return _json(model_info(state.facts))


def _server_info(state: WorkerState, call: Call) -> Reply:
    return _json(server_info(state.facts, state.loads()))


def _loads(state: WorkerState, call: Call) -> Reply:
    include = call.query.get("include", "core").split(",")
    timestamp = datetime.fromtimestamp(call.received_at, UTC).isoformat()
    return _json(loads_report(state.facts, state.loads(), include, timestamp))


def _old_load(state: WorkerState, call: Call) -> Reply:
    return _json(old_load_report(state.loads()))


def _server_load(state: WorkerState, call: Call) -> Reply:
    loads = state.loads()
    return _json({"server_load": sum(load.running_requests for load in loads)})


def _version(state: WorkerState, call: Call) -> Reply:
    return _json({"version": state.facts.version})


def _metrics(state: WorkerState, call: Call) -> Reply:
    text = metrics_text(state.facts, state.loads())
    return Reply(body=text.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _count_tokens(state: WorkerState, call: Call) -> Reply:
    return Reply(body=count_message_tokens(call, state.facts.served))


def _tokenize(state: WorkerState, call: Call) -> Reply:
    request = decode_body(call.body, TokenizeRequest)
    state.facts.served.resolve(request.model)
    ids = state.vocabulary.encode(request.prompt)
    limit = state.facts.served.max_model_len
    return _json({"tokens": ids, "count": len(ids), "max_model_len": limit})


def _detokenize(state: WorkerState, call: Call) -> Reply:
    request = decode_body(call.body, DetokenizeRequest)
    state.facts.served.resolve(request.model)
    text = state.vocabulary.decode(request.tokens)
    vllm = state.facts.served.flavour is Flavour.VLLM
    return _json({"prompt" if vllm else "text": text})


def _flush_cache(state: WorkerState, call: Call) -> Reply:
    state.flush()
    return _text("Cache flushed.\n")


def _reset_prefix_cache(state: WorkerState, call: Call) -> Reply:
    state.flush()
    return Reply(content_type=None)


def _start_profile(state: WorkerState, call: Call) -> Reply:
    state.is_profiling = True
    return _text("Start profiling.\n")


def _stop_profile(state: WorkerState, call: Call) -> Reply:
    if not state.is_profiling:
        raise RequestRefused(400, "Profiling is not in progress.")
    state.is_profiling = False
    return _text("Stop profiling.\n")


def _abort(state: WorkerState, call: Call) -> Reply:
    request = decode_body(call.body, AbortRequest)
    if request.abort_all or request.rid:
        state.abort(None if request.abort_all else request.rid)
    return Reply(content_type=None)


def route_table(flavour: Flavour) -> RouteTable:
    """All routes of an engine of that flavour: path -> method -> route."""
    table: dict[str, dict[str, Route]] = {}

    def offer(methods: str, paths: str, route: Route) -> None:
        for path in paths.split():
            for method in methods.split():
                table.setdefault(path, {})[method] = route

    anthropic = Surface.ANTHROPIC
    offer("GET", "/health", PlainRoute(_nothing))
    offer("GET", "/v1/models", PlainRoute(_models))
    offer("GET", ONE_MODEL, PlainRoute(_one_model))
    offer("GET", "/metrics", PlainRoute(_metrics))
    offer("POST", "/v1/chat/completions", InferenceRoute(parse_chat))
    offer("POST", "/v1/completions", InferenceRoute(parse_completion))
    offer("POST", "/v1/responses", InferenceRoute(parse_response))
    offer("POST", "/v1/messages", InferenceRoute(parse_message, anthropic))
    offer("POST", "/v1/messages/count_tokens", PlainRoute(_count_tokens, anthropic))
    offer("POST", "/v1/embeddings", InferenceRoute(parse_embedding))
    offer("POST", "/v1/rerank", InferenceRoute(parse_rerank))
    offer("POST", "/v1/classify", InferenceRoute(parse_classify))
    offer("POST", "/v1/audio/transcriptions", InferenceRoute(parse_transcription))
    offer("POST", "/tokenize", PlainRoute(_tokenize))
    offer("POST", "/detokenize", PlainRoute(_detokenize))
    offer("POST", "/start_profile", PlainRoute(_start_profile))
    offer("POST", "/stop_profile", PlainRoute(_stop_profile))
    if flavour is Flavour.SGLANG:
        native = Surface.NATIVE
        offer("POST PUT", "/generate", InferenceRoute(parse_generate, native))
        offer("GET", "/health_generate", PlainRoute(_nothing))
        offer("GET", "/get_model_info /model_info", PlainRoute(_model_info))
        offer("GET", "/get_server_info /server_info", PlainRoute(_server_info))
        offer("GET", "/loads /v1/loads", PlainRoute(_loads))
        offer("GET", "/get_load", PlainRoute(_old_load))
        offer("POST", "/v1/tokenize", PlainRoute(_tokenize))
        offer("POST", "/v1/detokenize", PlainRoute(_detokenize))
        offer("GET POST", "/flush_cache", PlainRoute(_flush_cache, native))
        offer("GET", "/start_profile", PlainRoute(_start_profile, native))
        offer("GET", "/stop_profile", PlainRoute(_stop_profile, native))
        offer("POST", "/abort_request", PlainRoute(_abort, native))
    else:
        offer("GET", "/version", PlainRoute(_version))
        offer("GET", "/load", PlainRoute(_server_load))
        offer("GET POST", "/ping", PlainRoute(_nothing))
        offer("POST", "/rerank /v2/rerank", InferenceRoute(parse_rerank))
        offer("POST", "/classify", InferenceRoute(parse_classify))
        offer("POST", "/reset_prefix_cache", PlainRoute(_reset_prefix_cache))
    return table


def find_route(table: RouteTable, path: str) -> Mapping[str, Route] | None:
    """The routes of a path by method; model ids may contain slashes."""
    if path.startswith(ONE_MODEL) and path != ONE_MODEL:
        return table[ONE_MODEL]
    return table.get(path) if path != ONE_MODEL else None
