"""The tokenizers a process has, by name and by id."""

import asyncio
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .errors import TokenizerError, TokenizerExists
from .interface import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenizerEntry:
    """A loaded tokenizer. `id` is a UUIDv7, `source` the name or path it came from."""

    id: str
    name: str
    source: str
    tokenizer: Tokenizer


class TokenizerRegistry:
    """Names are unique; loads of one name wait for each other. For the tasks of one event loop."""

    def __init__(self, new_id: Callable[[], str] | None = None) -> None:
        self._new_id = new_id or uuid7
        self._by_name: dict[str, TokenizerEntry] = {}
        self._by_id: dict[str, TokenizerEntry] = {}
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def load(
        self,
        name: str,
        source: str,
        load: Callable[[str], Awaitable[Tokenizer]],
        *,
        tokenizer_id: str | None = None,
    ) -> TokenizerEntry:
        """Register what `load(source)` gives.

        Raises TokenizerExists with the id it has if the name is taken, also by a load that was
        under way; TokenizerError for an empty name or source; and what `load` raises.
        """
        if not name:
            raise TokenizerError("tokenizer name cannot be empty")
        if not source:
            raise TokenizerError("tokenizer source cannot be empty")
        lock, waiting = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, waiting + 1)
        try:
            async with lock:
                self._refuse_taken(name)
                tokenizer = await load(source)
                return self.add(name, source, tokenizer, tokenizer_id=tokenizer_id)
        finally:
            lock, waiting = self._locks.pop(name)
            if waiting > 1:
                self._locks[name] = (lock, waiting - 1)

    def add(
        self, name: str, source: str, tokenizer: Tokenizer, *, tokenizer_id: str | None = None
    ) -> TokenizerEntry:
        """Register a tokenizer that is loaded. Raises TokenizerExists."""
        self._refuse_taken(name)
        entry = TokenizerEntry(tokenizer_id or self._new_id(), name, source, tokenizer)
        self._by_name[name] = entry
        self._by_id[entry.id] = entry
        return entry

    def get(self, key: str) -> TokenizerEntry | None:
        """By name, else by id."""
        return self._by_name.get(key) or self._by_id.get(key)

    def remove(self, key: str) -> TokenizerEntry | None:
        """Forget a tokenizer, by id or by name; the entry it had."""
        entry = self._by_id.get(key) or self._by_name.get(key)
        if entry is not None:
            del self._by_name[entry.name]
            del self._by_id[entry.id]
        return entry

    def list(self) -> list[TokenizerEntry]:
        """All entries, sorted by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    def first(self) -> TokenizerEntry | None:
        """The entry that has been there longest: what a request without a model gets."""
        return next(iter(self._by_name.values()), None)

    def __len__(self) -> int:
        return len(self._by_name)

    def _refuse_taken(self, name: str) -> None:
        taken = self._by_name.get(name)
        if taken is not None:
            raise TokenizerExists(name, taken.id)


def uuid7() -> str:
    """A new UUIDv7: milliseconds since 1970, then chance."""
    value = (time.time_ns() // 1_000_000 & (2**48 - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
