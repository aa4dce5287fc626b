from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker import EngineTiming
from smg_policies import (
    POLICY_NAMES,
    BasePolicy,
    Candidate,
    Decision,
    LoadReport,
    PolicyConfig,
    PolicyInvalid,
    PolicyUnknown,
    RoutingRequest,
)
from smg_simulator import (
    Outage,
    Outcome,
    Result,
    Scenario,
    Trace,
    TraceBuilder,
    TraceInvalid,
    simulate,
)
from smg_simulator.simulation import run

ONE_AT_A_TIME = EngineTiming(
    prefill_tokens_per_s=16, inter_token_latency_s=1.0, max_running_requests=1
)


class Watcher(BasePolicy):
    """Takes the candidates in turn, or always the one named, and writes down what it is told."""

    name = "watcher"
    needs_text = True

    def __init__(self, clock: Callable[[], float], always: str | None = None) -> None:
        self.clock = clock
        self.always = always
        self.times: list[float] = []
        self.swept: list[float] = []
        self.requests: list[RoutingRequest] = []
        self.offered: list[list[str]] = []
        self.loads: list[list[int]] = []
        self.reports: list[list[LoadReport | None]] = []
        self.open_tickets: set[object] = set()
        self.removed: list[str] = []

    def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision | None:
        self.times.append(self.clock())
        self.requests.append(request)
        self.offered.append([candidate.id for candidate in candidates])
        self.loads.append([candidate.load for candidate in candidates])
        self.reports.append([getattr(candidate, "report", None) for candidate in candidates])
        ticket = len(self.times)
        self.open_tickets.add(ticket)
        choice = candidates[ticket % len(candidates)]
        if self.always is not None:
            choice = next((each for each in candidates if each.id == self.always), choice)
        return Decision(choice, self.name, "watching", ticket=ticket)

    def settle(self, decision: Decision) -> None:
        self.times.append(self.clock())
        self.open_tickets.remove(decision.ticket)

    def worker_removed(self, worker_id: str) -> None:
        self.removed.append(worker_id)

    def sweep(self, now: float) -> None:
        self.times.append(self.clock())
        self.swept.append(now)


class Watch:
    """Makes watchers, one for each model, and keeps them."""

    def __init__(self, always: str | None = None) -> None:
        self.always = always
        self.made: list[Watcher] = []

    def __call__(self, *, rng: Random, config: PolicyConfig, clock: Callable[[], float]) -> Watcher:
        self.made.append(Watcher(clock, self.always))
        return self.made[-1]


def trace_of(*requests: tuple[float, int, int]) -> Trace:
    """Prompts that share nothing, as (time, prompt tokens, output tokens)."""
    builder = TraceBuilder(block_size=16)
    for at_s, prompt_tokens, output_tokens in requests:
        builder.add(at_s, prompt_tokens, output_tokens)
    return builder.build()


def test_an_unloaded_worker_takes_prefill_and_decode_time() -> None:
    timing = EngineTiming(prefill_tokens_per_s=32, inter_token_latency_s=0.5)
    result = simulate(trace_of((0.0, 64, 5)), "random", workers=1, timing=timing)

    assert (result.completed, result.hit_rate) == (1, 0.0)
    assert (result.wait_s.max, result.ttft_s.max, result.e2e_s.max) == (0.0, 2.0, 4.0)
    assert result.duration_s == 4.0


def test_requests_queue_behind_each_other() -> None:
    trace = trace_of((0.0, 16, 1), (0.0, 16, 1), (0.0, 16, 1))
    result = simulate(trace, "passthrough", workers=2, timing=ONE_AT_A_TIME)

    assert list(result.record.started_at) == [0.0, 1.0, 2.0]
    assert [worker.max_waiting for worker in result.workers] == [2, 0]
    assert result.imbalance == 2.0


def test_affinity_finds_what_turns_by_turns_miss(conversations: Callable[..., Trace]) -> None:
    trace = conversations(chats=7)
    aware = simulate(trace, "cache_aware", workers=4)
    blind = simulate(trace, "round_robin", workers=4)

    assert trace.ideal_hit_rate >= aware.hit_rate > blind.hit_rate + 0.2


