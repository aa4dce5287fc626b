"""The event index against a model that keeps plain sets."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from smg_kv_index import (
    EventIndex,
    HeldBlock,
    ParentUnknown,
    WorkerUntracked,
    chain_hashes,
    pack_tokens,
    partition_seed,
)

BLOCK = 4
WORKERS = ("w1", "w2", "w3")
Path = tuple[int, ...]


def tokens_of(path: Sequence[int]) -> list[int]:
    return [token for number in path for token in range(number * 10, number * 10 + BLOCK)]


def block(engine_hash: Hashable, number: int) -> tuple[Hashable, list[int]]:
    return engine_hash, tokens_of([number])


def store(index: EventIndex, worker: str, path: Sequence[int], first_hash: int = 1) -> None:
    index.stored(worker, [block(first_hash + n, number) for n, number in enumerate(path)])


def scores(index: EventIndex, path: Sequence[int], *, early_exit: bool = False) -> dict[str, int]:
    return index.find_tokens(tokens_of(path), BLOCK, early_exit=early_exit).scores


class EventIndexMachine(RuleBasedStateMachine):
    """Random events; the model maps each worker's engine hashes to whole paths of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.index = EventIndex()
        self.model: dict[str, dict[Hashable, Path]] = {worker: {} for worker in WORKERS}
        self.next_hash = 0

    @rule(worker=st.sampled_from(WORKERS), numbers=st.lists(st.integers(1, 2), max_size=4))
    def store_from_the_start(self, worker: str, numbers: list[int]) -> None:
        self.extend(worker, None, (), numbers)

    @precondition(lambda self: any(self.model.values()))
    @rule(data=st.data(), numbers=st.lists(st.integers(1, 2), min_size=1, max_size=3))
    def store_behind_a_held_block(self, data: st.DataObject, numbers: list[int]) -> None:
        worker = data.draw(st.sampled_from([w for w in WORKERS if self.model[w]]))
        parent = data.draw(st.sampled_from(sorted(self.model[worker], key=str)))
        self.extend(worker, parent, self.model[worker][parent], numbers)

    @precondition(lambda self: any(self.model.values()))
    @rule(data=st.data())
    def remove_some(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([w for w in WORKERS if self.model[w]]))
        held = sorted(self.model[worker], key=str)
        gone = data.draw(st.lists(st.sampled_from(held), min_size=1, max_size=3, unique=True))
        self.index.removed(worker, [*gone, "unheard of"])
        for engine_hash in gone:
            del self.model[worker][engine_hash]

    @rule(worker=st.sampled_from(WORKERS))
    def clear(self, worker: str) -> None:
        self.index.cleared(worker)
        self.model[worker] = {}

    @rule()
    def move_to_another_process(self) -> None:
        moved = EventIndex()
        for worker in self.index.workers:
            moved.adopt(worker, reversed(self.index.export(worker)))
        self.index = moved

    @rule(blocks=st.integers(0, 3))
    def tidy(self, blocks: int) -> None:
        self.index.tidy(blocks)

    @rule(path=st.lists(st.integers(1, 2), max_size=7))
    def find(self, path: list[int]) -> None:
        found = self.index.find_tokens(tokens_of(path), BLOCK)
        assert found.total == len(path)
        assert found.scores == {
            worker: held for worker in WORKERS if (held := self.leading_blocks(worker, tuple(path)))
        }

    @invariant()
    def counts_agree(self) -> None:
        for worker in WORKERS:
            assert self.index.blocks_held(worker) == len(self.model[worker])
        assert len(self.index) == sum(map(len, self.model.values()))
        assert self.index.is_empty == (not any(self.model.values()))

    def extend(
        self, worker: str, parent: Hashable | None, before: Path, numbers: list[int]
    ) -> None:
        blocks = []
        for number in numbers:
            self.next_hash += 1
            before = (*before, number)
            blocks.append(block(self.next_hash, number))
            self.model[worker][self.next_hash] = before
        self.index.stored(worker, blocks, parent)

    def leading_blocks(self, worker: str, path: Path) -> int:
        held = set(self.model[worker].values())
        count = 0
        while count < len(path) and path[: count + 1] in held:
            count += 1
        return count


