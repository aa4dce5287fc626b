"""What this version can honour: refusals for what it cannot, warnings for what it ignores."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from smg_gateway.settings.declaration import Declaration, Status
from smg_gateway.settings.errors import ConfigError
from smg_gateway.settings.record import Settings, declarations

__all__ = ("check_available", "ineffective", "unavailable")

_ABSENT_SCHEMES = ("grpc://", "grpcs://", "ipc://")


def check_available(settings: Settings) -> None:
    """Raise ConfigError for the first thing `settings` ask for that this version lacks."""
    for reason in unavailable(settings):
        raise ConfigError.incompatible(reason)


def unavailable(settings: Settings) -> tuple[str, ...]:
    """One sentence for each thing `settings` ask for that this version lacks."""
    return tuple(_refusals(settings))


def ineffective(settings: Settings, explicit: Collection[str] | None = None) -> list[str]:
    """One warning for each setting that was given but is ignored by this version.

    `explicit` names the settings that were given; None takes those that differ from defaults.
    """
    given = {name for name, _ in settings.changed()} if explicit is None else explicit
    return [
        f"{declaration.flag} has no effect in this version"
        for declaration in declarations()
        if declaration.status is Status.TUNING and declaration.name in given
    ]


def _refusals(settings: Settings) -> Iterator[str]:
    for declaration in declarations():
        asked = _what_is_refused(declaration, getattr(settings, declaration.name))
        if asked is not None:
            yield f"{asked} is not available in this version"
    named = [("--worker-urls", url) for url in settings.worker_urls]
    named += [("--prefill", worker.url) for worker in settings.prefill or ()]
    named += [("--decode", url) for url in settings.decode or ()]
    for flag, url in named:
        if url.startswith(_ABSENT_SCHEMES):
            yield f"{flag} {url} is not available in this version"


def _what_is_refused(declaration: Declaration, value: object) -> str | None:
    if declaration.available is not None and value not in declaration.available:
        return f"{declaration.flag} {value}"
    above = declaration.refuse_above
    if above is not None and isinstance(value, int) and value > above:
        return f"{declaration.flag} {value}"
    # False, empty and unset never ask for anything, whatever the default is.
    if declaration.status is Status.ABSENT and value and value != declaration.default:
        return declaration.flag
    return None