def test_a_file_may_be_named_instead_of_a_trace(data: Path) -> None:
    assert simulate(data / "conversations.jsonl", workers=2).completed == 60
    assert simulate(str(data / "azure.csv"), workers=2).trace.name == "azure"


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_the_same_seed_gives_the_same_result(
    policy: str, conversations: Callable[..., Trace]
) -> None:
    trace = conversations(pause_s=0.01)
    options = Scenario(policy=policy, workers=3, seed=7, report_interval_s=0.1, cache_blocks=40)

    assert run(trace, options) == run(trace, options)


def test_another_seed_gives_another_result(conversations: Callable[..., Trace]) -> None:
    trace = conversations()
    first, second = (simulate(trace, "random", seed=seed) for seed in (1, 2))

    assert first.record.worker != second.record.worker


def assert_all_ended_in_order(result: Result, trace: Trace) -> None:
    record = result.record
    assert len(record) == len(trace)
    assert result.completed + result.failed + result.refused == len(trace)
    for index in record.completed():
        assert record.arrived_at[index] <= record.started_at[index]
        assert record.started_at[index] <= record.first_token_at[index]
        assert record.first_token_at[index] <= record.finished_at[index] <= result.duration_s
        assert record.cached_tokens[index] < max(1, record.prompt_tokens[index])
    assert sum(worker.started for worker in result.workers) >= result.completed
    assert 0 <= result.hit_rate <= 1


TIMINGS = st.builds(
    EngineTiming,
    prefill_tokens_per_s=st.sampled_from([0.0, 5.0, 100.0]),
    inter_token_latency_s=st.sampled_from([0.0, 0.1, 1.0]),
    max_running_requests=st.integers(0, 2),
    max_waiting_requests=st.none() | st.integers(0, 2),
)
OUTAGES = st.lists(
    st.builds(
        Outage,
        worker=st.integers(0, 2),
        start_s=st.floats(0, 8),
        end_s=st.floats(8.5, 20) | st.just(float("inf")),
        leaves=st.booleans(),
    ),
    max_size=4,
)
WORKLOADS = st.lists(
    st.tuples(
        st.floats(0, 10), st.lists(st.integers(0, 2), max_size=4), st.integers(0, 3),
        st.integers(0, 6), st.sampled_from([None, "m"]),
    ),
    max_size=12,
)  # fmt: skip


def built(workload: list[tuple[float, list[int], int, int, str | None]]) -> Trace:
    builder = TraceBuilder(block_size=4)
    for at_s, hashes, cut, output, model in workload:
        builder.add(at_s, max(0, len(hashes) * 4 - cut), output, hashes, model=model)
    return builder.build()


@given(WORKLOADS, st.sampled_from(POLICY_NAMES), TIMINGS, OUTAGES, st.none() | st.integers(0, 6))
def test_under_every_policy_each_request_ends_exactly_once(
    workload: list[tuple[float, list[int], int, int, str | None]],
    policy: str,
    timing: EngineTiming,
    outages: list[Outage],
    cache_blocks: int | None,
) -> None:
    trace = built(workload)
    result = simulate(
        trace,
        policy,
        workers=3,
        timing=timing,
        outages=outages,
        cache_blocks=cache_blocks,
        report_interval_s=1.0,
    )

    assert_all_ended_in_order(result, trace)
    if not outages and timing.max_waiting_requests is None:
        assert (result.failed, result.retries) == (0, 0)


@given(WORKLOADS, TIMINGS, OUTAGES)
def test_time_never_goes_back_and_every_ticket_is_settled(
    workload: list[tuple[float, list[int], int, int, str | None]],
    timing: EngineTiming,
    outages: list[Outage],
) -> None:
    watch = Watch()
    trace = built(workload)
    result = simulate(trace, watch, workers=3, timing=timing, outages=outages)

    assert_all_ended_in_order(result, trace)
    for watcher in watch.made:
        assert watcher.times == sorted(watcher.times)
        assert not watcher.open_tickets


