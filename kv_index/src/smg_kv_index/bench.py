"""Measure the indexes: `python -m smg_kv_index.bench`.

Prints microseconds per call: the best of several rounds, so that a busy machine adds little.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from .event_index import EventIndex
from .hashing import chain_hashes, pack_tokens
from .string_tree import StringTree
from .token_tree import TokenTree

BLOCK_TOKENS = 16
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
    """All measurements, one after the other."""
    yield from _measure_text(sizes, rng)
    yield from _measure_tokens(sizes, rng)
    for workers_count in sizes.workers:
        yield from _measure_events(sizes, rng, workers_count)


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
    options = parser.parse_args(arguments)
    sizes = Sizes(prompts=options.prompts, prompt_tokens=options.tokens, rounds=options.rounds)
    for what, us in measure(sizes, Random(options.seed)):
        sys.stdout.write(f"{us:10.2f} us  {what}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