TestEventIndexAgainstAModel = EventIndexMachine.TestCase
TestEventIndexAgainstAModel.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_gap_ends_what_counts_and_filling_it_restores_the_rest() -> None:
    index = EventIndex()
    store(index, "w1", (1, 2, 3, 4))
    index.removed("w1", [2])
    assert scores(index, (1, 2, 3, 4)) == {"w1": 1}
    index.stored("w1", [block(2, 2)], 1)
    assert scores(index, (1, 2, 3, 4)) == {"w1": 4}


def test_the_same_block_behind_another_prefix_is_another_block() -> None:
    index = EventIndex()
    store(index, "w1", (1, 3))
    assert scores(index, (2, 3)) == {}
    assert scores(index, (3,)) == {}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_workers_with_different_depths_are_all_told_apart(depths: list[int]) -> None:
    index = EventIndex()
    path = range(1, 41)
    for number, depth in enumerate(depths):
        store(index, f"w{number}", path[:depth])
    expected = {f"w{number}": depth for number, depth in enumerate(depths)}
    assert scores(index, path) == expected
    hashes = chain_hashes(pack_tokens(tokens_of(path)), BLOCK * 4)
    assert index.find(hashes).scores == expected


def test_an_early_exit_only_asks_for_the_first_block() -> None:
    index = EventIndex()
    store(index, "w1", (1, 2))
    store(index, "w2", (1,))
    assert scores(index, (1, 2), early_exit=True) == {"w1": 1, "w2": 1}
    assert scores(index, (2, 1), early_exit=True) == {}


def test_a_rest_shorter_than_a_block_is_ignored() -> None:
    index = EventIndex()
    store(index, "w1", (1,))
    found = index.find_tokens([*tokens_of((1,)), 20, 21], BLOCK)
    assert (found.scores, found.total) == ({"w1": 1}, 1)
    assert index.find_tokens([1], BLOCK).total == 0


def test_a_block_known_under_two_hashes_goes_with_the_last_of_them() -> None:
    index = EventIndex()
    index.stored("w1", [block("a", 1)])
    index.stored("w1", [block("b", 1)])
    index.stored("w1", [block("c", 1)])
    assert index.blocks_held("w1") == 3
    index.removed("w1", ["a", "b"])
    assert scores(index, (1,)) == {"w1": 1}
    index.removed("w1", ["c"])
    assert scores(index, (1,)) == {}


def test_a_hash_that_is_used_again_stands_for_the_new_block_only() -> None:
    index = EventIndex()
    index.stored("w1", [block("a", 1)])
    index.stored("w1", [block("a", 2)])
    assert index.blocks_held("w1") == 1
    assert scores(index, (1,)) == {}
    assert scores(index, (2,)) == {"w1": 1}


def test_storing_what_is_held_already_changes_nothing() -> None:
    index = EventIndex()
    for _ in range(3):
        store(index, "w1", (1, 2))
    assert index.blocks_held("w1") == 2
    index.removed("w1", [2])
    assert scores(index, (1, 2)) == {"w1": 1}


def test_a_hash_can_be_used_again_further_down_the_same_chain() -> None:
    index = EventIndex()
    store(index, "w1", (1, 2))
    index.stored("w1", [block(2, 3)], 1)
    assert scores(index, (1, 2)) == {"w1": 1}
    assert scores(index, (1, 3)) == {"w1": 2}


def test_an_export_keeps_memories_apart() -> None:
    index, copy = EventIndex(), EventIndex()
    index.stored("w1", [block(1, 1)])
    index.stored("w1", [block(1, 1)], medium="CPU")
    copy.adopt("w1", index.export("w1"))
    copy.removed("w1", [1])
    copy.stored("w1", [block(2, 2)], 1)
    assert scores(copy, (1, 2)) == {"w1": 2}


