"""The command line: one trace, a grid of scenarios, a table and perhaps files."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

import msgspec
from smg_mock_worker import EngineTiming
from smg_policies import PolicyConfig, PolicyInvalid, PolicyUnknown

from smg_simulator.comparison import Comparison, sweep
from smg_simulator.formats import TraceFormat, read_trace
from smg_simulator.progress import shown_progress
from smg_simulator.prompts import DEFAULT_CHARACTERS_PER_TOKEN
from smg_simulator.scenario import DEFAULT_TIMING, Outage, Scenario, scenarios
from smg_simulator.table import print_table
from smg_simulator.trace import Trace, TraceInvalid

__all__ = ("main", "make_parser", "read_settings")

PROGRAM = "smg-simulator"

_INTERVAL = re.compile(r"(\d+):(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)?", re.ASCII)
_SPEED = re.compile(r"(\d+)=(\d+(?:\.\d+)?)", re.ASCII)


def make_parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    """The command's parser; it exits with status 2 when the command line is wrong."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Replay a request trace through load-balancing policies on a virtual clock.",
        epilog="--policy, --workers, --seed and --set may be repeated: every combination is run.",
    )
    add = parser.add_argument
    add("trace", type=Path, help="trace file (JSON lines or CSV)")
    add("--format", choices=[form.value for form in TraceFormat], help="default: told by its look")
    add("--limit", type=int, metavar="N", help="only the first N requests")
    add("--rate", type=float, default=1.0, metavar="X", help="requests come X times as fast")
    add("--policy", action="append", metavar="NAME", help="default: cache_aware")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a policy's setting")
    add("--seed", action="append", type=int, metavar="N", help="default: 0")
    fleet = parser.add_argument_group("workers")
    _add_fleet_flags(fleet)
    prompts = parser.add_argument_group("prompts, as policies see them")
    add = prompts.add_argument
    add(
        "--token-ids",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give token ids to policies, beside the text (default), or the text alone",
    )
    add("--kv-events", action="store_true", help="engines tell policies what they hold")
    add("--characters-per-token", type=float, default=DEFAULT_CHARACTERS_PER_TOKEN, metavar="X")
    add("--session-block", type=int, metavar="N", help="block N of a prompt is its routing key")
    output = parser.add_argument_group("output")
    add = output.add_argument
    add("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    add("--html", type=Path, metavar="FILE", help="write a page with plots")
    add("--quiet", action="store_true", help="no table, no progress")
    return parser


def _add_fleet_flags(fleet: argparse._ArgumentGroup) -> None:
    add = fleet.add_argument
    preset = DEFAULT_TIMING
    add("--workers", action="append", type=int, metavar="N", help="default: 8")
    add("--prefill-tokens-per-s", type=float, default=preset.prefill_tokens_per_s, metavar="X")
    latency_ms = preset.inter_token_latency_s * 1000
    add("--inter-token-latency-ms", type=float, default=latency_ms, metavar="X")
    add("--max-running-requests", type=int, default=preset.max_running_requests, metavar="N")
    add("--max-waiting-requests", type=int, metavar="N", help="beyond it a worker refuses")
    add("--speed", action="append", default=[], metavar="WORKER=X", help="X times as fast as that")
    add(
        "--cache-blocks",
        type=int,
        metavar="N",
        help="blocks in each prefix cache, default: no bound",
    )
    add(
        "--down",
        action="append",
        default=[],
        metavar="WORKER:FROM-TO",
        help="fails at FROM and is back at TO (seconds; without TO never)",
    )
    add(
        "--leave",
        action="append",
        default=[],
        metavar="WORKER:FROM-TO",
        help="the same, but removed on purpose: policies forget it",
    )
    add("--report-interval-s", type=float, metavar="X", help="poll engines for their load")


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Run the command, called `program` in its messages; returns the exit status.

    0 when all went well, 1 when a file cannot be read or written or a trace makes no sense, 2 for
    a wrong command line.
    """
    parser = make_parser(program)
    options = parser.parse_args(arguments)
    try:
        grid = _read_scenarios(options)
        trace = _read_trace(options)
        with shown_progress(len(trace), sys.stderr) as progress:
            comparison = sweep(trace, grid, None if options.quiet else progress)
        _write(comparison, options)
    except (TraceInvalid, OSError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except (PolicyUnknown, PolicyInvalid, ValueError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    return 0


def read_settings(pairs: Sequence[str]) -> dict[str, list[object]]:
    """Values by setting from `name=value` texts; lists are written with commas.

    Raises `ValueError` for unknown names and for values that do not fit.
    """
    known = {field.name for field in fields(PolicyConfig)}
    found: dict[str, list[object]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in known:
            raise ValueError(f"--set {pair}: no policy has such a setting")
        value: object = text
        if isinstance(getattr(PolicyConfig(), name), tuple):
            value = [part for part in text.split(",") if part]
        try:
            config = msgspec.convert({name: value}, PolicyConfig, strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(f"--set {pair}: {error}") from error
        found.setdefault(name, []).append(getattr(config, name))
    return found


def _read_scenarios(options: argparse.Namespace) -> list[Scenario]:
    timing = EngineTiming(
        prefill_tokens_per_s=options.prefill_tokens_per_s,
        inter_token_latency_s=options.inter_token_latency_ms / 1000,
        max_running_requests=options.max_running_requests,
        max_waiting_requests=options.max_waiting_requests,
    )
    down = [_read_outage(text, leaves=False) for text in options.down]
    leave = [_read_outage(text, leaves=True) for text in options.leave]
    counts = options.workers or [8]
    base = Scenario(
        workers=max(counts),
        timing=timing,
        cache_blocks=options.cache_blocks,
        outages=(*down, *leave),
        token_ids=options.token_ids,
        kv_events=options.kv_events,
        characters_per_token=options.characters_per_token,
        session_block=options.session_block,
        report_interval_s=options.report_interval_s,
    )
    grid = scenarios(
        base,
        policies=options.policy or (),
        workers=counts,
        seeds=options.seed or (),
        settings=read_settings(options.set),
    )
    speeds = dict(map(_read_speed, options.speed))
    return [_at_speeds(scenario, timing, speeds) for scenario in grid]


def _read_trace(options: argparse.Namespace) -> Trace:
    form = TraceFormat(options.format) if options.format else None
    trace = read_trace(options.trace, form)
    if options.limit is not None:
        trace = trace.head(max(0, options.limit))
    return trace.at_rate(options.rate)


def _read_outage(text: str, *, leaves: bool) -> Outage:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not WORKER:FROM-TO")
    worker, start, end = match.groups()
    return Outage(
        worker=int(worker),
        start_s=float(start),
        end_s=math.inf if end is None else float(end),
        leaves=leaves,
    )


def _read_speed(text: str) -> tuple[int, float]:
    match = _SPEED.fullmatch(text)
    if match is None or not float(match[2]):
        raise ValueError(f"{text!r} is not WORKER=FACTOR")
    return int(match[1]), float(match[2])


def _at_speeds(scenario: Scenario, timing: EngineTiming, speeds: Mapping[int, float]) -> Scenario:
    if not speeds:
        return scenario
    if max(speeds) >= scenario.workers:
        raise ValueError(f"there is no worker {max(speeds)} among {scenario.workers}")
    return replace(
        scenario,
        timing=tuple(
            replace(
                timing,
                prefill_tokens_per_s=timing.prefill_tokens_per_s * speeds.get(index, 1.0),
                inter_token_latency_s=timing.inter_token_latency_s / speeds.get(index, 1.0),
            )
            for index in range(scenario.workers)
        ),
    )


def _write(comparison: Comparison, options: argparse.Namespace) -> None:
    if not options.quiet:
        print_table(comparison.head, comparison.rows, sys.stdout)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.encode(comparison.as_dict()))
    if options.html is not None:
        options.html.write_text(comparison.page(), encoding="utf-8")
