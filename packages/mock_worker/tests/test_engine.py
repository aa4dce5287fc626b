import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smg_mock_worker.engine import (
    Engine,
    EngineEvent,
    EngineRequest,
    EngineTiming,
    Finished,
    QueueFull,
    RequestState,
    TokenProduced,
)
from smg_mock_worker.prefix_cache import PrefixCache


def run_dry(engine: Engine) -> list[EngineEvent]:
    """Jump from event to event until nothing is under way."""
    happened: list[EngineEvent] = []
    while (at := engine.next_event_at()) is not None:
        happened += engine.advance(at)
    return happened


def test_without_latencies_the_whole_answer_is_there_at_once() -> None:
    engine = Engine()
    request = engine.submit(range(10), range(3), now=5.0)

    assert engine.next_event_at() == 5.0
    assert engine.advance(5.0) == [
        TokenProduced(request, 0, 5.0),
        TokenProduced(request, 1, 5.0),
        TokenProduced(request, 2, 5.0),
        Finished(request, 5.0),
    ]
    assert engine.next_event_at() is None


def test_the_first_token_comes_after_prefill_and_the_others_follow_evenly() -> None:
    engine = Engine(EngineTiming(prefill_tokens_per_s=100, inter_token_latency_s=0.5))
    request = engine.submit(range(200), range(3), now=1.0)

    assert run_dry(engine) == [
        TokenProduced(request, 0, 3.0),
        TokenProduced(request, 1, 3.5),
        TokenProduced(request, 2, 4.0),
        Finished(request, 4.0),
    ]
    assert (request.started_at, request.first_token_at, request.finished_at) == (1.0, 3.0, 4.0)


def test_nothing_happens_before_its_time() -> None:
    engine = Engine(EngineTiming(prefill_tokens_per_s=10))
    engine.submit(range(10), range(1), now=0.0)

    assert engine.advance(0.99) == []
    assert engine.next_event_at() == 1.0
    assert len(engine.advance(1.0)) == 2


def test_prefill_is_serial() -> None:
    engine = Engine(EngineTiming(prefill_tokens_per_s=10))
    first = engine.submit(range(10), range(1), now=0.0)
    second = engine.submit(range(20, 40), range(1), now=0.0)

    run_dry(engine)

    assert (first.first_token_at, second.started_at, second.first_token_at) == (1.0, 1.0, 3.0)


def test_cached_tokens_shorten_prefill() -> None:
    engine = Engine(EngineTiming(prefill_tokens_per_s=16))
    engine.submit(range(64), [], now=0.0)
    run_dry(engine)
    again = engine.submit(range(64), range(1), now=10.0)
    run_dry(engine)

    assert again.cached_tokens == 48
    assert again.first_token_at == 11.0


def test_a_prompt_is_cached_only_once_its_prefill_has_ended() -> None:
    engine = Engine(EngineTiming(max_running_requests=1, prefill_tokens_per_s=16))
    first = engine.submit(range(64), [], now=0.0)
    second = engine.submit(range(64), [], now=0.0)
    engine.cancel(first, 1.0)

    assert second.started_at == 1.0
    assert second.cached_tokens == 0


def test_the_answer_is_cached_as_part_of_the_conversation() -> None:
    engine = Engine()
    engine.submit(range(16), range(100, 116), now=0.0)
    run_dry(engine)
    follow_up = engine.submit([*range(16), *range(100, 116), 7], [], now=1.0)

    assert follow_up.cached_tokens == 32


def test_a_request_waits_until_a_running_one_ends() -> None:
    engine = Engine(EngineTiming(max_running_requests=1, inter_token_latency_s=1.0))
    engine.submit([1], range(3), now=0.0)
    waiting = engine.submit([2], range(1), now=0.5)

    assert waiting.state is RequestState.WAITING
    run_dry(engine)
    assert waiting.started_at == 2.0


def test_the_queue_is_first_in_first_out() -> None:
    engine = Engine(EngineTiming(max_running_requests=1))
    requests = [engine.submit([number], range(1), now=0.0) for number in range(5)]

    finished = [event.request for event in run_dry(engine) if isinstance(event, Finished)]

    assert finished == requests