def test_loads_rise_with_each_choice_and_fall_with_each_end() -> None:
    watch = Watch(always="http://worker-0")
    trace = trace_of((0.0, 16, 1), (0.5, 16, 1), (1.5, 16, 1), (9.0, 16, 1))
    simulate(trace, watch, workers=2, timing=ONE_AT_A_TIME)

    assert watch.made[0].loads == [[0, 0], [1, 0], [1, 0], [0, 0]]


def test_policies_are_swept_once_a_second() -> None:
    watch = Watch()
    simulate(trace_of((0.0, 16, 1), (4.5, 16, 1)), watch, workers=1)

    assert watch.made[0].swept == [1.0, 2.0, 3.0, 4.0]


def test_each_model_has_a_policy_of_its_own() -> None:
    builder = TraceBuilder()
    for at_s, model in enumerate(["small", "large", "small"]):
        builder.add(at_s, 10, 1, model=model)
    watch = Watch()
    simulate(builder.build(), watch, workers=2)

    assert [[each.model for each in watcher.requests] for watcher in watch.made] == [
        ["small", "small"],
        ["large"],
    ]


def test_requests_carry_text_and_token_ids_or_text_alone(
    conversations: Callable[..., Trace],
) -> None:
    trace = conversations(chats=1, turns=1)
    plain, rich = Watch(), Watch()
    simulate(trace, plain, characters_per_token=2.0, token_ids=False)
    simulate(trace, rich)
    tokens = trace.requests[0].prompt_tokens

    assert len(plain.made[0].requests[0].text or "") == 2 * tokens
    assert plain.made[0].requests[0].tokens is None
    assert len(rich.made[0].requests[0].tokens or ()) == tokens


def test_a_block_may_stand_in_for_a_session_key(conversations: Callable[..., Trace]) -> None:
    watch = Watch()
    simulate(conversations(chats=2, turns=2), watch, session_block=1)
    keys = [request.routing_key for request in watch.made[0].requests]

    assert keys[0] == keys[2] != keys[1] == keys[3]
    simulate(trace_of((0.0, 16, 1)), watch, session_block=1)
    assert watch.made[-1].requests[0].routing_key is None


def test_a_recorded_key_goes_before_a_session_block() -> None:
    builder = TraceBuilder()
    builder.add(0.0, 10, 1, routing_key="alice")
    watch = Watch()
    simulate(builder.build(), watch, session_block=0)

    assert watch.made[0].requests[0].routing_key == "alice"


def test_engines_are_polled_at_the_interval() -> None:
    watch = Watch()
    trace = trace_of((0.0, 160, 1), (0.5, 16, 1), (2.5, 16, 1))
    simulate(trace, watch, workers=1, timing=ONE_AT_A_TIME, report_interval_s=2.0)
    (none,), (still_none,), (report,) = watch.made[0].reports

    assert none is still_none is None
    assert report is not None
    assert (report.running_requests, report.waiting_requests) == (1, 1)


def test_a_worker_that_is_down_is_no_candidate() -> None:
    watch = Watch()
    trace = trace_of((0.0, 16, 1), (2.0, 16, 1), (4.0, 16, 1))
    outage = Outage(worker=1, start_s=1.0, end_s=3.0)
    simulate(trace, watch, workers=2, outages=[outage])

    assert [len(offered) for offered in watch.made[0].offered] == [2, 1, 2]
    assert watch.made[0].removed == []


def test_overlapping_outages_end_with_the_last() -> None:
    watch = Watch()
    trace = trace_of((0.0, 16, 1), (2.5, 16, 1), (4.0, 16, 1))
    outages = [Outage(worker=1, start_s=1, end_s=3.5), Outage(worker=1, start_s=1.5, end_s=2)]
    simulate(trace, watch, workers=2, outages=outages)

    assert [len(offered) for offered in watch.made[0].offered] == [2, 1, 2]


def test_a_worker_that_leaves_is_forgotten() -> None:
    watch = Watch()
    outage = Outage(worker=1, start_s=1.0, leaves=True)
    simulate(trace_of((0.0, 16, 1), (2.0, 16, 1)), watch, workers=2, outages=[outage])

    assert watch.made[0].removed == ["http://worker-1"]


