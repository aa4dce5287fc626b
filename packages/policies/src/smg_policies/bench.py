"""Measure choices: `python -m smg_policies.bench`.

Prints the median microseconds of one `select`, what it remembers included, by policy and number
of workers: for prompts that were seen before, and for prompts of which the first half was. The
first line tells the machine's speed: one pass of XXH3 over such a prompt.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from random import Random
from statistics import median
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from ._config import PolicyConfig
from ._registry import POLICY_NAMES, create_policy
from ._types import PlainCandidate, RoutingRequest

_LETTERS = "abcdefghijklmnopqrstuvwxyz     "


class Measurement(NamedTuple):
    """One line of the report: median microseconds for seen and for half-new prompts."""

    policy: str
    workers: int
    seen_us: float
    fresh_us: float


def measure(
    policies: Sequence[str], workers: Sequence[int], characters: int, prompts: int, rng: Random
) -> Iterator[Measurement]:
    """Every policy with every number of workers, on `prompts` prompts of that length."""
    for name in policies:
        for count in workers:
            yield _measure(name, count, characters, prompts, rng)


def _measure(name: str, count: int, characters: int, prompts: int, rng: Random) -> Measurement:
    policy = create_policy(name, rng, PolicyConfig(), lambda: 0.0)
    fleet = [PlainCandidate(f"http://10.0.0.1:{8000 + place}") for place in range(count)]
    shared = _letters(rng, characters // 2)
    seen = [_request(rng, shared, characters, number) for number in range(prompts)]
    for request in seen:
        policy.select(request, fleet)

    def timed(requests: Sequence[RoutingRequest]) -> float:
        times: list[float] = []
        for request in requests:
            # Loads that differ a little, as they do; never so much that a limit steps in.
            for worker in rng.sample(fleet, min(count, 4)):
                worker.load = rng.randrange(4)
            started = time.perf_counter()
            policy.select(request, fleet)
            times.append(time.perf_counter() - started)
        return median(times) * 1e6

    seen_us = timed(seen)
    fresh = [_request(rng, shared, characters, number) for number in range(prompts)]
    return Measurement(name, count, seen_us, timed(fresh))


def machine_us(characters: int, rng: Random) -> float:
    """Median microseconds of one XXH3 over a prompt of that length."""
    times: list[float] = []
    for _ in range(300):
        text = _letters(rng, characters).encode()
        started = time.perf_counter()
        xxh3_64_intdigest(text)
        times.append(time.perf_counter() - started)
    return median(times) * 1e6


def _request(rng: Random, shared: str, characters: int, number: int) -> RoutingRequest:
    text = shared + _letters(rng, characters - len(shared))
    return RoutingRequest(text=text, routing_key=f"key{number}")


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choices(_LETTERS, k=count))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: prints one line per policy and number of workers; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m smg_policies.bench", description="Measure what one choice costs."
    )
    parser.add_argument("--characters", type=int, default=8192)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 16, 256])
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--policies", nargs="+", default=POLICY_NAMES, choices=POLICY_NAMES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rng = Random(options.seed)
    size = options.characters
    sys.stdout.write(f"XXH3 over {size} characters: {machine_us(size, rng):.2f} us\n")
    sys.stdout.write(f"{'policy':22}{'workers':>8}{'seen us':>10}{'fresh us':>10}\n")
    for name, count, seen_us, fresh_us in measure(
        options.policies, options.workers, size, options.prompts, rng
    ):
        sys.stdout.write(f"{name:22}{count:8}{seen_us:10.2f}{fresh_us:10.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
