"""An exact index of engines' KV caches, kept up to date by their block events.

A block is known by its chain hash: the hash of its tokens seeded with the hash of the block
before it, so one number stands for a whole prefix. One table maps chain hashes to the sets of
those who hold the block and all blocks before it. Along a chain these sets can only shrink, which
is what lets a search bisect instead of walking it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from ._blocks import NOBODY, BlockTable
from .hashing import BLOCK_SEED, TOKEN_BYTES, chain_hashes, chain_hashes_of, pack_tokens

_STRIDE_BLOCKS = 32
"""How many blocks of a request are hashed before looking whether anyone holds the last one."""


MAX_FORMER = 8
"""Cleared workers whose blocks may wait for `tidy`."""


class WorkerUntracked(LookupError):
    """A block follows another one of a worker of which nothing is known."""

    def __init__(self) -> None:
        super().__init__("worker not tracked in index")


class ParentUnknown(LookupError):
    """A block follows one that its worker is not known to hold."""

    def __init__(self) -> None:
        super().__init__("parent block hash not found for worker")


class Overlap(NamedTuple):
    """How much of a request workers hold.

    `scores` maps workers to the number of leading blocks they hold without a gap; workers
    without the first block are absent. `total` is the number of whole blocks asked for.
    """

    scores: dict[str, int]
    total: int


class HeldBlock(NamedTuple):
    """One block of one worker for exchange.

    `key` is the engine's hash, in a pair behind the medium where one was named; the chain hashes
    are its own and that of the block before, None at the start of a prompt.
    """

    key: Hashable
    chain_hash: int
    parent_chain_hash: int | None


class _Worker:
    __slots__ = ("bit", "blocks", "doubles", "media", "name", "position")

    def __init__(self, name: str, position: int) -> None:
        self.name = name
        self.position = position
        self.bit = 1 << position
        # Engine hash, or (medium, engine hash), -> block's number; oldest first.
        self.blocks: dict[Hashable, int] = {}
        # Further keys under which a block is held, beyond the first.
        self.doubles: dict[int, int] = {}
        self.media: set[str] = set()


class EventIndex:
    """Which worker holds which blocks, from stored, removed and cleared events.

    Workers are named by the caller; ranks of a data-parallel engine are workers of their own.
    Engine hashes may be any hashable value and need to be unique per worker and medium only. At
    most `max_worker_blocks` are kept per worker: beyond it the ones stored first are forgotten.
    Not safe for concurrent use: keep all calls on one thread.
    """

    def __init__(self, *, max_worker_blocks: int = 2**21) -> None:
        self._max_worker_blocks = max_worker_blocks
        self._blocks = BlockTable()
        self._workers: dict[str, _Worker] = {}
        # Names by bit position; positions of workers that are gone are used again.
        self._names: list[str] = []
        self._free: list[int] = []
        # Workers that gave everything up, whose blocks `tidy` has yet to let go; their bits.
        self._former: list[_Worker] = []
        self._former_bits = 0
        self._block_tokens: int | None = None
        # Only an adopted block can be known before its parent is.
        self._has_adopted = False

    def __len__(self) -> int:
        """Blocks held, counted once per worker and engine hash."""
        return sum(len(worker.blocks) for worker in self._workers.values())

    @property
    def is_empty(self) -> bool:
        """Whether nobody holds anything."""
        return not self._workers

    @property
    def workers(self) -> tuple[str, ...]:
        """The workers that hold anything."""
        return tuple(self._workers)

    @property
    def block_tokens(self) -> int | None:
        """Tokens per block as last stored; None before anything was."""
        return self._block_tokens

    def blocks_held(self, worker: str) -> int:
        """How many blocks a worker holds; 0 for an unknown one."""
        state = self._workers.get(worker)
        return len(state.blocks) if state is not None else 0

    def stored(
        self,
        worker: str,
        blocks: Sequence[tuple[Hashable, Sequence[int]]],
        parent: Hashable | None = None,
        *,
        medium: str = "",
        partition: str | None = None,
    ) -> None:
        """A worker now holds `blocks`, (engine hash, tokens) pairs that follow one another.

        The first follows the block with engine hash `parent`, or starts a prompt. `medium` keeps
        copies in different memories apart: a block is held until it is removed from all of them.
        `partition` separates caches that share nothing (see `partition_seed`). Raises
        `WorkerUntracked` or `ParentUnknown`, and then nothing was stored.
        """
        if not blocks:
            return
        state = self._workers.get(worker)
        before = NOBODY
        seed = partition_seed(partition)
        if parent is not None:
            if state is None:
                raise WorkerUntracked
            before = _find_parent(state, parent, medium)
            seed = self._blocks.hashes[before]
        hashes = chain_hashes_of([tokens for _, tokens in blocks], seed)
        state = state or self._admit(worker)
        self._block_tokens = len(blocks[0][1])
        keys = [engine_hash for engine_hash, _ in blocks]
        if medium:
            keys = [_key(medium, engine_hash) for engine_hash in keys]
        self._extend(state, keys, hashes, before)
        state.media.add(medium)
        self._make_room(state)

    def removed(self, worker: str, engine_hashes: Iterable[Hashable], *, medium: str = "") -> None:
        """A worker gave blocks up; hashes it does not hold are ignored."""
        state = self._workers.get(worker)
        if state is None:
            return
        for engine_hash in engine_hashes:
            number = state.blocks.pop(_key(medium, engine_hash), None)
            if number is not None:
                self._unhold(state, number)
        if not state.blocks:
            self._dismiss(state)

    def cleared(self, worker: str) -> None:
        """A worker gave everything up, or is gone.

        Takes effect at once; the memory is given back in calls of `tidy`, or at the latest when
        `MAX_FORMER` others are cleared after it.
        """
        state = self._workers.pop(worker, None)
        if state is None:
            return
        self._former.append(state)
        self._former_bits |= state.bit
        if len(self._former) > MAX_FORMER:
            self._let_go(self._former[0], len(self._former[0].blocks))

    def tidy(self, max_blocks: int) -> bool:
        """Give back up to that many blocks of cleared workers; whether no work is left."""
        while self._former and max_blocks > 0:
            max_blocks -= self._let_go(self._former[0], max_blocks)
        return not self._former

    def find(self, hashes: Sequence[int], *, early_exit: bool = False) -> Overlap:
        """Who holds the leading blocks of a request, given its chain hashes.

        With `early_exit` holders of the first block all score 1.
        """
        scores: dict[str, int] = {}
        numbers, reached_by, gone = self._blocks.numbers, self._blocks.reached, ~self._former_bits

        def reached(chain_hash: int) -> int:
            number = numbers.get(chain_hash)
            return 0 if number is None else reached_by(number) & gone

        active = reached(hashes[0]) if hashes else 0
        if early_exit:
            self._score(active, 1, scores)
            return Overlap(scores, len(hashes))
        start, count = 0, len(hashes)
        while active:
            # All of `active` reach block `start`. Often some reach the last one too.
            last = reached(hashes[-1])
            low = count if last == active else _first_unlike(hashes, start + 1, active, reached)
            left = reached(hashes[low]) if low < count else 0
            self._score(active & ~left, low, scores)
            start, active = low, left
        return Overlap(scores, count)

    def find_tokens(
        self,
        tokens: Sequence[int],
        block_tokens: int,
        *,
        early_exit: bool = False,
        partition: str | None = None,
    ) -> Overlap:
        """`find` for token ids, cut into whole blocks of that many."""
        return self.find_packed(
            pack_tokens(tokens), block_tokens, early_exit=early_exit, partition=partition
        )

    def find_packed(
        self,
        packed: bytes,
        block_tokens: int,
        *,
        early_exit: bool = False,
        partition: str | None = None,
    ) -> Overlap:
        """`find_tokens` for tokens from `pack_tokens`: hashes no further than anyone holds."""
        block_bytes = block_tokens * TOKEN_BYTES
        total = len(packed) // block_bytes
        numbers = self._blocks.numbers
        seed = partition_seed(partition)
        hashes: list[int] = []
        stride = block_bytes if early_exit else block_bytes * _STRIDE_BLOCKS
        for at in range(0, total * block_bytes, stride):
            hashes += chain_hashes(packed[at : at + stride], block_bytes, seed)
            seed = hashes[-1]
            if seed not in numbers or early_exit:
                break
        return self.find(hashes, early_exit=early_exit)._replace(total=total)

    def export(self, worker: str) -> list[HeldBlock]:
        """What a worker holds, oldest first: for `adopt` in another process."""
        state = self._workers.get(worker)
        if state is None:
            return []
        hashes, parents = self._blocks.hashes, self._blocks.parents
        return [
            HeldBlock(
                key,
                hashes[number],
                None if parents[number] == NOBODY else hashes[parents[number]],
            )
            for key, number in state.blocks.items()
        ]

    def adopt(self, worker: str, blocks: Iterable[HeldBlock]) -> None:
        """Add what another process exported of a worker, in any order."""
        self._has_adopted = True
        state = self._workers.get(worker) or self._admit(worker)
        for key, chain_hash, parent_hash in blocks:
            parent = NOBODY if parent_hash is None else self._blocks.place(parent_hash, NOBODY)
            self._hold(state, key, chain_hash, parent)
            state.media.add(key[0] if isinstance(key, tuple) else "")
        if not state.blocks:
            self._dismiss(state)

    # Workers

    def _admit(self, name: str) -> _Worker:
        if self._free:
            position = self._free.pop()
            self._names[position] = name
        else:
            position = len(self._names)
            self._names.append(name)
        worker = self._workers[name] = _Worker(name, position)
        return worker

    def _dismiss(self, worker: _Worker) -> None:
        del self._workers[worker.name]
        self._free.append(worker.position)

    def _let_go(self, former: _Worker, max_blocks: int) -> int:
        """Take blocks from a cleared worker; how many."""
        blocks = former.blocks
        count = min(max_blocks, len(blocks))
        for _ in range(count):
            # Last stored first: chains are then taken apart from their ends, with nothing to mend.
            self._unhold(former, blocks.popitem()[1])
        if not blocks:
            self._former.remove(former)
            self._former_bits &= ~former.bit
            self._free.append(former.position)
        return count

    # Blocks

    def _extend(
        self, worker: _Worker, keys: Sequence[Hashable], hashes: Sequence[int], before: int
    ) -> None:
        """The worker holds a chain of blocks that follows block number `before`."""
        table, held = self._blocks, worker.blocks
        at = 0
        if hashes[0] in table.numbers:
            at, before = self._join(worker, keys, hashes, before)
            if at == len(hashes):
                return
            keys, hashes = keys[at:], hashes[at:]
        if self._has_adopted and not table.numbers.keys().isdisjoint(hashes):
            for key, chain_hash in zip(keys, hashes, strict=True):
                before = self._hold(worker, key, chain_hash, before)
            return
        # What follows a new block is new.
        numbers = table.append(hashes, before, worker.bit)
        found = list(map(held.setdefault, keys, numbers))
        if found == numbers:
            return
        for key, number in zip(keys, numbers, strict=True):
            known = held[key]
            if known != number:
                held[key] = number
                self._unhold(worker, known)

    def _join(
        self, worker: _Worker, keys: Sequence[Hashable], hashes: Sequence[int], before: int
    ) -> tuple[int, int]:
        """Hold the leading blocks that are there already: how many, and the last one's number."""
        table, held, bit = self._blocks, worker.blocks, worker.bit
        holders, number_of = table.holders, table.numbers.get
        for at, chain_hash in enumerate(hashes):
            number = number_of(chain_hash)
            if number is None:
                return at, before
            by = holders[number]
            if by and not by & bit and not table.stranded and keys[at] not in held:
                # The common case in short: held by others, and without a gap by everyone.
                holders[number] = by | bit
                held[keys[at]] = before = number
            else:
                before = self._hold(worker, keys[at], chain_hash, before)
        return len(hashes), before

    def _hold(self, worker: _Worker, key: Hashable, chain_hash: int, parent: int) -> int:
        number = self._blocks.place(chain_hash, parent)
        known = worker.blocks.get(key)
        if known == number:
            return number
        if self._blocks.holders[number] & worker.bit:
            worker.doubles[number] = worker.doubles.get(number, 0) + 1
        else:
            self._blocks.hold(number, worker.bit)
        worker.blocks[key] = number
        if known is not None:
            self._unhold(worker, known)
        return number

    def _unhold(self, worker: _Worker, number: int) -> None:
        doubles = worker.doubles.get(number)
        if doubles is None:
            self._blocks.release(number, worker.bit)
        elif doubles == 1:
            del worker.doubles[number]
        else:
            worker.doubles[number] = doubles - 1

    def _make_room(self, worker: _Worker) -> None:
        excess = len(worker.blocks) - self._max_worker_blocks
        if excess <= 0:
            return
        # A dict is slow to find its first entries again and again: some more go at once.
        excess += self._max_worker_blocks // 1024
        for key in list(islice(worker.blocks, excess)):
            self._unhold(worker, worker.blocks.pop(key))

    # Searching

    def _score(self, bits: int, score: int, scores: dict[str, int]) -> None:
        names = self._names
        if bits.bit_count() * 4 > len(names):
            flags = f"{bits:b}"[::-1]
            scores.update(
                (name, score) for name, flag in zip(names, flags, strict=False) if flag == "1"
            )
            return
        while bits:
            low = bits & -bits
            scores[names[low.bit_length() - 1]] = score
            bits ^= low


def partition_seed(partition: str | None) -> int:
    """What the first block of a chain is hashed with: one value per separate cache."""
    if not partition:
        return BLOCK_SEED
    return xxh3_64_intdigest(partition.encode("utf-8", "surrogatepass"), BLOCK_SEED)


def _first_unlike(
    hashes: Sequence[int], low: int, active: int, reached: Callable[[int], int]
) -> int:
    """The first block from `low` on that not all of `active` reach: a bisection.

    In steps that double, then by halves, since prompts often part ways early.
    """
    start, step, count = low - 1, 1, len(hashes)
    high = low
    while high < count and reached(hashes[high]) == active:
        low = high + 1
        step *= 2
        high = start + step
    high = min(high, count)
    while low < high:
        middle = (low + high) // 2
        if reached(hashes[middle]) == active:
            low = middle + 1
        else:
            high = middle
    return low


def _key(medium: str, engine_hash: Hashable) -> Hashable:
    return (medium, engine_hash) if medium else engine_hash


def _find_parent(worker: _Worker, engine_hash: Hashable, medium: str) -> int:
    for place in (medium, *worker.media):
        found = worker.blocks.get(_key(place, engine_hash))
        if found is not None:
            return found
    raise ParentUnknown
