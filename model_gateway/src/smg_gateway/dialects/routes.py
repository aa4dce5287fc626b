"""The inference routes that are relayed to HTTP workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from smg_protocols import Dialect, read_intake

from ..errors import Envelope, ErrorRecord, Kind
from .generic import read_generic
from .rerank import rerank_answer, rerank_request
from .transcription import read_transcription
from .view import RequestView

Reader = Callable[[bytes, bytes | None], RequestView]
"""From body and content-type to the routing view; raises `smg_protocols.RequestInvalid`."""

COMMENT_FRAME = b": keep-alive\n\n"
PING_FRAME = b'event: ping\ndata: {"type": "ping"}\n\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRoute:
    """One relayed route.

    Over prefill and decode workers a route is refused with `pair_refusal`, where there is one, or
    goes to a prefill worker alone, or else to both.

    `endpoint` is its label in metrics, `may_go_unread` allows a body to pass without a look at it
    where nothing depends on it, `id_prefix` starts generated request ids. `upstream_body`
    and `reshape` are set where worker and client speak different shapes; `reshape` raises
    ValueError for an answer it does not understand.
    """

    path: str
    read: Reader
    endpoint: str
    id_prefix: str = "req-"
    upstream_path: bytes
    envelope: Envelope = Envelope.OPENAI
    retryable: bool = True
    names_worker: bool = True
    may_go_unread: bool = False
    keepalive_frame: bytes = COMMENT_FRAME
    upstream_body: Callable[[RequestView], bytes] | None = None
    pair_refusal: ErrorRecord | None = None
    prefill_alone: bool = False
    reshape: Callable[[RequestView, bytes], bytes] | None = None


def _json(dialect: Dialect) -> Reader:
    def read(body: bytes, content_type: bytes | None) -> RequestView:
        return read_intake(dialect, body, content_type=content_type)

    return read


def _route(
    path: str,
    dialect: Dialect,
    endpoint: str,
    *,
    id_prefix: str = "req-",
    envelope: Envelope = Envelope.OPENAI,
    may_go_unread: bool = True,
    pair_refusal: ErrorRecord | None = None,
    prefill_alone: bool = False,
) -> RelayRoute:
    return RelayRoute(
        pair_refusal=pair_refusal,
        prefill_alone=prefill_alone,
        may_go_unread=may_go_unread,
        path=path,
        read=_json(dialect),
        endpoint=endpoint,
        id_prefix=id_prefix,
        upstream_path=path.encode(),
        envelope=envelope,
        keepalive_frame=PING_FRAME if envelope is Envelope.ANTHROPIC else COMMENT_FRAME,
    )


def _unpaired(text: str) -> ErrorRecord:
    return ErrorRecord(status=501, code=None, message=text, kind=Kind.TEXT)


def _unpaired_scoring(code: str, what: str) -> ErrorRecord:
    return ErrorRecord(
        status=501, code=code, message=f"{what} is not supported by prefill and decode workers"
    )


def _rerank(path: str, dialect: Dialect) -> RelayRoute:
    return RelayRoute(
        path=path,
        read=_json(dialect),
        endpoint="rerank",
        upstream_path=b"/v1/rerank",
        names_worker=False,
        upstream_body=rerank_request,
        reshape=rerank_answer,
    )


def _relayed_as_is(path: str, endpoint: str) -> RelayRoute:
    return RelayRoute(
        path=path,
        read=read_generic,
        endpoint=endpoint,
        upstream_path=path.encode(),
        pair_refusal=_unpaired_scoring(f"{endpoint}_not_supported", path),
    )


_ALL = (
    _route("/v1/chat/completions", Dialect.CHAT, "chat", id_prefix="chatcmpl-"),
    _route("/v1/completions", Dialect.COMPLETIONS, "completions", id_prefix="cmpl-"),
    _route("/generate", Dialect.GENERATE, "generate", id_prefix="gnt-"),
    _route(
        "/v1/responses",
        Dialect.RESPONSES,
        "responses",
        id_prefix="resp-",
        may_go_unread=False,
    ),
    _route(
        "/v1/messages",
        Dialect.MESSAGES,
        "messages",
        id_prefix="msg_",
        envelope=Envelope.ANTHROPIC,
    ),
    _route(
        "/v1/messages/count_tokens",
        Dialect.COUNT_TOKENS,
        "other",
        id_prefix="msg_",
        envelope=Envelope.ANTHROPIC,
        prefill_alone=True,
    ),
    _route(
        "/v1/embeddings",
        Dialect.EMBEDDINGS,
        "other",
        pair_refusal=_unpaired("Embeddings not implemented"),
    ),
    _route(
        "/v1/classify",
        Dialect.CLASSIFY,
        "other",
        pair_refusal=_unpaired("Classify not implemented"),
    ),
    _rerank("/rerank", Dialect.RERANK),
    _rerank("/v1/rerank", Dialect.V1_RERANK),
    _relayed_as_is("/v1/decisions", "decisions"),
    _relayed_as_is("/v1/systemone", "systemone"),
    RelayRoute(
        path="/v1/audio/transcriptions",
        read=read_transcription,
        endpoint="audio_transcriptions",
        upstream_path=b"/v1/audio/transcriptions",
        pair_refusal=_unpaired("Audio transcriptions not implemented"),
        retryable=False,
    ),
)

RELAY_ROUTES: Mapping[bytes, RelayRoute] = MappingProxyType({
    route.path.encode(): route for route in _ALL
})
"""Relayed routes by path; all of them take POST alone."""
