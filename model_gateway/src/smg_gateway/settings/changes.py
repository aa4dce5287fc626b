"""What differs between the settings that are in force and those that are to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from smg_gateway.settings.declaration import Declaration, Status
from smg_gateway.settings.record import MASK, Settings, declarations

__all__ = ("Change", "changes", "needing_restart")


class Change(NamedTuple):
    """One setting with another value than before."""

    declaration: Declaration
    old: object
    new: object

    @property
    def needs_restart(self) -> bool:
        """Whether a running gateway cannot take the new value over."""
        # What has no effect has none after the change either.
        declaration = self.declaration
        return not declaration.live_reload and declaration.status is not Status.TUNING

    def __str__(self) -> str:
        """For logs: `queue-size: 100 -> 5`; secrets are masked."""
        name = self.declaration.flag.removeprefix("--")
        return f"{name}: {self._shown(self.old)} -> {self._shown(self.new)}"

    def _shown(self, value: object) -> str:
        if value is None or value == ():
            return "unset"
        return MASK if self.declaration.secret else str(value)


def changes(old: Settings, new: Settings) -> list[Change]:
    """Every difference, in the order of the help text."""
    pairs = ((one, getattr(old, one.name), getattr(new, one.name)) for one in declarations())
    return [Change(one, before, after) for one, before, after in pairs if before != after]


def needing_restart(found: Iterable[Change]) -> list[str]:
    """The flags that a running gateway cannot change."""
    return [change.declaration.flag for change in found if change.needs_restart]