def test_a_request_without_a_first_token_moves_to_another_worker() -> None:
    watch = Watch(always="http://worker-0")
    trace = trace_of((0.0, 32, 1))
    outage = Outage(worker=0, start_s=1.0, end_s=1.001)
    result = simulate(trace, watch, workers=2, timing=ONE_AT_A_TIME, outages=[outage])

    assert (result.completed, result.retries) == (1, 1)
    assert watch.made[0].offered[1] == ["http://worker-1"], "the first one has had its try"
    assert list(result.record.worker) == [1]
    assert result.record.started_at[0] == 1.05, "after a pause"


def test_a_request_that_has_begun_to_answer_fails_with_its_worker() -> None:
    trace = trace_of((0.0, 16, 10))
    outage = Outage(worker=0, start_s=2.0)
    result = simulate(trace, "passthrough", workers=1, timing=ONE_AT_A_TIME, outages=[outage])

    assert (result.completed, result.failed, result.retries) == (0, 1, 0)
    assert list(result.record.outcome) == [Outcome.FAILED]


def test_without_any_worker_requests_are_refused() -> None:
    result = simulate(
        trace_of((0.0, 16, 1), (2.0, 16, 1)),
        workers=1,
        timing=EngineTiming(),
        outages=[Outage(worker=0, start_s=1.0)],
    )

    assert (result.completed, result.refused) == (1, 1)


def test_full_queues_are_tried_again_and_give_up_in_the_end() -> None:
    timing = replace(ONE_AT_A_TIME, max_waiting_requests=0)
    trace = trace_of((0.0, 16, 1), (0.0, 16, 1), (0.0, 16, 1))
    result = simulate(trace, Watch(), workers=2, timing=timing)

    assert (result.completed, result.refused) == (2, 1)
    assert max(result.record.attempts) == 5


def test_faster_workers_weigh_more() -> None:
    trace = trace_of(*((float(at), 16, 1) for at in range(40)))
    slow = EngineTiming(prefill_tokens_per_s=100)
    fast = EngineTiming(prefill_tokens_per_s=300)
    result = simulate(trace, "weighted_round_robin", workers=2, timing=[slow, fast])

    assert [worker.started for worker in result.workers] == [10, 30]
    assert result.imbalance == 1.0, "work is measured by speed"


@pytest.mark.parametrize(("answer_tokens", "still_cached"), [(1, 32), (48, 0)])
def test_long_answers_crowd_prompts_out_of_a_small_cache(
    answer_tokens: int, still_cached: int
) -> None:
    builder = TraceBuilder(block_size=16)
    builder.add(0.0, 33, 1, ["a", "b"])
    builder.add(10.0, 16, answer_tokens, ["other"])
    builder.add(20.0, 33, 1, ["a", "b"])
    result = simulate(builder.build(), "passthrough", cache_blocks=4)

    assert result.record.cached_tokens[2] == still_cached


def test_progress_is_told_now_and_then_and_at_the_end() -> None:
    told: list[int] = []
    simulate(trace_of(*((float(at), 1, 1) for at in range(600))), "random", progress=told.append)

    assert told == [256, 512, 600]


def test_an_empty_trace_is_replayed_in_no_time() -> None:
    result = simulate(TraceBuilder().build())

    assert (result.completed, result.duration_s, result.hit_rate) == (0, 0.0, 0.0)


def test_what_is_unknown_or_broken_is_said() -> None:
    trace = trace_of((0.0, 16, 1))
    with pytest.raises(PolicyUnknown, match="by_colour"):
        simulate(trace, "by_colour")
    with pytest.raises(ValueError, match="a worker"):
        simulate(trace, workers=0)
    with pytest.raises(FileNotFoundError):
        simulate("no-such-trace.jsonl")


def test_an_invalid_trace_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("no JSON")
    with pytest.raises(TraceInvalid, match="bad, line 1"):
        simulate(path)


def test_a_policy_must_choose_a_candidate() -> None:
    class Stranger:
        id, load = "http://elsewhere", 0

    class Confused(BasePolicy):
        name = "confused"

        def __init__(self, **_: object) -> None: ...

        def select(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> Decision:
            return Decision(Stranger(), self.name, "why not")

    with pytest.raises(PolicyInvalid, match="no candidate"):
        simulate(trace_of((0.0, 16, 1)), Confused)
