"""From a specification to a registered worker: wait until it answers, ask who it is."""

from __future__ import annotations

from typing import Protocol

from smg_output_parser import ParserUnknown, plan_for

from ..settings.rules.addresses import worker_url_error
from ..upstream import Pool, UpstreamError
from .health import HealthConfig
from .jobs import JobFailed, NotYet
from .metadata import Metadata, discover
from .spec import SpecInvalid, WorkerSpec

_SPOKEN = ("http://", "https://")


class Admission(Protocol):
    """Where a worker that has been heard of is let in."""

    def health_of(self, spec: WorkerSpec) -> HealthConfig:
        """How the worker is probed."""
        ...

    def key_of(self, spec: WorkerSpec) -> str | None:
        """The key that the worker is shown."""
        ...

    def open_pool(self, spec: WorkerSpec) -> Pool:
        """A pool for a worker to be; raises ValueError or OSError."""
        ...

    def release_pool(self, pool: Pool) -> None:
        """The pool is not needed after all."""
        ...

    def admit(self, spec: WorkerSpec, pool: Pool, found: Metadata, *, replaces: bool) -> None:
        """Let the worker take requests; raises `JobFailed`."""
        ...

    def given_up(self, spec: WorkerSpec, reason: str) -> None:
        """The worker will not come."""
        ...


class Registration:
    """The attempts to register one worker, and the pool they share."""

    def __init__(self, admission: Admission, spec: WorkerSpec, *, replaces: bool) -> None:
        self._admission = admission
        self._spec = spec
        self._replaces = replaces
        self._pool: Pool | None = None

    async def attempt(self) -> None:
        """Ask the worker who it is and let it in; raises `NotYet` or `JobFailed`."""
        admission, spec = self._admission, self._spec
        if self._pool is None:
            try:
                self._pool = admission.open_pool(spec)
            except (ValueError, OSError) as error:
                raise JobFailed(str(error)) from None
        try:
            health, key = admission.health_of(spec), admission.key_of(spec)
            found = await discover(self._pool, spec, health, key)
        except UpstreamError as error:
            raise NotYet(error.detail) from None
        check_parsers(found)
        admission.admit(spec, self._pool, found, replaces=self._replaces)

    def ended(self, reason: str | None) -> None:
        """Clean up after a registration that was given up."""
        if reason is None:
            return
        if self._pool is not None:
            self._admission.release_pool(self._pool)
        self._admission.given_up(self._spec, reason)


def check_parsers(found: Metadata) -> None:
    """Raise `JobFailed` where a worker says that unknown parsers read its output."""
    labels = found.labels
    named = [(labels.get("tool_parser"), labels.get("reasoning_parser"))]
    named += [(card.tool_parser, card.reasoning_parser) for card in found.cards]
    for tool, reasoning in named:
        try:
            plan_for("", tool_parser=tool, reasoning_parser=reasoning)
        except ParserUnknown as error:
            raise JobFailed(str(error)) from None


def check_reachable(spec: WorkerSpec) -> None:
    """Raise `SpecInvalid` for a worker that this gateway has no way to speak to."""
    url = spec.dp_base_url or spec.url
    reason = worker_url_error(url)
    if reason is not None:
        raise SpecInvalid(f"Invalid value for field 'worker_url': {url} - {reason}")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise SpecInvalid("the URL of a worker is printable ASCII without spaces")
    if not url.startswith(_SPOKEN):
        raise SpecInvalid(f"{url}: only http:// and https:// workers are available in this version")
    if spec.connection_mode not in (None, "http"):
        raise SpecInvalid(
            f"connection_mode {spec.connection_mode} is not available in this version"
        )
    if spec.runtime_type == "external":
        raise SpecInvalid("runtime_type external is not available in this version")


def listed_url(spec: WorkerSpec) -> str:
    """The URL that a worker is listed by; that of a data-parallel rank names the rank."""
    if spec.dp_rank is None:
        return spec.url
    return f"{spec.dp_base_url or spec.url}@{spec.dp_rank}"
