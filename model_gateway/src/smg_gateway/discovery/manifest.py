"""The worker manifest: a JSON or YAML document that lists all workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

import msgspec

from ..settings.rules.addresses import worker_url_error
from ..workers.spec import MAX_PORT, WorkerType
from .worker import DiscoveredWorker

VERSION = 1
MAX_DEPTH = 8
"""Levels of nesting that are looked into; a manifest has three."""

YAML_SUFFIXES = (".yaml", ".yml")

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=MAX_PORT)]


class ManifestInvalid(ValueError):
    """A document that is no manifest; the message says where and why."""


class _Version(msgspec.Struct):
    version: Any


class _Worker(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    url: _Text
    id: _Text | None = None
    worker_type: WorkerType | None = None
    bootstrap_port: _Port | None = None
    model_id: _Text | None = None
    kv_connector: _Text | None = None
    kv_role: _Text | None = None
    kv_engine_id: _Text | None = None


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal[1]
    workers: list[_Worker]


def read_manifest(
    data: bytes, *, is_yaml: bool = False, paired: bool = False
) -> dict[str, DiscoveredWorker]:
    """The workers of a manifest by id, in its order; raises `ManifestInvalid` for the slightest
    fault, because half a list of workers is worse than the one before.

    `paired` says that only workers of disaggregated legs are of use.
    """
    document = _yaml(data) if is_yaml else _json(data)
    try:
        version = msgspec.convert(document, _Version).version
        if type(version) is not int or version != VERSION:
            raise ManifestInvalid(f"$.version: {version!r} is not known, only {VERSION} is")
        manifest = msgspec.convert(document, _Manifest)
    except msgspec.ValidationError as error:
        raise ManifestInvalid(_placed(str(error))) from None
    found: dict[str, DiscoveredWorker] = {}
    places: dict[str, int] = {}
    for index, entry in enumerate(manifest.workers):
        worker = _worker(entry, f"$.workers[{index}]", paired=paired)
        if worker.id in found:
            raise ManifestInvalid(f"$.workers[{index}].id: {worker.id!r} is there already")
        first = places.setdefault(worker.url, index)
        if first != index:
            raise ManifestInvalid(f"$.workers[{index}].url: the same as that of $.workers[{first}]")
        found[worker.id] = worker
    return found


def _worker(entry: _Worker, place: str, *, paired: bool) -> DiscoveredWorker:
    kind = entry.worker_type or "regular"
    if paired and kind == "regular":
        raise ManifestInvalid(
            f"{place}.worker_type: prefill/decode routing needs one, and has no use for regular"
        )
    # Manifests may leave the scheme out.
    url = entry.url if "://" in entry.url else f"http://{entry.url}"
    reason = worker_url_error(url)
    if reason is not None:
        raise ManifestInvalid(f"{place}.url: {reason}")
    return DiscoveredWorker(
        id=entry.id if entry.id is not None else entry.url,
        url=url,
        worker_type=kind,
        bootstrap_port=entry.bootstrap_port,
        model_id=entry.model_id,
        kv_connector=entry.kv_connector,
        kv_role=entry.kv_role,
        kv_engine_id=entry.kv_engine_id,
    )


def _placed(message: str) -> str:
    """The decoder's message with the place in front."""
    reason, _, place = message.partition(" - at `")
    return f"{place.removesuffix('`')}: {reason}" if place else f"$: {reason}"


# --- documents -------------------------------------------------------------------------------


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(data)
    except RecursionError:
        raise ManifestInvalid("nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestInvalid(f"no JSON: {_located(data, str(error))}") from None
    return _object(document)


def _located(data: bytes, message: str) -> str:
    """Editors show lines, the decoder counts bytes."""
    reason, _, where = message.partition(" (byte ")
    digits = where.removesuffix(")")
    if not digits.isdecimal():
        return message
    before = data[: int(digits)]
    line = before.count(b"\n") + 1
    column = len(before) - before.rfind(b"\n")
    return f"line {line}, column {column}: {reason}"


def _yaml(data: bytes) -> Mapping[str, Any]:
    import yaml  # Only those who use such a file pay for it.

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_nesting(data, loader)
        return _object(yaml.load(data, Loader=loader))
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        raise ManifestInvalid(f"no YAML: {line}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, ManifestInvalid):
            raise
        raise ManifestInvalid(f"no YAML: {str(error).splitlines()[0]}") from None


class _Mark(Protocol):
    @property
    def line(self) -> int: ...


def _line(mark: _Mark | None) -> str:
    return f"line {mark.line + 1}: " if mark is not None else ""


def _check_nesting(data: bytes, loader: Any) -> None:
    """Composing recurses, so depth is looked at before it; and aliases could multiply."""
    import yaml

    depth = 0
    for event in yaml.parse(data, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            raise ManifestInvalid(f"{_line(event.start_mark)}aliases are not taken")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise ManifestInvalid(f"{_line(event.start_mark)}nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _object(document: object) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise ManifestInvalid("$: a manifest is an object with version and workers")
    return document
