"""What a worker says it is: models, engine, parallelism. Asked once, when it registers.

Engines are not trusted: an answer of the wrong shape, or one that is out of all proportion, counts
as no answer, and no answer never keeps a worker from being registered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec

from ..upstream import Pool, Response, UpstreamError, UpstreamFault, fetch
from .health import MAX_PROBE_BODY_BYTES, HealthConfig
from .load_answers import count
from .spec import MAX_RANKS, ModelCard, WorkerSpec

MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_MODELS = 1024
MAX_ID_CHARACTERS = 1024
MAX_LABEL_CHARACTERS = 4096

LLM_TYPES = ("chat", "completions", "responses", "tools")
EMBEDDING_TYPES = ("embeddings",)

_NOTHING: Mapping[str, Any] = MappingProxyType({})

_LABELS = (
    ("model_type", "model_type"),
    ("architectures", "architectures"),
    ("dp_size", "dp_size"),
    ("tp_size", "tp_size"),
    ("pp_size", "pp_size"),
    ("max_model_len", "max_model_len"),
    ("context_length", "max_model_len"),
    ("served_model_name", "served_model_name"),
    ("model_path", "model_path"),
    ("tokenizer_path", "tokenizer_path"),
    ("version", "version"),
    ("weight_version", "weight_version"),
    ("disaggregation_mode", "disaggregation_mode"),
    ("max_running_requests", "max_running_requests"),
)
"""Names in answers and the labels they become; the first that says anything counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was answered, decoded; a mapping is empty where nothing usable came."""

    models: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    version: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known of a worker. Without `cards` it takes any model."""

    cards: tuple[ModelCard, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "unspecified"
    dp_size: int = 1

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of the models."""
        return tuple(card.id for card in self.cards)


def metadata_of(spec: WorkerSpec, answers: Answers) -> Metadata:
    """What follows from a specification and a worker's answers; the specification has precedence."""
    found = _stamped(answers)
    given = {name: value for name, value in spec.labels.items() if value}
    ranks = count(answers.server.get("dp_size"))
    dp_size = ranks if ranks is not None and 1 <= ranks <= MAX_RANKS else 1
    return Metadata(
        cards=tuple(spec.cards()) or _cards(answers, found),
        labels={**found, **given},
        runtime=_runtime(spec, answers),
        dp_size=spec.dp_size or dp_size,
    )


def _stamped(answers: Answers) -> dict[str, str]:
    labels: dict[str, str] = {}
    first = next(iter(_model_rows(answers.models)), _NOTHING)
    for source in (answers.server, answers.model, answers.version, first):
        for name, label in _LABELS:
            text = _label(source.get(name))
            if text is not None:
                labels.setdefault(label, text)
    return labels


def _label(value: object) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and 0 < len(value) <= MAX_LABEL_CHARACTERS:
        return value
    return None


def _model_rows(models: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = models.get("data")
    if not isinstance(rows, list):
        return []
    return [row for row in rows[:MAX_MODELS] if isinstance(row, dict) and _id(row.get("id"))]


def _id(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS:
        return value
    return None


def _cards(answers: Answers, labels: Mapping[str, str]) -> tuple[ModelCard, ...]:
    """Models by `/v1/models`, else the one that the engine says it has loaded."""
    rows = {row["id"]: row for row in _model_rows(answers.models)}
    if not rows:
        named = labels.get("served_model_name") or labels.get("model_path")
        rows = {name: _NOTHING for name in (_id(named),) if name is not None}
    types = _model_types(answers)
    architectures = answers.model.get("architectures")
    return tuple(
        ModelCard(
            id=name,
            model_type=types,
            hf_model_type=_label(answers.model.get("model_type")),
            architectures=architectures if _label(architectures) is not None else None,
            context_length=count(row.get("max_model_len")) or count(_number(labels)),
            tokenizer_path=labels.get("tokenizer_path"),
        )
        for name, row in rows.items()
    )


def _number(labels: Mapping[str, str]) -> int | None:
    text = labels.get("max_model_len", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _model_types(answers: Answers) -> list[str]:
    if answers.server.get("is_embedding") is True or answers.model.get("is_generation") is False:
        return list(EMBEDDING_TYPES)
    types = list(LLM_TYPES)
    if answers.model.get("has_image_understanding") is True:
        types.append("vision")
    if answers.model.get("has_audio_understanding") is True:
        types.append("audio")
    return types


def _runtime(spec: WorkerSpec, answers: Answers) -> str:
    """The engine's kind: as specified, as its models say, else by the routes that it knows."""
    if spec.runtime_type is not None and spec.runtime_type != "unspecified":
        return spec.runtime_type
    for row in _model_rows(answers.models):
        owner = str(row.get("owned_by", "")).lower()
        if owner in ("sglang", "vllm", "tokenspeed", "mlx"):
            return owner
        if owner.replace("_", "").replace("-", "").startswith(("tensorrtllm", "trtllm")):
            return "trtllm"
    if "tp_size" in answers.server or "model_path" in answers.model:
        return "sglang"
    if isinstance(answers.version.get("version"), str):
        return "vllm"
    return "generic" if answers.models else "unspecified"


# --- asking -----------------------------------------------------------------------------------


async def discover(
    pool: Pool, spec: WorkerSpec, health: HealthConfig, api_key: str | None
) -> Metadata:
    """What a living worker says about itself; raises `UpstreamError` while it does not answer."""
    timeout_s = health.timeout_s
    if health.enabled:
        probed = await fetch(
            pool,
            b"GET",
            health.path.encode(),
            timeout_s=timeout_s,
            max_body_bytes=MAX_PROBE_BODY_BYTES,
        )
        if not 200 <= probed.status < 300:
            raise UpstreamError(UpstreamFault.CONNECT, f"health answered {probed.status}")
    headers = []
    if api_key is not None:
        headers.append((b"authorization", b"Bearer " + api_key.encode()))
    try:
        answer = await _get(pool, b"/v1/models", headers, timeout_s)
    except UpstreamError:
        if health.enabled:
            raise
        return metadata_of(spec, Answers())
    if answer.status >= 500 and health.enabled:
        raise UpstreamError(UpstreamFault.CONNECT, f"/v1/models answered {answer.status}")
    models = _mapping(answer)
    # One after the other: a new worker need not meet several connections at once.
    server = await _first(pool, (b"/server_info", b"/get_server_info"), headers, timeout_s)
    model = await _first(pool, (b"/model_info", b"/get_model_info"), headers, timeout_s)
    version = await _first(pool, (b"/version",), headers, timeout_s) if not server else _NOTHING
    return metadata_of(spec, Answers(models=models, server=server, model=model, version=version))


async def _first(
    pool: Pool,
    targets: Sequence[bytes],
    headers: Sequence[tuple[bytes, bytes]],
    timeout_s: float,
) -> Mapping[str, Any]:
    """The object that the first of these routes answers with; empty when none does."""
    for target in targets:
        try:
            found = _mapping(await _get(pool, target, headers, timeout_s))
        except UpstreamError:
            return _NOTHING
        if found:
            return found
    return _NOTHING


async def _get(
    pool: Pool, target: bytes, headers: Sequence[tuple[bytes, bytes]], timeout_s: float
) -> Response:
    return await fetch(
        pool,
        b"GET",
        target,
        headers=headers,
        timeout_s=timeout_s,
        max_body_bytes=MAX_ANSWER_BYTES,
    )


def _mapping(answer: Response) -> Mapping[str, Any]:
    if answer.status != 200:
        return _NOTHING
    try:
        value = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return _NOTHING
    return value if isinstance(value, dict) else _NOTHING
