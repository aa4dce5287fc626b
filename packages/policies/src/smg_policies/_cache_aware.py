"""Send a prompt where its prefix is likely cached, as long as load permits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from random import Random
from typing import AnyStr

from smg_kv_index import (
    EventIndex,
    PlacementIndex,
    PrefixMatch,
    StringTree,
    TokenTree,
    pack_tokens,
    partition_seed,
)
from xxhash import xxh3_64_intdigest

from ._affinity import Affinity
from ._config import PolicyConfig
from ._memory import TextMemory, TokenMemory
from ._overlap import OverlapChooser, WarmUp
from ._types import BasePolicy, Candidate, Decision, RoutingRequest

TIDIED_PER_SWEEP = 2000
"""Nodes or blocks of removed workers looked at per sweep and index: about a millisecond."""

_TOKEN_BYTES = 4

_MATCH = "prefix believed cached here"
_HELD = "engine reports the prefix cached here"
_SPILL = "its cache holders are too far above the mean load"
_MISS = "no worker holds enough of the prompt: least loaded"
_STRAY = "its cache holders are not usable: first usable worker"
_PRESSURE = "KV caches too full for affinity: least loaded"
_BLANK = "no prompt to match: least loaded"
_WARMING = "steered to a worker that is warming up"


class CacheAwarePolicy(BasePolicy):
    """Affinity to the worker believed to hold a prompt's prefix, limited by a load gate.

    Knowledge comes from the best source at hand: block events of the engines (`events`, to be
    fed by the caller), else the prompts sent before, as tokens or as text; or, with
    `cache_index="hash"`, from hashes of the heads of recent prompts. Prefix trees stay within
    `max_tree_size` units and `max_tree_holds` entries at all times. One object per model.
    """

    name = "cache_aware"
    needs_text = True

    def __init__(self, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> None:
        self._threshold = config.cache_threshold
        self._block_tokens = config.block_size
        self._clock = clock
        self._affinity = Affinity(config, clock)
        self._texts = TextMemory(config)
        self._tokens = TokenMemory(config)
        self._overlap = OverlapChooser(rng, config)
        self._warm_up = WarmUp(config, clock)
        self.events = EventIndex()
        # False in a copy made for a preview.
        self._learns = True
        # Removed workers that the trees may still name.
        self._departed: set[str] = set()
        self._boundaries = config.cache_boundaries
        self._placements: PlacementIndex | None = None
        if config.cache_index == "hash":
            self._placements = PlacementIndex(config.cache_ttl_secs)

    @property
    def texts(self) -> StringTree:
        """The prompts remembered as text, for exchange with other gateways."""
        return self._texts.tree

    @property
    def placements(self) -> PlacementIndex | None:
        """Where recent prompts' heads went; None unless that is how prompts are remembered."""
        return self._placements

    @property
    def tokens(self) -> TokenTree:
        """The prompts remembered as tokens."""
        return self._tokens.tree

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """Choose; None without candidates. Remembers the prompt as the chosen worker's."""
        if not candidates:
            return None
        loads = [candidate.load for candidate in candidates]
        packed = _packed(request.tokens)
        partition = request.partition
        if self._placements is not None:
            return self._by_head(self._placements, packed, partition, candidates, loads)
        if packed:
            if not self.events.is_empty:
                return self._by_events(packed, partition, candidates, loads)
            memory = self._tokens
            recall = memory.recall(packed, partition, touch=self._learns)
            return self._by_memory(memory.store, "tokens", recall, candidates, loads)
        if request.text:
            texts = self._texts
            found = texts.recall(request.text, partition, touch=self._learns)
            return self._by_memory(texts.store, "characters", found, candidates, loads)
        return self._least(candidates, loads, _BLANK)

    def preview(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        """What `select` would answer now; nothing is remembered, accessed, counted or drawn.

        The trees are shared, so it costs about as much as a choice, whatever they hold.
        """
        twin = copy(self)
        twin._learns = False
        twin._affinity = self._affinity.twin()
        twin._overlap = self._overlap.twin()
        twin._warm_up = self._warm_up.twin()
        return twin.select(request, candidates)

    def worker_removed(self, worker_id: str) -> None:
        """Forget a worker in every index: by what it held, at the latest some sweeps later."""
        self._affinity.forget(worker_id)
        self._warm_up.forget(worker_id)
        self._departed.add(worker_id)
        self._texts.tree.retire_tenant(worker_id)
        self._tokens.tree.retire_tenant(worker_id)
        self.events.cleared(worker_id)
        if self._placements is not None:
            self._placements.forget(worker_id)

    def sweep(self, now: float) -> None:
        """Drop expired placements, and some more of what removed workers held.

        Trees are kept within their bounds as they grow.
        """
        texts_tidy = self._texts.tree.tidy(TIDIED_PER_SWEEP)
        tokens_tidy = self._tokens.tree.tidy(TIDIED_PER_SWEEP)
        if texts_tidy and tokens_tidy:
            self._departed.clear()
        self.events.tidy(TIDIED_PER_SWEEP)
        if self._placements is not None:
            self._placements.sweep(now)

    def _by_memory(
        self,
        store: Callable[[AnyStr, PrefixMatch, str], None],
        unit: str,
        recall: tuple[AnyStr, PrefixMatch, int],
        candidates: Sequence[Candidate],
        loads: list[int],
    ) -> Decision:
        key, match, skip = recall
        matched = match.matched - skip if match.matched > skip else 0
        total = match.total - skip
        if self._affinity.under_pressure(candidates):
            decision = self._least(candidates, loads, _PRESSURE, matched, total, unit)
        elif matched / total <= self._threshold:
            decision = self._least(candidates, loads, _MISS, matched, total, unit)
        else:
            index = self._affinity.holder(match.holders, match.latest, candidates, loads)
            if index is None and not self._departed.issuperset(match.holders):
                return self._stray(candidates, loads, matched, total, unit)
            if index is None:
                decision = self._least(candidates, loads, _MISS, 0, total, unit)
            elif index < 0:
                decision = self._least(candidates, loads, _SPILL, matched, total, unit, "spill")
            else:
                worker = candidates[index]
                self._affinity.charge(worker, total - matched, unit)
                decision = Decision(worker, self.name, _MATCH, "tree_match", matched, total, unit)
        if self._learns:
            store(key, match, decision.worker.id)
        return decision

    def _stray(
        self,
        candidates: Sequence[Candidate],
        loads: list[int],
        matched: int,
        total: int,
        unit: str,
    ) -> Decision:
        """The holders are away: not remembered, so that the prompt is still theirs afterwards."""
        if self._affinity.refuses(loads[0], loads):
            return self._least(candidates, loads, _STRAY, matched, total, unit, "spill")
        self._affinity.charge(candidates[0], total, unit)
        return Decision(
            candidates[0], self.name, _STRAY, "first_healthy_fallback", matched, total, unit
        )

    def _by_events(
        self,
        packed: bytes,
        partition: str | None,
        candidates: Sequence[Candidate],
        loads: list[int],
    ) -> Decision:
        block_tokens = self.events.block_tokens or self._block_tokens
        overlap = self.events.find_packed(packed, block_tokens, partition=partition)
        total = overlap.total
        if self._affinity.under_pressure(candidates):
            return self._least(candidates, loads, _PRESSURE, 0, total, "blocks")
        scores = self._overlap.scores(overlap, candidates, block_tokens)
        index = self._overlap.choose(scores, loads)
        if index is None:
            index = self._warm_up.for_miss(candidates, loads, self.events)
            if index is None:
                return self._least(candidates, loads, _MISS, 0, total, "blocks")
            reason = _WARMING
        else:
            reason = _HELD
            if self._affinity.refuses(loads[index], loads):
                best = overlap.scores[candidates[index].id]
                return self._least(candidates, loads, _SPILL, best, total, "blocks", "spill")
            diverted = self._warm_up.for_hit(candidates, loads, self.events)
            if diverted is not None:
                index, reason = diverted, _WARMING
        worker = candidates[index]
        held = overlap.scores.get(worker.id, 0)
        uncached = len(packed) // _TOKEN_BYTES - held * block_tokens
        self._affinity.charge(worker, uncached, "tokens")
        branch = "tree_match" if reason is _HELD else "expected_wait_fallback"
        seen = tuple(
            (candidate.id, score) for candidate, score in zip(candidates, scores, strict=True)
        )
        return Decision(worker, self.name, reason, branch, held, total, "blocks", seen)

    def _by_head(
        self,
        placements: PlacementIndex,
        packed: bytes,
        partition: str | None,
        candidates: Sequence[Candidate],
        loads: list[int],
    ) -> Decision:
        total = len(packed) // _TOKEN_BYTES
        fitting = [length for length in self._boundaries if length <= total]
        if not fitting:
            return self._least(candidates, loads, _BLANK)
        now = self._clock()
        seed = partition_seed(partition)
        keys = [xxh3_64_intdigest(packed[: n * _TOKEN_BYTES], seed) for n in fitting]
        decision: Decision | None = None
        if self._affinity.under_pressure(candidates):
            decision = self._least(candidates, loads, _PRESSURE, 0, total, "tokens")
        for length, key in zip(reversed(fitting), reversed(keys), strict=True):
            if decision is not None:
                break
            index = self._affinity.holder(placements.holders(key, now), None, candidates, loads)
            if index is None:
                continue
            shown = (length, total, "tokens")
            if index < 0:
                decision = self._least(candidates, loads, _SPILL, *shown, "spill")
            else:
                self._affinity.charge(candidates[index], total - length, "tokens")
                decision = Decision(candidates[index], self.name, _MATCH, "tree_match", *shown)
        decision = decision or self._least(candidates, loads, _MISS, 0, total, "tokens")
        if self._learns:
            placements.record(keys, decision.worker.id, now)
        return decision

    def _least(
        self,
        candidates: Sequence[Candidate],
        loads: list[int],
        reason: str,
        matched: int = 0,
        total: int = 0,
        unit: str = "",
        branch: str = "expected_wait_fallback",
    ) -> Decision:
        worker = candidates[self._affinity.least(candidates, loads)]
        self._affinity.charge(worker, total, unit)
        return Decision(worker, self.name, reason, branch, matched, total, unit)


def _packed(tokens: Sequence[int] | None) -> bytes:
    """Token ids in packed form; empty when there are none, or some that no vocabulary has."""
    if not tokens:
        return b""
    try:
        return pack_tokens(tokens)
    except OverflowError:
        return b""