def test_a_full_queue_refuses_and_takes_again_when_there_is_room() -> None:
    engine = Engine(
        EngineTiming(max_running_requests=1, max_waiting_requests=1, inter_token_latency_s=1.0)
    )
    engine.submit([1], range(2), now=0.0)
    engine.submit([2], range(2), now=0.0)

    with pytest.raises(QueueFull, match="1 requests are waiting"):
        engine.submit([3], range(2), now=0.5)
    engine.submit([3], range(2), now=1.0)


def test_without_a_waiting_queue_an_idle_engine_still_takes_a_request() -> None:
    timing = EngineTiming(max_running_requests=1, max_waiting_requests=0, inter_token_latency_s=1.0)
    engine = Engine(timing)
    engine.submit([1], range(2), now=0.0)

    with pytest.raises(QueueFull):
        engine.submit([2], range(2), now=0.5)
    engine.submit([2], range(2), now=1.0)


def test_cancelling_a_running_request_lets_the_next_one_start() -> None:
    engine = Engine(EngineTiming(max_running_requests=1, inter_token_latency_s=1.0))
    running = engine.submit([1], range(10), now=0.0)
    waiting = engine.submit([2], range(1), now=0.0)
    engine.cancel(running, 2.5)

    assert running.state is RequestState.CANCELLED
    assert running.produced_tokens == 3
    assert waiting.started_at == 2.5
    assert [event.request for event in run_dry(engine)][-1] is waiting


def test_cancelling_during_prefill_frees_the_lane() -> None:
    engine = Engine(EngineTiming(prefill_tokens_per_s=1))
    first = engine.submit(range(100), range(1), now=0.0)
    second = engine.submit(range(200, 205), range(1), now=0.0)
    engine.cancel(first, 1.0)

    assert run_dry(engine) == [TokenProduced(second, 0, 6.0), Finished(second, 6.0)]


def test_cancelling_a_waiting_request_takes_it_out_of_the_queue() -> None:
    engine = Engine(EngineTiming(max_running_requests=1, inter_token_latency_s=1.0))
    engine.submit([1], range(2), now=0.0)
    waiting = engine.submit([2], range(1), now=0.0)
    engine.cancel(waiting, 0.5)

    assert engine.load(0.5).waiting_requests == 0
    assert waiting not in [event.request for event in run_dry(engine)]


def test_cancelling_a_finished_request_changes_nothing() -> None:
    engine = Engine()
    request = engine.submit([1], range(1), now=0.0)
    run_dry(engine)
    engine.cancel(request, 1.0)

    assert request.state is RequestState.FINISHED
    assert engine.next_event_at() is None


def test_without_token_events_the_end_comes_at_the_same_time() -> None:
    timing = EngineTiming(prefill_tokens_per_s=100, inter_token_latency_s=0.25)
    engine = Engine(timing)
    request = engine.submit(range(100), range(5), now=0.0, per_token=False)

    assert run_dry(engine) == [Finished(request, 2.0)]
    assert request.first_token_at == 1.0
    assert request.produced_tokens == 5


@pytest.mark.parametrize("per_token", [True, False])
def test_a_request_without_output_ends_with_its_prefill(per_token: bool) -> None:
    engine = Engine(EngineTiming(prefill_tokens_per_s=10))
    request = engine.submit(range(10), [], now=0.0, per_token=per_token)

    assert run_dry(engine) == [Finished(request, 1.0)]
    assert request.first_token_at is None


def test_a_limited_advance_leaves_the_rest_for_the_next_one() -> None:
    engine = Engine()
    engine.submit([1], range(10), now=0.0)

    assert len(engine.advance(0.0, max_events=4)) == 4
    assert engine.next_event_at() == 0.0
    assert len(engine.advance(0.0)) == 7


def test_time_does_not_run_backwards() -> None:
    engine = Engine(EngineTiming(inter_token_latency_s=1.0))
    engine.advance(10.0)
    request = engine.submit([1], range(1), now=3.0)

    assert request.submitted_at == 10.0


