"""Prints how many requests a second are replayed: `python benches/speed.py [TRACE]`.

Without a trace one is made up: chats behind one system prompt, some 24 blocks of 512 tokens a
request. The best of several rounds counts; building the result is part of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from random import Random

from smg_policies import POLICY_NAMES
from smg_simulator import Trace, TraceBuilder, read_trace, simulate

ROUNDS = 3
REQUESTS = 12_000
WORKERS = 8


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


def requests_per_s(trace: Trace, policy: str) -> float:
    """The best rate of several replays."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        start_s = time.perf_counter()
        simulate(trace, policy, workers=WORKERS)
        best_s = min(best_s, time.perf_counter() - start_s)
    return len(trace) / best_s


def main(arguments: Sequence[str]) -> int:
    """Measure every built-in policy."""
    trace = read_trace(arguments[0]) if arguments else made_up(REQUESTS)
    blocks = sum(len(request.blocks) for request in trace.requests)
    print(f"{trace.name}: {len(trace):,} requests, {blocks / len(trace):.0f} blocks each")
    for policy in POLICY_NAMES:
        print(f"{policy:24} {requests_per_s(trace, policy):10,.0f} requests/s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
