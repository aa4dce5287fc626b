"""An exact index of engines' KV caches, kept up to date by their block events.

A block is known by its chain hash: the hash of its tokens seeded with the hash of the block
before it, so one number stands for a whole prefix. One table maps chain hashes to blocks; a
block keeps the set of its holders as the bits of an integer, twice: all holders, and those that
also hold every block before it. The second sets can only shrink along a chain, which is what
lets a search bisect instead of walking it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from .hashing import BLOCK_SEED, TOKEN_BYTES, pack_tokens

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


class _Block:
    __slots__ = ("chain_hash", "children", "holders", "parent", "reached")

    def __init__(self, chain_hash: int, parent: _Block | None) -> None:
        self.chain_hash = chain_hash
        self.parent = parent
        # Most blocks have one successor: a set is only made for the second.
        self.children: _Block | set[_Block] | None = None
        self.holders = 0
        self.reached = 0

    def each_child(self) -> Iterable[_Block]:
        children = self.children
        if children is None:
            return ()
        return children if isinstance(children, set) else (children,)

    def add_child(self, child: _Block) -> None:
        children = self.children
        if children is None:
            self.children = child
        elif isinstance(children, set):
            children.add(child)
        else:
            self.children = {children, child}

    def remove_child(self, child: _Block) -> None:
        if isinstance(self.children, set):
            self.children.discard(child)
            if not self.children:
                self.children = None
        else:
            self.children = None


class _Worker:
    __slots__ = ("bit", "blocks", "doubles", "media", "name", "position")

    def __init__(self, name: str, position: int) -> None:
        self.name = name
        self.position = position
        self.bit = 1 << position
        # Engine hash, or (medium, engine hash), -> block; oldest first.
        self.blocks: dict[Hashable, _Block] = {}
        # Further keys under which a block is held, beyond the first.
        self.doubles: dict[_Block, int] = {}
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
        self._table: dict[int, _Block] = {}
        self._workers: dict[str, _Worker] = {}
        # Names by bit position; positions of workers that are gone are used again.
        self._names: list[str] = []
        self._free: list[int] = []
        # Workers that gave everything up, whose blocks `tidy` has yet to let go; their bits.
        self._former: list[_Worker] = []
        self._former_bits = 0
        self._block_tokens: int | None = None

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
        before: _Block | None = None
        seed = partition_seed(partition)
        if parent is not None:
            if state is None:
                raise WorkerUntracked
            before = _find_parent(state, parent, medium)
            seed = before.chain_hash
        state = state or self._admit(worker)
        self._block_tokens = len(blocks[0][1])
        packed = pack_tokens(list(chain.from_iterable([tokens for _, tokens in blocks])))
        at = 0
        for engine_hash, tokens in blocks:
            end = at + len(tokens) * TOKEN_BYTES
            seed = xxh3_64_intdigest(packed[at:end], seed)
            at = end
            before = self._hold(state, _key(medium, engine_hash), seed, before)
        state.media.add(medium)
        while len(state.blocks) > self._max_worker_blocks:
            oldest = next(iter(state.blocks))
            self._unhold(state, state.blocks.pop(oldest))

    def removed(self, worker: str, engine_hashes: Iterable[Hashable], *, medium: str = "") -> None:
        """A worker gave blocks up; hashes it does not hold are ignored."""
        state = self._workers.get(worker)
        if state is None:
            return
        for engine_hash in engine_hashes:
            block = state.blocks.pop(_key(medium, engine_hash), None)
            if block is not None:
                self._unhold(state, block)
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
        table, gone = self._table, ~self._former_bits

        def reached(chain_hash: int) -> int:
            block = table.get(chain_hash)
            return 0 if block is None else block.reached & gone

        active = reached(hashes[0]) if hashes else 0
        if early_exit:
            self._score(active, 1, scores)
            return Overlap(scores, len(hashes))
        start, count = 0, len(hashes)
        while active:
            # All of `active` reach block `start`: find the first block that some do not reach,
            # in steps that double, then by halves.
            low, step = start + 1, 1
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
        digest = xxh3_64_intdigest
        table = self._table
        seed = partition_seed(partition)
        hashes: list[int] = []
        for start in range(0, total, _STRIDE_BLOCKS):
            stop = 1 if early_exit else min(start + _STRIDE_BLOCKS, total)
            for at in range(start * block_bytes, stop * block_bytes, block_bytes):
                seed = digest(packed[at : at + block_bytes], seed)
                hashes.append(seed)
            if seed not in table or early_exit:
                break
        return self.find(hashes, early_exit=early_exit)._replace(total=total)

    def export(self, worker: str) -> list[HeldBlock]:
        """What a worker holds, oldest first: for `adopt` in another process."""
        state = self._workers.get(worker)
        if state is None:
            return []
        return [
            HeldBlock(
                key,
                block.chain_hash,
                None if block.parent is None else block.parent.chain_hash,
            )
            for key, block in state.blocks.items()
        ]

    def adopt(self, worker: str, blocks: Iterable[HeldBlock]) -> None:
        """Add what another process exported of a worker, in any order."""
        state = self._workers.get(worker) or self._admit(worker)
        for key, chain_hash, parent_hash in blocks:
            parent = None if parent_hash is None else self._block(parent_hash, None)
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

    def _block(self, chain_hash: int, parent: _Block | None) -> _Block:
        """The block of that hash, made if need be and linked to its parent."""
        block = self._table.get(chain_hash)
        if block is None:
            block = self._table[chain_hash] = _Block(chain_hash, parent)
            if parent is not None:
                parent.add_child(block)
        elif parent is not None and block.parent is None:
            # Adopted before its parent was.
            block.parent = parent
            parent.add_child(block)
        return block

    def _hold(
        self, worker: _Worker, key: Hashable, chain_hash: int, parent: _Block | None
    ) -> _Block:
        bit = worker.bit
        held = worker.blocks
        block = self._table.get(chain_hash)
        if block is None and key not in held:
            # The common case, in one piece: a block that nobody had under that hash yet.
            block = self._table[chain_hash] = held[key] = _Block(chain_hash, parent)
            block.holders = bit
            block.reached = bit if parent is None else parent.reached & bit
            if parent is not None:
                parent.add_child(block)
            return block
        block = self._block(chain_hash, parent)
        known = held.get(key)
        if known is block:
            return block
        if block.holders & bit:
            worker.doubles[block] = worker.doubles.get(block, 0) + 1
        else:
            block.holders |= bit
            if parent is None or parent.reached & bit:
                self._reach(block, bit)
        held[key] = block
        if known is not None:
            self._unhold(worker, known)
        return block

    def _unhold(self, worker: _Worker, block: _Block) -> None:
        doubles = worker.doubles.get(block)
        if doubles is not None:
            if doubles == 1:
                del worker.doubles[block]
            else:
                worker.doubles[block] = doubles - 1
            return
        bit = worker.bit
        block.holders &= ~bit
        if block.reached & bit:
            self._cut_off(block, bit)
        step: _Block | None = block
        while step is not None and not step.holders and step.children is None:
            del self._table[step.chain_hash]
            if step.parent is not None:
                step.parent.remove_child(step)
            step = step.parent

    def _reach(self, block: _Block, bit: int) -> None:
        """The worker holds everything up to the block: and so up to what follows it."""
        block.reached |= bit
        if block.children is None:
            return
        stack = [block]
        while stack:
            for child in stack.pop().each_child():
                if child.holders & bit and not child.reached & bit:
                    child.reached |= bit
                    stack.append(child)

    def _cut_off(self, block: _Block, bit: int) -> None:
        """The worker lost the block: what it holds behind it is of no use."""
        block.reached &= ~bit
        if block.children is None:
            return
        stack = [block]
        while stack:
            for child in stack.pop().each_child():
                if child.reached & bit:
                    child.reached &= ~bit
                    stack.append(child)

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


def _key(medium: str, engine_hash: Hashable) -> Hashable:
    return (medium, engine_hash) if medium else engine_hash


def _find_parent(worker: _Worker, engine_hash: Hashable, medium: str) -> _Block:
    for place in (medium, *worker.media):
        found = worker.blocks.get(_key(place, engine_hash))
        if found is not None:
            return found
    raise ParentUnknown
