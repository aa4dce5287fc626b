"""Policies that send equal keys to the same worker."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from random import Random

from xxhash import xxh3_64_hexdigest

from ._config import PolicyConfig
from ._ring import HashRing
from ._types import BasePolicy, Candidate, Decision, RoutingRequest

_CHARACTERS_PER_TOKEN = 4
_TOKEN_MASK = 0xFFFF_FFFF


class ConsistentHashingPolicy(BasePolicy):
    """By the client's own choice of worker, its key, or its address or cookie; else by chance."""

    name = "consistent_hashing"

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._ring = HashRing()

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates, or when the worker that was asked for is not there."""
        if not candidates:
            return None
        workers = {candidate.id: candidate for candidate in candidates}
        if request.target is not None:
            named = workers.get(request.target)
            if named is None:
                return None
            return Decision(named, self.name, "named by the client", "target_worker_hit")
        if request.routing_key:
            worker = self._of_key(request.routing_key, workers)
            return Decision(worker, self.name, "by the routing key", "routing_key_hit")
        if request.implicit_key:
            worker = self._of_key(request.implicit_key, workers)
            return Decision(worker, self.name, "by client address or cookie", "implicit_key_hit")
        worker = candidates[int(self._rng.random() * len(candidates))]
        return Decision(worker, self.name, "no key: random", "random_fallback")

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is drawn or put on the ring."""
        twin = copy(self)
        twin._rng, twin._ring = copy(self._rng), self._ring.twin()
        return twin.select(request, candidates)

    def worker_removed(self, worker_id: str) -> None:
        """Take a worker off the ring."""
        self._ring.remove(worker_id)

    def _of_key(self, key: str, workers: Mapping[str, Candidate]) -> Candidate:
        return _on_ring(self._ring, key.encode("utf-8", "surrogatepass"), workers)


class PrefixHashPolicy(BasePolicy):
    """By a hash of the prompt's head, walking on from workers that are too busy."""

    name = "prefix_hash"
    needs_text = True

    def __init__(self, config: PolicyConfig) -> None:
        self._head_tokens = config.prefix_token_count
        self._boundaries = config.cache_boundaries
        self._factor = config.prefix_hash_load_factor
        self._excess = config.prefix_hash_balance_abs_threshold
        self._ring = HashRing()

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates."""
        if not candidates:
            return None
        idlest = min(candidates, key=lambda candidate: candidate.load)
        total = sum(candidate.load for candidate in candidates)
        mean = (total + 1) / len(candidates)
        bound = max(mean * self._factor, mean + self._excess) if total else float("inf")
        workers = {candidate.id: candidate for candidate in candidates}
        first: Candidate | None = None
        for head in self._heads(request):
            worker = _on_ring(self._ring, xxh3_64_hexdigest(head).encode(), workers)
            if worker.load <= bound:
                return Decision(worker, self.name, "by the prompt's head", "ring_hit")
            first = first or worker
        if first is None:
            return Decision(idlest, self.name, "nothing to hash: least loaded", "no_routing_key")
        worker = idlest if idlest.load <= bound else first
        return Decision(
            worker, self.name, "the head's worker is too busy: least loaded", "load_balance_walk"
        )

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is put on the ring."""
        twin = copy(self)
        twin._ring = self._ring.twin()
        return twin.select(request, candidates)

    def worker_removed(self, worker_id: str) -> None:
        """Take a worker off the ring."""
        self._ring.remove(worker_id)

    def _heads(self, request: RoutingRequest) -> Iterator[bytes]:
        """What to hash, best first: the key, or heads of the tokens, or of the text."""
        if request.routing_key:
            yield request.routing_key.encode("utf-8", "surrogatepass")
        elif request.tokens:
            for length in self._lengths(len(request.tokens), 1):
                head = request.tokens[:length]
                yield struct.pack(f"<{len(head)}I", *(token & _TOKEN_MASK for token in head))
        elif request.text:
            for length in self._lengths(len(request.text), _CHARACTERS_PER_TOKEN):
                yield request.text[:length].encode("utf-8", "surrogatepass")

    def _lengths(self, available: int, per_token: int) -> list[int]:
        lengths = [boundary * per_token for boundary in reversed(self._boundaries)]
        fitting = [length for length in lengths if length <= available]
        return fitting or [self._head_tokens * per_token]


def _on_ring(ring: HashRing, key: bytes, workers: Mapping[str, Candidate]) -> Candidate:
    ring.admit(workers)
    found = ring.locate(key, workers)
    assert found is not None, "admitted workers are on the ring"
    return workers[found]
