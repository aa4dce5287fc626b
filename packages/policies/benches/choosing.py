"""What one choice costs, per policy: run it from anywhere.

Prints microseconds of CPU per `select`, the best of several rounds, with two workers: prompts
that were seen before, and prompts that only share their first half with others.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from random import Random

from smg_policies import POLICY_NAMES, PlainCandidate, PolicyConfig, RoutingRequest, create_policy

LETTERS = "abcdefghijklmnopqrstuvwxyz     "
PROMPTS = 200


def prompts(rng: Random, characters: int, shared: str) -> list[RoutingRequest]:
    """Requests whose prompts start alike and end differently."""
    return [
        RoutingRequest(
            text=shared + "".join(rng.choices(LETTERS, k=characters - len(shared))),
            routing_key=f"key{number}",
        )
        for number in range(PROMPTS)
    ]


def best_us(name: str, characters: int, rounds: int, *, fresh: bool) -> float:
    """The fastest round's CPU per choice."""
    rng = Random(1)
    shared = "".join(rng.choices(LETTERS, k=characters // 2))
    policy = create_policy(name, Random(1), PolicyConfig(), lambda: 0.0)
    workers = [PlainCandidate(f"http://127.0.0.1:{port}") for port in (8001, 8002)]
    seen = prompts(rng, characters, shared)
    for request in seen:
        policy.select(request, workers)
    best = float("inf")
    for _ in range(rounds):
        requests = prompts(rng, characters, shared) if fresh else seen
        started = time.process_time()
        for request in requests:
            policy.select(request, workers)
        best = min(best, time.process_time() - started)
    return best / PROMPTS * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table; the exit status."""
    parser = argparse.ArgumentParser(description="Measure Policy.select.")
    parser.add_argument("--characters", type=int, nargs="+", default=[1300, 25_000])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--policies", nargs="+", default=POLICY_NAMES)
    options = parser.parse_args(arguments)
    for name in options.policies:
        for characters in options.characters:
            seen = best_us(name, characters, options.rounds, fresh=False)
            fresh = best_us(name, characters, options.rounds, fresh=True)
            sys.stdout.write(
                f"{name:22}{characters:7} characters  seen {seen:7.2f} us  fresh {fresh:7.2f} us\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
