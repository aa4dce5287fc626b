"""The same work done by Dynamo's radix tree, as far as it is installed: for the benchmark alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from random import Random
from statistics import median
from typing import Any, NamedTuple

from .event_index import EventIndex
from .hashing import TOKEN_BYTES, chain_hashes, pack_tokens

BLOCK_TOKENS = 16
_VOCABULARY = range(128_000)


class Duel(NamedTuple):
    """One job, and the median microseconds that it takes here and there."""

    what: str
    ours_us: float
    theirs_us: float


def compare(prompts: int, prompt_tokens: int, workers: int, rng: Random) -> Iterator[Duel]:
    """Both, in turns on the same prompts, so that a busy machine slows both down alike.

    Raises `ImportError` where `ai-dynamo-runtime` is not installed.
    """
    dynamo: Any = import_module("dynamo._core")
    yield from _compare_with(dynamo, prompts, prompt_tokens, workers, rng)


def _compare_with(
    dynamo: Any, prompts: int, prompt_tokens: int, workers: int, rng: Random
) -> Iterator[Duel]:
    tree, index = dynamo.RadixTree(), EventIndex()
    times: dict[str, list[float]] = {}
    asked: list[tuple[list[int], list[int]]] = []
    for number in range(prompts):
        tokens = rng.choices(_VOCABULARY, k=prompt_tokens)
        keys = [rng.getrandbits(63) for _ in range(prompt_tokens // BLOCK_TOKENS)]
        blocks = [
            (key, tokens[at * BLOCK_TOKENS : (at + 1) * BLOCK_TOKENS])
            for at, key in enumerate(keys)
        ]
        worker = number % workers
        clock = _Stopwatch(times)
        theirs = dynamo.compute_block_hash_for_seq(tokens, BLOCK_TOKENS)
        clock.stop("hash", "theirs")
        message = _event(number, keys, theirs)
        clock.stop("encode", "theirs")
        tree.apply_event(worker, message)
        clock.stop("apply", "theirs")
        ours = chain_hashes(pack_tokens(tokens), BLOCK_TOKENS * TOKEN_BYTES)
        clock.stop("hash", "ours")
        index.stored(str(worker), blocks)
        clock.stop("store", "ours")
        asked.append((ours, theirs))
    for ours, theirs in asked:
        clock = _Stopwatch(times)
        found = tree.find_matches(theirs)
        clock.stop("match", "theirs")
        overlap = index.find(ours)
        clock.stop("match", "ours")
        if max(overlap.scores.values()) != max(found.scores.values()):
            raise AssertionError("the two disagree about what is cached")
    yield from _duels({name: median(each) for name, each in times.items()}, prompt_tokens)


def _duels(us: dict[str, float], prompt_tokens: int) -> Iterator[Duel]:
    blocks = prompt_tokens // BLOCK_TOKENS
    applied = us["apply theirs"]
    encoded = us["encode theirs"] + applied
    yield Duel(f"hash {prompt_tokens} tokens", us["hash ours"], us["hash theirs"])
    yield Duel(f"match {blocks} hashes", us["match ours"], us["match theirs"])
    yield Duel(
        f"store {blocks} blocks; there: hash, encode, apply",
        us["store ours"],
        us["hash theirs"] + encoded,
    )
    yield Duel(f"store {blocks} blocks; there: encode, apply", us["store ours"], encoded)
    yield Duel(f"store {blocks} blocks; there: apply a ready message", us["store ours"], applied)


class _Stopwatch:
    def __init__(self, times: dict[str, list[float]]) -> None:
        self._times = times
        self._since = time.perf_counter()

    def stop(self, what: str, whose: str) -> None:
        """Book the time since the last stop, and start anew."""
        us = (time.perf_counter() - self._since) * 1e6
        self._times.setdefault(f"{what} {whose}", []).append(us)
        self._since = time.perf_counter()


def _event(number: int, keys: Sequence[int], hashes: Sequence[int]) -> bytes:
    blocks = [
        {"block_hash": key, "tokens_hash": value} for key, value in zip(keys, hashes, strict=True)
    ]
    stored = {"parent_hash": None, "blocks": blocks}
    return json.dumps({"event_id": number, "data": {"stored": stored}}).encode()
