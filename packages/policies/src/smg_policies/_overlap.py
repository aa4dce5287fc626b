"""Choosing by what engines say they hold: scores, their decay under backlog, and warm-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from math import ceil, exp
from random import Random

from smg_kv_index import EventIndex, Overlap

from ._bounds import make_room
from ._config import PolicyConfig
from ._types import Candidate
from ._waiting import reports_of


class OverlapChooser:
    """Picks among workers by leading blocks held, given their loads and reports."""

    def __init__(self, rng: Random, config: PolicyConfig) -> None:
        self._rng = rng
        self._decay = config.overlap_decay
        self._temperature = config.selection_temperature
        self._block_tokens = config.block_size

    def scores(
        self, overlap: Overlap, candidates: Sequence[Candidate], block_tokens: int
    ) -> list[float]:
        """Blocks held per candidate, less where its backlog is above the smallest one."""
        scores: list[float] = [overlap.scores.get(worker.id, 0) for worker in candidates]
        if not self._decay or not overlap.total or not any(scores):
            return scores
        queued = [
            (report.waiting_uncached_tokens or 0) if report is not None else 0
            for report in reports_of(candidates)
        ]
        lowest = min(queued)
        return [
            score / (1 + self._decay * ((tokens - lowest) / block_tokens) / overlap.total)
            for score, tokens in zip(scores, queued, strict=True)
        ]

    def twin(self) -> OverlapChooser:
        """One that chooses alike, drawing on its own."""
        twin = copy(self)
        twin._rng = copy(self._rng)
        return twin

    def choose(self, scores: Sequence[float], loads: Sequence[int]) -> int | None:
        """Position of the choice; None when no score is positive.

        At temperature 0 the best score, then the lower load, then chance; above it a draw with
        exponential weights of the scores scaled to 0..1.
        """
        positive = [index for index, score in enumerate(scores) if score > 0]
        if not positive:
            return None
        if self._temperature > 0:
            return self._draw(positive, scores)
        best = max(scores)
        low = min(loads[index] for index in positive if scores[index] == best)
        ties = [i for i in positive if scores[i] == best and loads[i] == low]
        return ties[0] if len(ties) == 1 else self._rng.choice(ties)

    def _draw(self, positive: Sequence[int], scores: Sequence[float]) -> int:
        low = min(scores[index] for index in positive)
        span = max(scores[index] for index in positive) - low
        weights = [
            exp(((scores[index] - low) / span - 1) / self._temperature) if span else 1.0
            for index in positive
        ]
        return self._rng.choices(positive, weights)[0]


class WarmUp:
    """Gives workers with a small cache a share of the traffic that affinity would not send them.

    A worker is warming while it is new, or holds far fewer blocks than the median, until it has
    gained enough blocks. Nothing is steered while all workers are in the same position.
    """

    def __init__(self, config: PolicyConfig, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._new_s = config.worker_warmup_secs
        self._enough_blocks = config.worker_warmup_blocks
        self._thin_ratio = config.worker_warmup_thin_ratio
        share = config.worker_warmup_share
        self._miss_every = ceil(1 / share) if share > 0 else 0
        self._hit_every = config.worker_warmup_divert_every
        self._misses = 0
        self._hits = 0
        # When a worker was first a candidate, and the blocks it held then.
        self._since: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._since)

    def twin(self) -> WarmUp:
        """A copy that counts on its own."""
        twin = copy(self)
        twin._since = self._since.copy()
        return twin

    def for_miss(
        self, candidates: Sequence[Candidate], loads: Sequence[int], index: EventIndex
    ) -> int | None:
        """Position of the warming worker that this miss goes to; None for the usual way."""
        if not self._new_s or not self._miss_every:
            return None
        warming = self._warming(candidates, index)
        if not warming or len(warming) == len(candidates):
            return None
        self._misses += 1
        if self._misses % self._miss_every:
            return None
        return min(warming, key=loads.__getitem__)

    def for_hit(
        self, candidates: Sequence[Candidate], loads: Sequence[int], index: EventIndex
    ) -> int | None:
        """Position of the thin worker that this hit is diverted to; None for the usual way."""
        if not self._new_s or not self._hit_every:
            return None
        thin = self._thin(candidates, index)
        if not thin:
            return None
        self._hits += 1
        if self._hits % self._hit_every:
            return None
        return min(thin, key=loads.__getitem__)

    def forget(self, worker_id: str) -> None:
        """The worker is gone."""
        self._since.pop(worker_id, None)

    def _thin(self, candidates: Sequence[Candidate], index: EventIndex) -> Mapping[int, int]:
        """Positions of workers below the share of the median, with the blocks they hold."""
        held = [index.blocks_held(worker.id) for worker in candidates]
        bound = self._thin_ratio * sorted(held)[len(held) // 2]
        return {place: blocks for place, blocks in enumerate(held) if blocks < bound}

    def _warming(self, candidates: Sequence[Candidate], index: EventIndex) -> list[int]:
        now = self._clock()
        thin = self._thin(candidates, index)
        warming: list[int] = []
        for place, worker in enumerate(candidates):
            held = index.blocks_held(worker.id)
            if worker.id not in self._since:
                make_room(self._since)
                self._since[worker.id] = (now, held)
            started_at, at_start = self._since[worker.id]
            cold = now - started_at < self._new_s or place in thin
            if cold and held - at_start < self._enough_blocks:
                warming.append(place)
        return warming
