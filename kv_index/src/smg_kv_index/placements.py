"""Recent placements by key: where did requests with this hash go in the last minutes?"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable


class PlacementIndex:
    """A bounded map from keys (hashes) to the few workers that were last given them.

    A placement counts for `ttl_s` seconds after it was last recorded. At most `max_keys` keys
    are kept, the least recently recorded one goes first, and `max_holders` workers per key.
    Times are seconds on any clock that does not go back. Not safe for concurrent use: keep all
    calls on one thread.
    """

    def __init__(self, ttl_s: float, *, max_keys: int = 2**18, max_holders: int = 3) -> None:
        self._ttl_s = ttl_s
        self._max_keys = max_keys
        self._max_holders = max_holders
        # Least recently recorded first; per key the workers, oldest first, and when they expire.
        self._keys: OrderedDict[int, dict[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def holders(self, key: int, now: float) -> tuple[str, ...]:
        """The workers whose placement under `key` still counts, latest last."""
        placed = self._keys.get(key)
        if placed is None:
            return ()
        return tuple(worker for worker, expires_at in placed.items() if expires_at > now)

    def record(self, keys: Iterable[int], worker: str, now: float) -> None:
        """A request with these keys went to `worker`."""
        expires_at = now + self._ttl_s
        for key in keys:
            placed = self._keys.setdefault(key, {})
            placed.pop(worker, None)
            placed[worker] = expires_at
            if len(placed) > self._max_holders:
                del placed[next(iter(placed))]
            self._keys.move_to_end(key)
        while len(self._keys) > self._max_keys:
            self._keys.popitem(last=False)

    def forget(self, worker: str) -> None:
        """Drop every placement on a worker; looks at every key."""
        for key in tuple(self._keys):
            placed = self._keys[key]
            placed.pop(worker, None)
            if not placed:
                del self._keys[key]

    def sweep(self, now: float) -> None:
        """Drop keys of which no placement counts any more."""
        while self._keys:
            placed = next(iter(self._keys.values()))
            if max(placed.values()) > now:
                return
            self._keys.popitem(last=False)