def test_the_load_tells_what_runs_and_what_waits() -> None:
    timing = EngineTiming(
        prefill_tokens_per_s=10, inter_token_latency_s=0.5, max_running_requests=2
    )
    engine = Engine(timing, capacity_tokens=100)
    engine.submit(range(10), range(9), now=0.0)
    engine.submit(range(20, 40), range(9), now=0.0)
    engine.submit(range(50, 55), range(9), now=0.0)
    load = engine.load(2.0)

    assert (load.running_requests, load.waiting_requests) == (2, 1)
    assert load.waiting_uncached_tokens == 5
    assert load.used_tokens == 10 + 3 + 20
    assert load.token_usage == 0.33
    assert load.generation_tokens_per_s == 2.0
    assert load.generated_tokens_total == 3


def test_the_load_counts_generated_tokens_also_without_token_events() -> None:
    engine = Engine(EngineTiming(inter_token_latency_s=1.0))
    engine.submit(range(4), range(10), now=0.0, per_token=False)

    assert engine.load(0.0).used_tokens == 5
    assert engine.load(3.5).used_tokens == 8


def test_the_hit_rate_compares_cached_with_all_prompt_tokens() -> None:
    engine = Engine(cache=PrefixCache(100, block_size=4))
    for _ in range(2):
        engine.submit(range(9), [], now=0.0)
        run_dry(engine)
    load = engine.load(0.0)

    assert (load.prompt_tokens_total, load.cached_tokens_total) == (18, 8)
    assert math.isclose(load.cache_hit_rate, 8 / 18)
    assert load.finished_requests_total == 2


def test_negative_timings_are_rejected() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        EngineTiming(inter_token_latency_s=-0.1)


def test_representations_tell_the_state() -> None:
    engine = Engine(EngineTiming(max_running_requests=1, inter_token_latency_s=1.0))
    request = engine.submit(range(20), range(3), now=0.0)
    engine.submit(range(20), range(3), now=0.0)
    engine.advance(1.0)

    assert repr(engine) == "<Engine running=1 waiting=1>"
    assert repr(request) == "<EngineRequest decoding prompt=20 cached=0 output=2/3>"


timings = st.builds(
    EngineTiming,
    prefill_tokens_per_s=st.sampled_from([0.0, 10.0, 1000.0]),
    inter_token_latency_s=st.sampled_from([0.0, 0.01, 1.0]),
    max_running_requests=st.integers(0, 3),
)
# Of each request: the pause before it, prompt length, output length, token events, cancelled after.
workloads = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 5.0]),
        st.integers(0, 40),
        st.integers(0, 6),
        st.booleans(),
        st.none() | st.sampled_from([0.0, 0.5]),
    ),
    max_size=12,
)


@given(timings, workloads)
def test_every_request_ends_exactly_once_and_leaves_nothing_behind(
    timing: EngineTiming, workload: list[tuple[float, int, int, bool, float | None]]
) -> None:
    engine = Engine(timing)
    happened: list[EngineEvent] = []
    requests: list[EngineRequest] = []
    now = 0.0
    for pause_s, prompt, output, per_token, cancelled_after_s in workload:
        now += pause_s
        happened += engine.advance(now)
        request = engine.submit(range(prompt), range(output), now, per_token=per_token)
        requests.append(request)
        if cancelled_after_s is not None:
            now += cancelled_after_s
            happened += engine.advance(now)
            engine.cancel(request, now)
    happened += run_dry(engine)

    times = [event.at for event in happened]
    assert times == sorted(times)
    finished = [event.request for event in happened if isinstance(event, Finished)]
    assert len(finished) == len(set(finished))
    for request in requests:
        numbers = [
            event.number
            for event in happened
            if isinstance(event, TokenProduced) and event.request is request
        ]
        assert numbers == list(range(len(numbers)))
        if request.state is RequestState.FINISHED:
            assert request in finished
            assert request.produced_tokens == len(request.output)
            assert len(numbers) == (len(request.output) if request.per_token else 0)
        else:
            assert request.state is RequestState.CANCELLED
    load = engine.load(now)
    assert (load.running_requests, load.waiting_requests, load.used_tokens) == (0, 0, 0)


@given(timings, workloads)
def test_no_more_requests_run_than_allowed(
    timing: EngineTiming, workload: list[tuple[float, int, int, bool, float | None]]
) -> None:
    engine = Engine(timing)
    now = 0.0
    for pause_s, prompt, output, per_token, _ in workload:
        now += pause_s
        engine.submit(range(prompt), range(output), now, per_token=per_token)
        running = engine.load(now).running_requests
        assert not timing.max_running_requests or running <= timing.max_running_requests
