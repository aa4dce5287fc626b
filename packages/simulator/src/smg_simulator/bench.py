"""Prints how many requests a second are replayed: `python -m smg_simulator.bench [TRACE]`.

Without a trace one is made up: chats behind one system prompt, some 24 blocks of 512 tokens a
request. The best of several rounds counts; building the result is part of it. Behind the speed
stand the share of prompt tokens found cached and the most to the mean work per worker.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from smg_policies import POLICY_NAMES

from smg_simulator.formats import read_trace
from smg_simulator.result import Result
from smg_simulator.simulation import simulate
from smg_simulator.trace import Trace, TraceBuilder

__all__ = ("made_up", "main", "measure")


def made_up(requests: int) -> Trace:
    """Chats that grow turn by turn, half of the requests opening a new one."""
    rng = Random(1)
    builder = TraceBuilder("made up")
    chats: list[list[int]] = []
    fresh = 1
    for number in range(requests):
        if chats and rng.random() < 0.5:
            chat = rng.choice(chats[-200:])
        else:
            chats.append(chat := [0])
        grown = rng.randrange(1, 32)
        chat += range(fresh, fresh + grown)
        fresh += grown
        builder.add(number * 0.3, len(chat) * 512 - rng.randrange(512), rng.randrange(1, 700), chat)
    return builder.build()


def measure(trace: Trace, policy: str, workers: int, rounds: int) -> tuple[float, Result]:
    """The best rate of several replays in requests per second, and what all of them found."""
    best_s = float("inf")
    for _ in range(rounds):
        start_s = time.perf_counter()
        result = simulate(trace, policy, workers)
        best_s = min(best_s, time.perf_counter() - start_s)
    return len(trace) / best_s, result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: prints one line per policy; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m smg_simulator.bench", description="Measure how fast traces are replayed."
    )
    parser.add_argument("trace", nargs="?", type=Path, help="default: one that is made up")
    parser.add_argument("--requests", type=int, default=12_000, help="of a made-up trace")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--policies", nargs="+", default=POLICY_NAMES, choices=POLICY_NAMES)
    options = parser.parse_args(arguments)
    trace = read_trace(options.trace) if options.trace else made_up(options.requests)
    blocks = sum(len(request.blocks) for request in trace.requests)
    sys.stdout.write(
        f"{trace.name}: {len(trace):,} requests, {blocks / len(trace):.0f} blocks each\n"
    )
    for policy in options.policies:
        rate, result = measure(trace, policy, options.workers, options.rounds)
        found = f"{result.hit_rate:6.1%} cached, max/mean work {result.imbalance:.2f}"
        sys.stdout.write(f"{policy:24}{rate:10,.0f} requests/s  {found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
