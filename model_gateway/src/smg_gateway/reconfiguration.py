"""Taking over changed settings while the gateway runs: all of them, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .observability.logs import get_logger
from .settings import Change, ConfigError, FileWatch, Settings, changes, needing_restart

POLL_S = 2.0


class Reconfigurer:
    """Reads the settings again when asked to, or when their file has changed.

    `reread` gives settings with which a gateway could start, or raises ConfigError; it runs in a
    thread. `apply` puts them into force; should it fail, what was in force must still be.
    `outcome` hears `applied`, `unchanged` or `refused`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        reread: Callable[[], Settings],
        apply: Callable[[Settings], Awaitable[None]],
        outcome: Callable[[str], None] = lambda result: None,
        watch: FileWatch | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        self.settings = settings
        self._reread = reread
        self._apply = apply
        self._outcome = outcome
        self._watch = watch
        self._poll_s = poll_s
        self._asked = asyncio.Event()
        self._log = get_logger("smg_gateway.reconfiguration")

    def ask(self) -> None:
        """Read the settings again soon."""
        self._asked.set()

    async def run(self) -> None:
        """Watch for ever; cancel to stop."""
        while True:
            if await self._is_due():
                await self.reload()

    async def reload(self) -> bool:
        """Read again and apply; whether anything has changed."""
        try:
            new = await asyncio.to_thread(self._read)
        except ConfigError as error:
            self._refuse(str(error))
            return False
        found = changes(self.settings, new)
        if not found:
            self._log.info("settings unchanged")
            self._outcome("unchanged")
            return False
        restart = needing_restart(found)
        if restart:
            self._refuse(f"{', '.join(restart)} cannot change without a restart", found)
            return False
        try:
            await self._apply(new)
        except Exception as error:  # noqa: BLE001 - third-party policies are made in there
            self._log.error("settings could not be applied", exc_info=error)
            self._refuse(str(error), found)
            return False
        self.settings = new
        self._log.info("settings changed", changes=[str(change) for change in found])
        self._outcome("applied")
        return True

    def _read(self) -> Settings:
        try:
            return self._reread()
        except SystemExit as error:
            # The command line's parser ends the process, which is not what is wanted here.
            raise ConfigError(f"the settings cannot be parsed (exit code {error.code})") from error

    def _refuse(self, reason: str, found: list[Change] | None = None) -> None:
        shown = [str(change) for change in found or ()]
        self._log.error("settings refused, the old ones stay", reason=reason, changes=shown)
        self._outcome("refused")

    async def _is_due(self) -> bool:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._asked.wait()
        except TimeoutError:
            return self._watch is not None and await asyncio.to_thread(self._watch.changed)
        self._asked.clear()
        if self._watch is not None:
            self._watch.note()
        return True
