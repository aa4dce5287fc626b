"""What a replay showed, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

import msgspec

from smg_simulator.engines import EngineModel
from smg_simulator.measures import (
    Percentiles,
    Series,
    imbalance_of,
    measure_series,
    percentiles_of,
)
from smg_simulator.record import Outcome, Record
from smg_simulator.scenario import Scenario
from smg_simulator.table import html_table, text_table
from smg_simulator.trace import Trace

__all__ = (
    "TABLE_HEAD",
    "Result",
    "TraceFacts",
    "WorkerTotals",
    "relative_speeds",
    "summarize",
    "table_rows",
)

TABLE_HEAD = (
    "policy", "hit rate", "TTFT p50", "p90", "p99", "E2E p50", "p90", "p99",
    "wait p90", "max/mean work", "failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFacts:
    """The trace that was replayed; counts of requests and tokens, see `Trace` for the rest."""

    name: str
    requests: int
    span_s: float
    prompt_tokens: int
    block_size: int
    ideal_hit_rate: float
    credit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTotals:
    """What one worker did: prefills begun, prompt tokens in them, and how many were cached.

    `work_tokens` are those it had to compute, `max_waiting` was its longest queue (requests).
    """

    id: str
    started: int
    prompt_tokens: int
    cached_tokens: int
    work_tokens: int
    max_waiting: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Result:
    """The outcome of one replay. Its text form and its HTML form are the table row it makes.

    Requests are `completed`, `failed` (broken off after the first token) or `refused`; `retries`
    counts attempts beyond the first. `hit_rate` is cached to all prompt tokens, `block_hit_rate`
    the same in blocks, a cut-short last one counting as a block that is never cached.
    `imbalance` is the most to the mean work per worker, relative to the worker's speed. `ttft_s`,
    `e2e_s` and `wait_s` (arrival to first token, to the end, to the begin of prefill) are of
    completed requests. `reasons` counts why the policy chose as it did. `record` has every
    request; it is not part of `as_dict`.
    """

    scenario: Scenario
    trace: TraceFacts
    completed: int
    failed: int
    refused: int
    retries: int
    hit_rate: float
    block_hit_rate: float
    imbalance: float
    ttft_s: Percentiles
    e2e_s: Percentiles
    wait_s: Percentiles
    duration_s: float
    workers: tuple[WorkerTotals, ...]
    reasons: Mapping[str, int]
    series: Series
    record: Record = field(repr=False)

    def __repr__(self) -> str:
        return text_table(TABLE_HEAD, table_rows([(self.scenario.policy_name, self)]))

    def _repr_html_(self) -> str:
        return html_table(TABLE_HEAD, table_rows([(self.scenario.policy_name, self)]))

    def as_dict(self) -> dict[str, Any]:
        """All of it but `record`, as JSON has it; of the policy's settings those not preset."""
        scenario = self.scenario
        document: dict[str, Any] = {
            each.name: msgspec.to_builtins(getattr(self, each.name))
            for each in fields(self)
            if each.name not in {"scenario", "record", "reasons"}
        }
        plain = replace(scenario, policy=scenario.policy_name)
        document["scenario"] = msgspec.to_builtins(plain) | {"config": scenario.settings}
        document["reasons"] = dict(self.reasons)
        return document


def relative_speeds(scenario: Scenario) -> tuple[float, ...]:
    """Each worker's prefill speed, the slowest being 1; all 1 where one takes no time at all."""
    rates = [timing.prefill_tokens_per_s for timing in scenario.timings]
    slowest = min(rates)
    return tuple(rate / slowest if slowest else 1.0 for rate in rates)


def summarize(
    trace: Trace,
    scenario: Scenario,
    record: Record,
    engines: Sequence[EngineModel],
    reasons: Mapping[str, int],
) -> Result:
    """The result of a replay that is over."""
    speeds = relative_speeds(scenario)
    workers = tuple(map(_totals, engines))
    done = list(record.completed())
    arrived, first, end = record.arrived_at, record.first_token_at, record.finished_at
    prompt_tokens = sum(worker.prompt_tokens for worker in workers)
    blocks = sum(engine.blocks for engine in engines)
    return Result(
        scenario=scenario,
        trace=_facts(trace),
        completed=len(done),
        failed=record.outcome.count(Outcome.FAILED),
        refused=record.outcome.count(Outcome.REFUSED),
        retries=sum(max(0, attempts - 1) for attempts in record.attempts),
        hit_rate=sum(worker.cached_tokens for worker in workers) / (prompt_tokens or 1),
        block_hit_rate=sum(engine.cached_blocks for engine in engines) / (blocks or 1),
        imbalance=imbalance_of([worker.work_tokens for worker in workers], speeds),
        ttft_s=percentiles_of(first[i] - arrived[i] for i in done),
        e2e_s=percentiles_of(end[i] - arrived[i] for i in done),
        wait_s=percentiles_of(record.started_at[i] - arrived[i] for i in done),
        duration_s=max((*end, trace.span_s)),
        workers=workers,
        reasons=MappingProxyType(dict(reasons)),
        series=measure_series(record, speeds),
        record=record,
    )


def table_rows(results: Sequence[tuple[str, Result]]) -> list[tuple[str, ...]]:
    """One row of `TABLE_HEAD` for each label and result."""
    return [
        (
            label,
            f"{result.hit_rate:.1%}",
            *_in_seconds(result.ttft_s),
            *_in_seconds(result.e2e_s),
            _number(result.wait_s.p90, "{:.3f} s"),
            _number(result.imbalance, "{:.2f}"),
            str(result.failed + result.refused),
        )
        for label, result in results
    ]


def _in_seconds(found: Percentiles) -> tuple[str, ...]:
    return tuple(_number(value, "{:.3f} s") for value in (found.p50, found.p90, found.p99))


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)


def _facts(trace: Trace) -> TraceFacts:
    return TraceFacts(
        name=trace.name,
        requests=len(trace),
        span_s=trace.span_s,
        prompt_tokens=trace.prompt_tokens,
        block_size=trace.block_size,
        ideal_hit_rate=trace.ideal_hit_rate,
        credit=trace.credit,
    )


def _totals(engine: EngineModel) -> WorkerTotals:
    return WorkerTotals(
        id=engine.id,
        started=engine.started,
        prompt_tokens=engine.prompt_tokens,
        cached_tokens=engine.cached_tokens,
        work_tokens=engine.prompt_tokens - engine.cached_tokens,
        max_waiting=engine.max_waiting,
    )