def test_a_block_in_two_memories_is_held_until_it_left_both() -> None:
    index = EventIndex()
    index.stored("w1", [block(1, 1)])
    index.stored("w1", [block(1, 1)], medium="CPU")
    index.removed("w1", [1])
    assert scores(index, (1,)) == {"w1": 1}
    index.stored("w1", [block(2, 2)], 1)
    assert scores(index, (1, 2)) == {"w1": 2}
    index.removed("w1", [1], medium="CPU")
    assert scores(index, (1, 2)) == {}


def test_partitions_share_nothing() -> None:
    index = EventIndex()
    index.stored("w1", [block(1, 1)], partition="tenant-a")
    tokens = tokens_of((1,))
    assert index.find_tokens(tokens, BLOCK, partition="tenant-a").scores == {"w1": 1}
    assert index.find_tokens(tokens, BLOCK, partition="tenant-b").scores == {}
    assert index.find_tokens(tokens, BLOCK).scores == {}
    assert partition_seed(None) == partition_seed("")


def test_a_block_without_its_parent_is_refused_and_changes_nothing() -> None:
    index = EventIndex()
    with pytest.raises(WorkerUntracked, match="worker not tracked in index"):
        index.stored("w1", [block(2, 2)], 1)
    store(index, "w1", (1,))
    with pytest.raises(ParentUnknown, match="parent block hash not found for worker"):
        index.stored("w1", [block(9, 2)], 8)
    index.stored("w2", [], 1)
    assert (len(index), index.workers) == (1, ("w1",))


def test_a_worker_that_gave_everything_up_is_no_longer_tracked() -> None:
    index = EventIndex()
    store(index, "w1", (1,))
    index.removed("w1", [1])
    index.removed("nobody", [1])
    index.cleared("nobody")
    assert index.is_empty
    with pytest.raises(WorkerUntracked):
        index.stored("w1", [block(2, 2)], 1)


def test_a_cleared_worker_counts_for_nothing_at_once_and_is_tidied_up_later() -> None:
    index = EventIndex()
    store(index, "w1", (1, 2, 3))
    store(index, "w2", (1, 2))
    index.cleared("w1")
    assert scores(index, (1, 2, 3)) == {"w2": 2}
    store(index, "w1", (1,))
    assert scores(index, (1, 2, 3)) == {"w1": 1, "w2": 2}
    assert not index.tidy(2)
    assert index.tidy(2)
    assert scores(index, (1, 2, 3)) == {"w1": 1, "w2": 2}


def test_many_workers_coming_and_going_reuse_their_places() -> None:
    index = EventIndex()
    for number in range(300):
        store(index, f"w{number}", (1, 2))
        index.cleared(f"w{number - 3}")
    assert scores(index, (1, 2)) == {"w297": 2, "w298": 2, "w299": 2}


def test_a_worker_that_never_stops_storing_keeps_only_the_bound() -> None:
    index = EventIndex(max_worker_blocks=10)
    for number in range(50):
        index.stored("w1", [block(number, number + 1)])
    assert index.blocks_held("w1") == 10
    assert scores(index, (50,)) == {"w1": 1}
    assert scores(index, (1,)) == {}


def test_blocks_are_the_size_that_engines_say() -> None:
    index = EventIndex()
    assert index.block_tokens is None
    store(index, "w1", (1,))
    assert index.block_tokens == BLOCK


def test_an_export_names_blocks_the_same_in_every_process() -> None:
    index = EventIndex()
    index.stored("w1", [block(-5, 1), block(-6, 2)])
    first, second = chain_hashes(pack_tokens(tokens_of((1, 2))), BLOCK * 4)
    assert index.export("w1") == [
        HeldBlock(-5, first, None),
        HeldBlock(-6, second, first),
    ]
    assert index.export("nobody") == []
    other = EventIndex()
    other.adopt("w1", [])
    assert other.is_empty
