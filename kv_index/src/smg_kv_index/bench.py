"""Measure the indexes: `python -m smg_kv_index.bench`.

Prints microseconds per call: the best of several rounds, so that a busy machine adds little; and
bytes of memory per stored block. `--against dynamo` sets the event index beside Dynamo's radix
tree, on the same prompts in turns.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import NamedTuple

from blake3 import blake3
from xxhash import xxh3_64_intdigest

from ._dynamo import compare
from .event_index import EventIndex
from .hashing import chain_hashes, pack_tokens
from .string_tree import StringTree
from .token_tree import TokenTree

BLOCK_TOKENS = 16
_EVENT_BLOCKS = 256
_MEMORY_WORKERS = 8
_CALLS = 1000
_PAGE_COUNTS = Path("/proc/self/statm")
_PAGE_BYTES = 4096
_VOCABULARY = 128_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz     "


class Measurement(NamedTuple):
    """One line of the report: what was done, and microseconds per call."""

    what: str
    us: float


class Sizes(NamedTuple):
    """How much to measure with: characters, tokens and counts."""

    prompts: int = 1000
    text_characters: int = 2048
    shared_characters: int = 1024
    prompt_tokens: int = 4096
    workers: tuple[int, ...] = (16, 256)
    rounds: int = 5


def measure(sizes: Sizes, rng: Random) -> Iterator[Measurement]:
    """All measurements of time, one after the other."""
    yield from _measure_hashes(sizes)
    yield from _measure_text(sizes, rng)
    yield from _measure_tokens(sizes, rng)
    for workers_count in sizes.workers:
        yield from _measure_events(sizes, rng, workers_count)


def _measure_hashes(sizes: Sizes) -> Iterator[Measurement]:
    """Why blocks are named with XXH3. (Python's own `hash` differs between processes.)"""
    block = pack_tokens(range(100_000, 100_000 + BLOCK_TOKENS))
    contenders: dict[str, Callable[[], object]] = {
        "XXH3 with a seed": lambda: xxh3_64_intdigest(block, 1337),
        "BLAKE2b": lambda: int.from_bytes(blake2b(block, digest_size=8).digest(), "little"),
        "BLAKE3": lambda: int.from_bytes(blake3(block).digest(length=8), "little"),
    }
    for name, call in contenders.items():

        def many(call: Callable[[], object] = call) -> None:
            for _ in range(_CALLS):
                call()

        yield Measurement(f"name a block by {name}", _best_us(many, sizes.rounds) / _CALLS)


def bytes_per_block(blocks_count: int, rng: Random) -> float | None:
    """What each of so many different blocks costs in resident memory, engine hashes included.

    None where the system does not tell.
    """
    gc.collect()
    before = _resident_bytes()
    if before is None:
        return None
    index = EventIndex()
    for number in range(blocks_count // _EVENT_BLOCKS):
        index.stored(
            f"w{number % _MEMORY_WORKERS}",
            [
                (rng.getrandbits(64), [rng.randrange(_VOCABULARY)] * BLOCK_TOKENS)
                for _ in range(_EVENT_BLOCKS)
            ],
        )
    gc.collect()
    after = _resident_bytes()
    return None if after is None else (after - before) / len(index)


def _resident_bytes() -> int | None:
    if not _PAGE_COUNTS.exists():
        return None
    return int(_PAGE_COUNTS.read_text().split()[1]) * _PAGE_BYTES


def _measure_text(sizes: Sizes, rng: Random) -> Iterator[Measurement]:
    shared = _letters(rng, sizes.shared_characters)
    own = sizes.text_characters - sizes.shared_characters
    prompts = [shared + _letters(rng, own) for _ in range(sizes.prompts)]

    def fill() -> StringTree:
        tree = StringTree()
        for index, prompt in enumerate(prompts):
            tree.insert(prompt, f"w{index % 16}")
        return tree

    def match_all() -> None:
        for prompt in prompts:
            tree.match(prompt)

    tree = fill()
    size = f"{sizes.text_characters} characters, {sizes.shared_characters} shared"
    yield Measurement(f"text insert, {size}", _best_us(fill, sizes.rounds) / sizes.prompts)
    yield Measurement(f"text match, {size}", _best_us(match_all, sizes.rounds) / sizes.prompts)


def _measure_tokens(sizes: Sizes, rng: Random) -> Iterator[Measurement]:
    count = min(sizes.prompts, 200)
    shared = _tokens(rng, sizes.prompt_tokens // 2)
    prompts = [shared + _tokens(rng, sizes.prompt_tokens // 2) for _ in range(count)]
    packed = [pack_tokens(prompt) for prompt in prompts]

    def fill() -> TokenTree:
        tree = TokenTree()
        for index, prompt in enumerate(prompts):
            tree.insert(prompt, f"w{index % 16}")
        return tree

    def match_all() -> None:
        for key in packed:
            tree.match_packed(key)

    def pack_all() -> None:
        for prompt in prompts:
            pack_tokens(prompt)

    tree = fill()
    size = f"{sizes.prompt_tokens} tokens"
    yield Measurement(f"pack {size}", _best_us(pack_all, sizes.rounds) / count)
    yield Measurement(f"token insert, {size}", _best_us(fill, sizes.rounds) / count)
    yield Measurement(f"token match, {size}, packed", _best_us(match_all, sizes.rounds) / count)


def _measure_events(sizes: Sizes, rng: Random, workers_count: int) -> Iterator[Measurement]:
    tokens = _tokens(rng, sizes.prompt_tokens)
    blocks = [
        (index, tokens[at : at + BLOCK_TOKENS])
        for index, at in enumerate(range(0, len(tokens), BLOCK_TOKENS))
    ]
    packed = pack_tokens(tokens)
    hashes = chain_hashes(packed, BLOCK_TOKENS * 4)
    index = EventIndex()
    for worker in range(workers_count):
        index.stored(f"w{worker}", blocks[: len(blocks) - worker % 4])
    what = f"{len(blocks)} blocks, {workers_count} workers"

    def store() -> None:
        EventIndex().stored("w", blocks)

    yield Measurement(f"event store, {len(blocks)} blocks", _best_us(store, sizes.rounds))
    yield Measurement(f"event find, {what}", _best_us(lambda: index.find(hashes), sizes.rounds))
    yield Measurement(
        f"event hash and find, {what}",
        _best_us(lambda: index.find_packed(packed, BLOCK_TOKENS), sizes.rounds),
    )


def _best_us(call: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best * 1e6


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choices(_LETTERS, k=count))


def _tokens(rng: Random, count: int) -> list[int]:
    return [rng.randrange(_VOCABULARY) for _ in range(count)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: prints one line per measurement; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m smg_kv_index.bench", description="Measure the prefix indexes."
    )
    parser.add_argument("--prompts", type=int, default=Sizes().prompts)
    parser.add_argument("--tokens", type=int, default=Sizes().prompt_tokens)
    parser.add_argument("--rounds", type=int, default=Sizes().rounds)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory-blocks", type=int, default=1_000_000, metavar="N")
    parser.add_argument(
        "--against",
        choices=["dynamo"],
        help="compare with ai-dynamo-runtime, if that is installed, and nothing else",
    )
    options = parser.parse_args(arguments)
    if options.against is not None:
        return _compare(options)
    if options.memory_blocks >= _EVENT_BLOCKS:
        memory_bytes = bytes_per_block(options.memory_blocks, Random(options.seed))
        if memory_bytes is not None:
            what = f"per block, {options.memory_blocks:,} blocks in an event index"
            sys.stdout.write(f"{memory_bytes:10.0f} B   {what}\n")
    sizes = Sizes(prompts=options.prompts, prompt_tokens=options.tokens, rounds=options.rounds)
    for what, us in measure(sizes, Random(options.seed)):
        sys.stdout.write(f"{us:10.2f} us  {what}\n")
    return 0


def _compare(options: argparse.Namespace) -> int:
    try:
        duels = list(
            compare(options.prompts, options.tokens, _MEMORY_WORKERS, Random(options.seed))
        )
    except ImportError as error:
        sys.stderr.write(f"cannot compare: {error}\n")
        return 1
    sys.stdout.write("      here     there  ratio  (medians, microseconds)\n")
    for what, ours_us, theirs_us in duels:
        sys.stdout.write(f"{ours_us:10.1f}{theirs_us:10.1f}{theirs_us / ours_us:7.2f}  {what}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
