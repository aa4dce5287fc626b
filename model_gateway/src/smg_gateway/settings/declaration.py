"""What is known about one setting, as data: everything else is derived from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from smg_gateway.settings.shapes import TEXT, Shape

__all__ = ("METADATA_KEY", "Declaration", "Group", "Status")

METADATA_KEY = "smg_gateway.setting"
T = TypeVar("T")


class Status(StrEnum):
    """What this version does with a setting.

    `live`: honoured. `tuning`: accepted without effect, because the feature it tunes is not
    there; giving it explicitly earns a warning. `absent`: turning it on is refused, because
    ignoring it would change behaviour or safety.
    """

    LIVE = "live"
    TUNING = "tuning"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One setting, self-contained.

    `choices` is what the command line admits, `available` the part of it that this version
    honours (None: all), `refuse_above` a number beyond which a value asks for something absent.
    `conflicts_with` names a flag that cannot be given together with this one.
    `own` marks settings that exist here but not in the program we are compatible with,
    `live_reload` those that a running gateway can take over from a changed settings file.
    """

    flag: str
    aliases: tuple[str, ...]
    group: str
    default: object
    shape: Shape
    help: str
    status: Status
    choices: tuple[str, ...] | None = None
    available: tuple[str, ...] | None = None
    refuse_above: int | None = None
    environment: str | None = None
    conflicts_with: str | None = None
    secret: bool = False
    own: bool = False
    live_reload: bool = False

    @property
    def name(self) -> str:
        """The field of `Settings` that holds the value: `--worker-urls` is `worker_urls`."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Group:
    """A heading of the help text, and the way to declare a setting under it."""

    title: str

    def setting(
        self,
        default: T,
        flag: str,
        *aliases: str,
        help: str,
        shape: Shape = TEXT,
        status: Status = Status.LIVE,
        choices: tuple[str, ...] | None = None,
        available: tuple[str, ...] | None = None,
        refuse_above: int | None = None,
        environment: str | None = None,
        conflicts_with: str | None = None,
        secret: bool = False,
        own: bool = False,
        live_reload: bool = False,
    ) -> T:
        """A dataclass field whose metadata carries the declaration."""
        declaration = Declaration(
            flag=flag,
            aliases=aliases,
            group=self.title,
            default=default,
            shape=shape,
            help=help,
            status=status,
            choices=choices,
            available=available,
            refuse_above=refuse_above,
            environment=environment,
            conflicts_with=conflicts_with,
            secret=secret,
            own=own,
            live_reload=live_reload,
        )
        return field(default=default, metadata={METADATA_KEY: declaration})
