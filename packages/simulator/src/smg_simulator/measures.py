"""Numbers out of records: percentiles, and shares and imbalance over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smg_simulator.record import Record

__all__ = ("Percentiles", "Series", "imbalance_of", "measure_series", "percentiles_of", "ranked")

WINDOWS = 60
"""Points in a series: fine enough for a curve, coarse enough that a window has many requests."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """A distribution in a few numbers, each of them a value that occurred but the mean.

    All are NaN when there was nothing to measure.
    """

    mean: float = math.nan
    p50: float = math.nan
    p90: float = math.nan
    p99: float = math.nan
    max: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How a replay went over time, in windows of `window_s` seconds; NaN where nothing happened.

    `hit_rate` and `imbalance` (most to mean work per worker) are those of the requests whose
    prefill began in the window, `wait_s` is the mean time up to prefill of those that arrived.
    """

    window_s: float
    hit_rate: tuple[float, ...]
    imbalance: tuple[float, ...]
    wait_s: tuple[float, ...]


def ranked(values: Sequence[float], share: float) -> float:
    """The smallest of sorted `values` that at least that share (0 to 1) of them do not exceed."""
    if not values:
        return math.nan
    return values[max(0, math.ceil(share * len(values)) - 1)]


def percentiles_of(values: Iterable[float]) -> Percentiles:
    """The percentiles of values in any order."""
    found = sorted(values)
    if not found:
        return Percentiles()
    mean = math.fsum(found) / len(found)
    p50, p90, p99 = (ranked(found, share) for share in (0.5, 0.9, 0.99))
    return Percentiles(mean, p50, p90, p99, found[-1])


def imbalance_of(work: Sequence[float], speeds: Sequence[float]) -> float:
    """The most to the mean of work per worker, each measured by the worker's speed.

    1 is perfect, the number of equal workers is the worst; NaN when there was no work.
    """
    times = [amount / speed for amount, speed in zip(work, speeds, strict=True)]
    total = math.fsum(times)
    return max(times) * len(times) / total if total else math.nan


def measure_series(record: Record, speeds: Sequence[float]) -> Series:
    """The series of a record; `speeds` are the workers' relative ones."""
    span_s = max((*record.arrived_at, *record.started_at), default=0.0)
    window_s = span_s / WINDOWS or 1.0
    prompt, cached, waited, arrived = ([0.0] * WINDOWS for _ in range(4))
    work = [[0.0] * len(speeds) for _ in range(WINDOWS)]
    for index in record.started():
        at = record.started_at[index]
        window = min(int(at / window_s), WINDOWS - 1)
        tokens, found = record.prompt_tokens[index], record.cached_tokens[index]
        prompt[window] += tokens
        cached[window] += found
        work[window][record.worker[index]] += tokens - found
        window = min(int(record.arrived_at[index] / window_s), WINDOWS - 1)
        waited[window] += at - record.arrived_at[index]
        arrived[window] += 1
    return Series(
        window_s=window_s,
        hit_rate=_shares(cached, prompt),
        imbalance=tuple(imbalance_of(each, speeds) for each in work),
        wait_s=_shares(waited, arrived),
    )


def _shares(parts: Sequence[float], wholes: Sequence[float]) -> tuple[float, ...]:
    return tuple(
        part / whole if whole else math.nan for part, whole in zip(parts, wholes, strict=True)
    )
